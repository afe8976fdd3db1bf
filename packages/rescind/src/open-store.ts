/**
 * The store that the environment asks for: that of a service where `RESCIND_URL` names one, Redis where any `REDIS_…`
 * variable says where it is, otherwise the embedded store, in the folder that `RESCIND_DATA_DIR` names or, without it,
 * in memory. `RESCIND_STORE` chooses by name.
 */
import { type Environment, EnvironmentReader } from './config.js'
import { RedisConnection } from './redis/connection.js'
import { hasRedisVariables, placelessVariables } from './redis/plan.js'
import { RedisStore } from './redis/store.js'
import { LmdbStore } from './stores/lmdb.js'
import { MemoryStore } from './stores/memory.js'
import { RemoteStore } from './stores/remote.js'
import type { Store } from './stores/store.js'

const KINDS = ['redis', 'lmdb', 'memory', 'remote'] as const

/**
 * Opens it. Throws `ERR_CONFIG_INVALID` naming every variable that cannot be used. Does not connect yet; a folder
 * is opened at once, which throws `ERR_STORE_CORRUPT` for what it cannot read.
 */
export function openStore(env: Environment): Store {
  const reader = new EnvironmentReader(env)
  const kind = reader.oneOf('RESCIND_STORE', KINDS) ?? kindOf(env, reader)
  reader.finish()
  switch (kind) {
    case 'remote':
      return RemoteStore.fromEnv(env)
    case 'redis':
      return RedisStore.fromEnv(env, RedisConnection.fromEnv(env))
    case 'lmdb':
      return LmdbStore.fromEnv(env)
    case 'memory':
      return MemoryStore.fromEnv(env)
  }
}

function kindOf(env: Environment, reader: EnvironmentReader): (typeof KINDS)[number] {
  if (reader.has('RESCIND_URL')) return 'remote'
  if (hasRedisVariables(env)) return 'redis'
  // Whoever gives a password for Redis does not mean a memory that is gone with the process.
  const lost = placelessVariables(env).join(', ')
  if (lost !== '')
    reader.problem(
      `${lost} set, and nothing that says where Redis is: set REDIS_URL or REDIS_HOST too, or choose another store by RESCIND_STORE`,
    )
  return reader.has('RESCIND_DATA_DIR') ? 'lmdb' : 'memory'
}
