/** A node of ours: a `TokenManager` on Redis. */
import { RedisConnection } from '../../../src/redis/connection.js'
import { RedisStore } from '../../../src/redis/store.js'
import { type AckLevel, TokenManager } from '../../../src/token-manager.js'
import type { Status } from './history.js'
import type { RescindPlan, RunNode } from './node.js'
import { claimsOf, targetOf } from './subjects.js'

const READY_TIMEOUT_MS = 15_000

export class RescindNode implements RunNode {
  readonly name: string
  readonly isWriter: boolean
  readonly hasReplica: boolean
  readonly boundMs: number
  readonly deadlineMs: number
  readonly lifeSeconds: number
  readonly manager: TokenManager
  readonly #ack: AckLevel

  constructor(plan: RescindPlan) {
    const { name, isWriter = true, ack = 'accepted', skewMs = 0 } = plan
    const connection = new RedisConnection(plan.connection)
    this.manager = new TokenManager({
      stalenessMaxMs: 500,
      ...plan.manager,
      store: new RedisStore(connection, plan.store),
      nodeName: name,
      now: () => Date.now() + skewMs,
    })
    this.name = name
    this.isWriter = isWriter
    this.#ack = ack
    this.hasReplica = this.manager.replica !== undefined
    this.boundMs = this.manager.settings.stalenessMaxMs
    this.deadlineMs = connection.checkTimeoutMs
    this.lifeSeconds = this.manager.settings.lifetimeMaxSeconds
  }

  async ready(): Promise<void> {
    await this.manager.ready({ timeoutMs: READY_TIMEOUT_MS })
    // The socket of checks is another one.
    await this.manager.store.ping()
  }

  async revoke(subject: number): Promise<{ level: AckLevel; nodes?: readonly string[] }> {
    const { ack, nodes } = await this.manager.revoke(targetOf(subject), {
      ack: this.#ack,
      issuedBefore: null,
    })
    return { level: ack, ...(nodes === undefined ? {} : { nodes }) }
  }

  restore(subject: number): Promise<boolean> {
    return this.manager.restore(targetOf(subject))
  }

  checkNow(subject: number): { status: Status; stalenessMs: number } | undefined {
    const { replica } = this.manager
    if (replica === undefined) return undefined
    const stalenessMs = replica.stalenessMs
    const result = this.manager.checkNow(claimsOf(subject))
    return result === undefined ? undefined : { status: result.status, stalenessMs }
  }

  async check(subject: number): Promise<Status> {
    return (await this.manager.checkStore(claimsOf(subject))).status
  }

  close(): Promise<void> {
    return this.manager.close()
  }
}
