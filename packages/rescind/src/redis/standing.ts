/**
 * May the server be believed? It must be the primary, and, where that is asked for, have its replicas: a primary that
 * has lost them may have been cut off, and another may have taken its place. Then it is not fresh, for reading too.
 */
import { RescindError } from '../errors.js'
import type { Surroundings } from '../surroundings.js'
import type { RedisClient, RedisRole } from './client.js'
import type { RedisConnection } from './connection.js'
import { refusalOf } from './failure.js'
import { fieldsOf, replicaLines } from './info.js'

export interface StandingOptions {
  /** So many replicas must be in good standing; 0: nobody counts them. */
  readonly minReplicas: number
  /** A replica that has said nothing for longer does not count, in seconds. */
  readonly lagMaxSeconds: number
  readonly surroundings: Surroundings
}

/** The answer of `INFO` is believed for so long: the lag in it counts whole seconds. */
const ANSWER_LIFE_MS = 200
/** How often a primary without its replicas is left, in case that there is another. */
const LEAVE_PERIOD_MS = 1000

export class Standing {
  readonly #connection: RedisConnection
  readonly #options: StandingOptions
  #mayAskRole = true
  #roleAsked: Promise<void> | undefined
  readonly #leftAt = new Map<RedisRole, number>()
  /** The answer that checks believe, and when it was asked for. A read of the log asks by itself. */
  #answer: { readonly askedAt: number; readonly promise: Promise<void> } | undefined

  constructor(connection: RedisConnection, options: StandingOptions) {
    this.#connection = connection
    this.#options = options
  }

  /** For a read of the log. Throws `ERR_STORE_REFUSED` when what the server says is not to be believed. */
  assertForLog(client: RedisClient): Promise<void> {
    return this.#options.minReplicas > 0 ? this.#askReplicas('log', client) : this.#assertPrimary(client)
  }

  /** For a check of the store. Throws as `assertForLog`. */
  assertForCheck(client: RedisClient): Promise<void> {
    if (this.#options.minReplicas > 0) return this.#assertReplicas(client)
    // Checks that come together share the question, while it is on its way.
    return (this.#roleAsked ??= this.#assertPrimary(client).finally(() => (this.#roleAsked = undefined)))
  }

  /**
   * What a demoted primary says is not fresh. A cluster sends reads away from replicas by itself; a user who may
   * not ask for the role is believed to be at the primary.
   */
  async #assertPrimary(client: RedisClient): Promise<void> {
    if (this.#connection.kind === 'cluster' || !this.#mayAskRole) return
    const role = await client.role().catch((error: unknown) => {
      if (!(error instanceof Error) || refusalOf(error.message) !== 'NOPERM') throw error
      this.#mayAskRole = false
      return ['master']
    })
    if (role[0] !== 'master') this.#refuse()
  }

  #assertReplicas(client: RedisClient): Promise<void> {
    const now = this.#options.surroundings.monotonic()
    const known = this.#answer
    if (known !== undefined && now - known.askedAt < ANSWER_LIFE_MS) return known.promise
    const answer = { askedAt: now, promise: this.#askReplicas('checks', client) }
    this.#answer = answer
    // A failure is nobody's answer but of those who waited for it.
    answer.promise.catch(() => {
      if (this.#answer === answer) this.#answer = undefined
    })
    return answer.promise
  }

  async #askReplicas(role: RedisRole, client: RedisClient): Promise<void> {
    const { minReplicas, lagMaxSeconds } = this.#options
    const answers = await this.#connection.askPrimaries(client, (server) => server.info('replication'))
    for (const answer of answers) {
      const info = fieldsOf(answer) ?? {}
      if (info.role !== 'master') this.#refuse()
      const good = replicaLines(info).filter(
        ({ state, lagSeconds }) => state === 'online' && lagSeconds <= lagMaxSeconds,
      )
      if (good.length < minReplicas) {
        this.#lookForAnother(role)
        throw new RescindError(
          'ERR_STORE_REFUSED',
          `the primary has ${good.length} of ${minReplicas} replicas in good standing: it may have been cut off, and is not believed (RESCIND_MIN_REPLICAS)`,
        )
      }
    }
  }

  /** The Sentinels may know another primary, and this node may reach both. */
  #lookForAnother(role: RedisRole): void {
    const now = this.#options.surroundings.monotonic()
    if (this.#connection.kind !== 'sentinel' || now - (this.#leftAt.get(role) ?? -Infinity) < LEAVE_PERIOD_MS)
      return
    this.#leftAt.set(role, now)
    this.#connection.reconnect(role)
  }

  /** Whatever reads is at the wrong server. What writes is told so by that server itself. */
  #refuse(): never {
    for (const role of ['checks', 'log'] as const) this.#connection.reconnect(role)
    throw new RescindError('ERR_STORE_REFUSED', 'the server is a replica, or was demoted: name the primary')
  }
}
