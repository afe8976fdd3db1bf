/** The records that go with the store: on the same Redis, in the same folder, or in memory. */
import { type Environment, RedisConnection, RedisStore, type Store } from 'rescind'
import type { Config } from '../config/schema.js'
import { LmdbRecords } from './lmdb.js'
import { MemoryRecords } from './memory.js'
import type { Records } from './records.js'
import { RedisRecords } from './redis.js'

/** `env`: as the store was opened with. `now`: the clock in milliseconds. */
export function openRecords(env: Environment, store: Store, config: Config, now?: () => number): Records {
  const trailMax = config.limits.auditEntriesMax
  if (store instanceof RedisStore) {
    const { namespace } = store
    return new RedisRecords({ connection: RedisConnection.fromEnv(env), namespace, trailMax })
  }
  if (store.kind === 'lmdb') return new LmdbRecords({ folder: config.dataDir, trailMax, now })
  return new MemoryRecords({ trailMax, now })
}
