/**
 * The client that a team writes by itself: ioredis as it comes, `SET bl:<token> 1 EX <life>` and `EXISTS`. An error is
 * not taken for "not revoked". It runs beside ours under every harm and has to fail, or the harm proves nothing.
 */
import { Cluster, Redis } from 'ioredis'
import type { AckLevel } from '../../../src/token-manager.js'
import type { Status } from './history.js'
import type { NaivePlan, RunNode } from './node.js'
import { nameOf } from './subjects.js'

/** The deadline that the same service has for a check. */
const DEADLINE_MS = 200
const LIFE_SECONDS = 1800

export class NaiveNode implements RunNode {
  readonly name: string
  readonly isWriter: boolean
  readonly hasReplica = false
  readonly boundMs = 0
  readonly deadlineMs = DEADLINE_MS
  readonly lifeSeconds = LIFE_SECONDS
  readonly #goesOn: boolean
  readonly #redis: Redis | Cluster

  constructor({ name, connection, isWriter = true, goesOn = false }: NaivePlan) {
    this.name = name
    this.isWriter = isWriter
    this.#goesOn = goesOn
    this.#redis =
      'cluster' in connection
        ? new Cluster([...connection.cluster])
        : 'sentinels' in connection
          ? new Redis({ sentinels: [...connection.sentinels], name: connection.name })
          : new Redis(connection)
    this.#redis.on('error', () => undefined)
  }

  async ready(): Promise<void> {
    await this.#redis.exists(keyOf(0))
  }

  async revoke(subject: number): Promise<{ level: AckLevel }> {
    try {
      await this.#redis.set(keyOf(subject), '1', 'EX', LIFE_SECONDS)
    } catch (error) {
      if (!this.#goesOn) throw error
    }
    return { level: 'accepted' }
  }

  async restore(subject: number): Promise<boolean> {
    return (await this.#redis.del(keyOf(subject))) > 0
  }

  checkNow(): undefined {
    return undefined
  }

  async check(subject: number): Promise<Status> {
    try {
      return (await this.#redis.exists(keyOf(subject))) > 0 ? 'revoked' : 'clear'
    } catch {
      return 'unknown'
    }
  }

  async close(): Promise<void> {
    this.#redis.disconnect()
  }
}

function keyOf(subject: number): string {
  return `bl:${nameOf(subject)}`
}
