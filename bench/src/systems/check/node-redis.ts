/**
 * node-redis, which sends what one turn of the event loop asks in one piece, alone and with its client-side
 * cache (RESP 3, `CLIENT TRACKING`): the first question for a key goes to Redis, later ones do not.
 */
import { randomUUID } from 'node:crypto'
import type { Shared, System } from '../../system.js'
import { flat } from '../../tokens.js'
import { knownOf, redisUrl } from './shared.js'

export interface NodeRedisOptions {
  readonly inFlight: number
  /** Whether keys are new to the cache, or in it. Default: no cache. */
  readonly cache?: 'misses' | 'hits'
}

/** Least recently used ones go first. */
const CACHE_ENTRIES_MAX = 100_000

export function nodeRedis({ inFlight, cache }: NodeRedisOptions) {
  return async (shared: Shared): Promise<System> => {
    const { BasicClientSideCache, createClient } = await import('redis')
    const entries = new BasicClientSideCache({ ttl: 0, maxEntries: CACHE_ENTRIES_MAX, evictPolicy: 'LRU' })
    const client = createClient({
      url: redisUrl(shared),
      RESP: 3,
      ...(cache === undefined ? {} : { clientSideCache: entries }),
    })
    client.on('error', () => undefined)
    await client.connect()
    const isKnown = async (key: string) => (await client.exists(key)) !== 0
    const known = Array.from({ length: cache === 'hits' ? knownOf(shared) : 0 }, newKey)
    await Promise.all(known.map(isKnown))
    let keys: string[] = []
    let hitsBefore = 0
    let asked = 0
    return {
      inFlight,
      prepare: (count) => {
        if (asked > 0 && cache !== undefined) verifyCache(cache, entries.stats().hitCount - hitsBefore, asked)
        hitsBefore = entries.stats().hitCount
        asked = count
        // A known key is asked for with a text of its own, as it is when it comes out of another token.
        keys = Array.from({ length: count }, () =>
          known.length === 0 ? newKey() : flat(known[Math.floor(Math.random() * known.length)] as string),
        )
      },
      run: async (index) => {
        if (await isKnown(keys[index] as string)) throw new Error('EXISTS found what was never stored')
      },
      close: async () => client.destroy(),
    }
  }
}

function newKey(): string {
  return flat(`bl:${randomUUID()}`)
}

/** What was measured must have been what its name says. */
function verifyCache(cache: 'misses' | 'hits', hits: number, asked: number): void {
  const expected = cache === 'hits' ? asked : 0
  if (hits !== expected) throw new Error(`the cache answered ${hits} of ${asked} questions`)
}
