/**
 * The store that the environment asks for: Redis where any `REDIS_…` variable says where it is, otherwise the
 * embedded store, in the folder that `RESCIND_DATA_DIR` names or, without it, in memory. `RESCIND_STORE` chooses by
 * name.
 */
import { type Environment, EnvironmentReader } from './config.js'
import { RedisConnection } from './redis/connection.js'
import { hasRedisVariables } from './redis/settings.js'
import { RedisStore } from './redis/store.js'
import { LmdbStore } from './stores/lmdb.js'
import { MemoryStore } from './stores/memory.js'
import type { Store } from './stores/store.js'

const KINDS = ['redis', 'lmdb', 'memory'] as const

/**
 * Opens it. Throws `ERR_CONFIG_INVALID` naming every variable that cannot be used. Does not connect to Redis yet; a
 * folder is opened at once, which throws `ERR_STORE_CORRUPT` for what it cannot read.
 */
export function openStore(env: Environment): Store {
  const reader = new EnvironmentReader(env)
  const asked = reader.oneOf('RESCIND_STORE', KINDS)
  const hasRedis = hasRedisVariables(env)
  const kind = asked ?? (hasRedis ? 'redis' : reader.has('RESCIND_DATA_DIR') ? 'lmdb' : 'memory')
  const path = kind === 'lmdb' ? reader.text('RESCIND_DATA_DIR') : undefined
  if (kind === 'lmdb' && path === undefined)
    reader.problem('RESCIND_DATA_DIR is missing: the embedded store needs a folder for its data')
  reader.finish()
  if (kind === 'redis') return RedisStore.fromEnv(env, RedisConnection.fromEnv(env))
  return path === undefined ? new MemoryStore() : LmdbStore.open({ path })
}
