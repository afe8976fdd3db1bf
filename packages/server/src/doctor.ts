/** What the library's `inspect` finds on Redis, looked at again after a while. */
import { type Environment, inspect, type Inspection, RedisConnection, RedisStore, type Store } from 'rescind'

/** So that whoever asks often does not keep Redis busy. */
const LIFE_MS = 10_000

export class Doctor {
  readonly #connection: RedisConnection
  readonly #store: RedisStore
  #inspection: Promise<Inspection> | undefined
  #lookedAt = -Infinity

  private constructor(connection: RedisConnection, store: RedisStore) {
    this.#connection = connection
    this.#store = store
  }

  /** Undefined for a store that is not on Redis. `env`: as the store was opened with. */
  static for(store: Store, env: Environment): Doctor | undefined {
    return store instanceof RedisStore ? new Doctor(RedisConnection.fromEnv(env), store) : undefined
  }

  look(): Promise<Inspection> {
    const now = performance.now()
    if (this.#inspection !== undefined && now - this.#lookedAt < LIFE_MS) return this.#inspection
    this.#lookedAt = now
    const { namespace, partitions } = this.#store
    this.#inspection = inspect(this.#connection, { namespace, partitions, revokes: true })
    return this.#inspection
  }

  close(): Promise<void> {
    return this.#connection.close()
  }
}
