/** The CPU time that a Redis server has used, read over one connection that stays open. */
import { Redis } from 'ioredis'
import type { Scope } from './scope.js'

export class RedisCpu {
  readonly #client: Redis

  constructor(scope: Scope, url: string) {
    this.#client = new Redis(url)
    scope.defer(() => this.#client.disconnect())
  }

  /** User and system time together, in microseconds since the server started. */
  async readUs(): Promise<number> {
    const info = await this.#client.info('cpu')
    return (seconds(info, 'used_cpu_user') + seconds(info, 'used_cpu_sys')) * 1_000_000
  }
}

function seconds(info: string, field: string): number {
  const match = new RegExp(`^${field}:([0-9.]+)`, 'm').exec(info)
  if (match === null) throw new Error(`INFO has no ${field}`)
  return Number(match[1])
}
