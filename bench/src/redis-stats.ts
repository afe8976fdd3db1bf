/** What a Redis server has used and done, read over one connection that stays open. */
import { Redis } from 'ioredis'
import type { Scope } from './scope.js'

/** How often each command was called since the server started, by its name in small letters. */
export type Calls = Readonly<Record<string, number>>

/** What asks about one token, by hand or strictly by us; all that our replicas send beside it follows the log. */
const CHECKS = ['exists', 'mget']

export class RedisStats {
  readonly #client: Redis

  constructor(scope: Scope, url: string) {
    this.#client = new Redis(url)
    scope.defer(() => this.#client.disconnect())
  }

  /** User and system time together, in microseconds since the server started. */
  async cpuUs(): Promise<number> {
    const info = await this.#client.info('cpu')
    return (seconds(info, 'used_cpu_user') + seconds(info, 'used_cpu_sys')) * 1_000_000
  }

  /** Without those that this connection sends. */
  async calls(): Promise<Calls> {
    const info = await this.#client.info('commandstats')
    const all = [...info.matchAll(/^cmdstat_([^:|]+)(\|[^:]+)?:calls=(\d+)/gm)]
    const calls: Record<string, number> = {}
    for (const [, name = '', , count = '0'] of all) {
      if (name !== 'info') calls[name] = (calls[name] ?? 0) + Number(count)
    }
    return calls
  }
}

/** What was called between two readings; commands that were not are left out. */
export function callsBetween(before: Calls, after: Calls): Calls {
  const calls = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
  return Object.fromEntries(calls.filter(([, count]) => count > 0))
}

export function checksIn(calls: Calls): number {
  return CHECKS.reduce((total, name) => total + (calls[name] ?? 0), 0)
}

export function totalOf(calls: Calls): number {
  return Object.values(calls).reduce((total, count) => total + count, 0)
}

function seconds(info: string, field: string): number {
  const match = new RegExp(`^${field}:([0-9.]+)`, 'm').exec(info)
  if (match === null) throw new Error(`INFO has no ${field}`)
  return Number(match[1])
}
