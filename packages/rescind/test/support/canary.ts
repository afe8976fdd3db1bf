/**
 * Every token that tests issue is a canary: no part of it that could be used may stand in Redis or in any
 * output. `RedisServer.stop` searches the server, `canary-setup.ts` the output.
 */
import type { Redis } from 'ioredis'
import { parseRecord } from '../../src/redis/record.js'

const SCAN_COUNT = 1000
const TOKENS_MAX = 20_000

const signatures = new Set<string>()

/** Remembers a token by its payload and its signature: the parts that no two tokens share. */
export function rememberToken(token: string): void {
  if (signatures.size > TOKENS_MAX) return
  for (const part of token.split('.').slice(1)) if (part.length >= 32) signatures.add(part)
}

/** True when a text contains a part of a token. */
export function containsToken(text: string): boolean {
  for (const part of signatures) if (text.includes(part)) return true
  return false
}

/** The keys of a server, in any database, whose name or value contains a part of a token. */
export async function keysWithTokens(redis: Redis): Promise<string[]> {
  if (signatures.size === 0) return []
  const found: string[] = []
  const databases = [...(await redis.info('keyspace')).matchAll(/^db(\d+):/gm)].map(([, number]) =>
    Number(number),
  )
  for (const database of databases) {
    await redis.select(database)
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'COUNT', SCAN_COUNT)
      cursor = next
      const texts = await Promise.all(keys.map(async (key) => key + (await valueOf(redis, key))))
      keys.forEach((key, i) => {
        if (containsToken(texts[i] as string)) found.push(key)
      })
    } while (cursor !== '0')
  }
  return found
}

type Reader = (redis: Redis, key: string) => Promise<unknown>

/** How a value of each type is read whole. */
const READERS: Readonly<Record<string, Reader>> = {
  hash: (redis, key) => redis.hgetall(key),
  list: (redis, key) => redis.lrange(key, 0, -1),
  set: (redis, key) => redis.smembers(key),
  stream: (redis, key) => redis.xrange(key, '-', '+'),
  zset: (redis, key) => redis.zrange(key, '0', '-1'),
  none: async () => '',
}

async function valueOf(redis: Redis, key: string): Promise<string> {
  const type = await redis.type(key)
  if (type === 'string') {
    const bytes = await redis.getBuffer(key)
    return bytes === null ? '' : bytes.toString('latin1') + unpacked(key, bytes)
  }
  const read = READERS[type]
  if (read === undefined) throw new Error(`the canary search cannot read a ${type}; teach it`)
  return JSON.stringify(await read(redis, key))
}

/** Records are packed: a token within one would not be seen as it stands. */
function unpacked(key: string, bytes: Buffer): string {
  if (!key.includes(':r:')) return ''
  try {
    return JSON.stringify(parseRecord(bytes))
  } catch {
    // Tests damage records, too.
    return ''
  }
}
