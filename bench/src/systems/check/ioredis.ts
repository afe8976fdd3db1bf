/** The usual hand-made list: `EXISTS` for a key that names the token. */
import { randomUUID } from 'node:crypto'
import type { Shared, System } from '../../system.js'
import { flat, secondsNow, unsignedToken } from '../../tokens.js'
import { redisUrl } from './shared.js'

export interface IoredisOptions {
  readonly inFlight: number
  readonly autoPipelining?: boolean
  /** What stands in the list. */
  readonly key?: 'jti' | 'raw-token'
}

export function ioredis({ inFlight, autoPipelining = false, key = 'jti' }: IoredisOptions) {
  return async (shared: Shared): Promise<System> => {
    const { Redis } = await import('ioredis')
    const redis = new Redis(redisUrl(shared), { enableAutoPipelining: autoPipelining, lazyConnect: true })
    await redis.connect()
    const newKey = key === 'jti' ? () => flat(`bl:${randomUUID()}`) : () => unsignedToken(secondsNow())
    let keys: string[] = []
    return {
      inFlight,
      prepare: (count) => (keys = Array.from({ length: count }, newKey)),
      run: async (index) => {
        const found = await redis.exists(keys[index] as string)
        if (found !== 0) throw new Error('EXISTS found what was never stored')
      },
      close: () => redis.quit(),
    }
  }
}
