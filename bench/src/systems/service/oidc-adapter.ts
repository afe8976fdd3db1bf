/** Where `oidc-provider` keeps its tokens: a key each on Redis, as in the adapter that it brings as an example. */
import type { Redis } from 'ioredis'
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

/** For what has no end of its own. */
const SECONDS_MAX = 7200

export function redisAdapter(redis: Redis): AdapterFactory {
  return (name): Adapter => {
    const keyOf = (id: string) => `oidc:${name}:${id}`
    return {
      async upsert(id, payload, expiresIn = SECONDS_MAX) {
        await redis.setex(keyOf(id), expiresIn, JSON.stringify(payload))
      },
      async find(id) {
        const text = await redis.get(keyOf(id))
        return text === null ? undefined : (JSON.parse(text) as AdapterPayload)
      },
      async destroy(id) {
        await redis.del(keyOf(id))
      },
      // Of sessions, device codes and grants, which nobody has here.
      findByUserCode: async () => undefined,
      findByUid: async () => undefined,
      consume: async () => undefined,
      revokeByGrantId: async () => undefined,
    }
  }
}
