/**
 * The store that the environment asks for: Redis where any `REDIS_…` variable says where it is, otherwise the
 * embedded store.
 */
import type { Environment } from './config.js'
import { RedisConnection } from './redis/connection.js'
import { hasRedisVariables } from './redis/settings.js'
import { RedisStore } from './redis/store.js'
import { MemoryStore } from './stores/memory.js'
import type { Store } from './stores/store.js'

/** Opens it. Throws `ERR_CONFIG_INVALID` naming every variable that cannot be used. Does not connect yet. */
export function openStore(env: Environment): Store {
  if (!hasRedisVariables(env)) return new MemoryStore()
  return RedisStore.fromEnv(env, RedisConnection.fromEnv(env))
}
