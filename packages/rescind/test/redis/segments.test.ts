/** A log of several segments, of which one is lost: whoever reads is told, and never goes on as if nothing were missing. */
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  chainNext,
  OPERATION_REVOKE,
  RECORD_BYTES,
  SEGMENT_BYTES_MAX,
  writeRecord,
} from '../../src/core/record.js'
import { ANY_TIME } from '../../src/core/revocation.js'
import { parseTarget } from '../../src/core/target.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { MACHINE } from '../../src/surroundings.js'
import { RedisServer } from '../support/redis-server.js'

const LOST = { code: 'ERR_LOG_CHANGED' }
const KEYS = 'rescind:{main.0}:'
const now = Math.floor(Date.now() / 1000)
const end = now + 1800

let server: RedisServer
let redis: Redis
let store: RedisStore
beforeEach(async () => {
  server = await RedisServer.start()
  redis = new Redis(server.url)
  store = new RedisStore(new RedisConnection({ url: server.url }))
})
afterEach(async () => {
  redis.disconnect()
  await store.close()
  await server.stop()
})

const put = (sub: string) =>
  store.put(parseTarget({ sub }), { at: now, end, issuedBefore: ANY_TIME }, { now })

/** Fills the last segment to its end, as the script would. */
async function fill(): Promise<void> {
  const meta = await redis.hgetall(`${KEYS}meta`)
  const key = `${KEYS}log:${meta.segment}`
  const held = (await redis.getBuffer(key)) as Buffer
  const bytes = Buffer.concat([held], SEGMENT_BYTES_MAX)
  let chain = Number(meta.chain)
  for (let at = held.length; at < bytes.length; at += RECORD_BYTES) {
    const digest = parseTarget({ sub: `filler-${at}` }).digest
    writeRecord(bytes, at, { operation: OPERATION_REVOKE, digest, end, issuedBefore: 1, at: now })
    chain = chainNext(chain, bytes, at)
    bytes.writeUIntLE(chain >>> 8, at + RECORD_BYTES - 3, 3)
  }
  await redis.set(key, bytes, 'KEEPTTL')
  await redis.hset(`${KEYS}meta`, { chain, size: bytes.length })
}

/** Three segments; the places at the ends of the first two. */
async function threeSegments(): Promise<[string, string]> {
  await put('first')
  await fill()
  const first = await store.position()
  await put('second')
  await fill()
  const second = await store.position()
  await put('third')
  return [first, second]
}

describe('changes', () => {
  it('go on from one segment to the next, and tell of one that is lost between', async () => {
    const [first, second] = await threeSegments()
    expect((await store.changes(first, 1)).changes).toMatchObject([
      { revocation: { target: { sub: 'second' } } },
    ])
    await redis.del(`${KEYS}log:2`)
    await expect(store.changes(first, 1)).rejects.toMatchObject(LOST)
    await expect(store.changes(second, 1)).rejects.toMatchObject(LOST)
    // Who begins again goes on.
    const again = await store.position()
    await put('fourth')
    expect((await store.changes(again, 1)).changes).toMatchObject([
      { revocation: { target: { sub: 'fourth' } } },
    ])
  })

  it('pass over a segment that has ended', async () => {
    const [first] = await threeSegments()
    await redis.del(`${KEYS}log:2`)
    await redis.hset(`${KEYS}meta`, 's:2', now - 100)
    expect((await store.changes(first, 1)).changes).toMatchObject([
      { revocation: { target: { sub: 'third' } } },
    ])
  })
})

describe('a loss that what is read does not show', () => {
  /** Far ahead of the period in which the store looks whether all segments are there. */
  let aheadMs = 0
  const watchful = () => {
    const surroundings = { ...MACHINE, monotonic: () => performance.now() + aheadMs }
    return new RedisStore(new RedisConnection({ url: server.url }), { surroundings })
  }
  const lookAgain = () => (aheadMs += 20_000)
  /** Reads all of the log. */
  const whole = async (from: RedisStore, reader?: object): Promise<string> => {
    for (let at: string | undefined; ;) {
      const page = await from.readLog(at, 1 << 22, { reader })
      if (page.isEnd) return page.position
      at = page.position
    }
  }

  it('is told once to each who reads on, whoever begins meanwhile', async () => {
    await threeSegments()
    const one = watchful()
    const readers = [{}, {}, undefined]
    const places: string[] = []
    for (const reader of readers) places.push(await whole(one, reader))
    const readOn = (n: number) => one.readLog(places[n], 96, { reader: readers[n] })
    for (const n of [0, 1, 2]) expect(await readOn(n)).toMatchObject({ isEnd: true })
    await redis.del(`${KEYS}log:1`)
    lookAgain()
    // Those that begin read what there is, and nobody else has heard of it by that.
    await one.readLog(undefined, 96, { reader: {} })
    await one.readLog(undefined, 96)
    for (const n of [0, 1, 2]) await expect(readOn(n)).rejects.toMatchObject(LOST)
    lookAgain()
    for (const n of [0, 1, 2]) expect(await readOn(n)).toMatchObject({ isEnd: true })
    // A shape is told in the same way.
    await redis.set(
      `${KEYS}shapes`,
      ((await redis.get(`${KEYS}shapes`)) as string).split('\n', 1)[0] as string,
    )
    for (const n of [0, 1, 2]) await expect(readOn(n)).rejects.toMatchObject(LOST)
    for (const n of [0, 1, 2]) expect(await readOn(n)).toMatchObject({ isEnd: true })
    await one.close()
  }, 60_000)

  it('and comes while the last is given back, is told to the giver, and is not mended in silence', async () => {
    await threeSegments()
    const one = watchful()
    const giver = {}
    const place = await whole(one, giver)
    const readOn = () => one.readLog(place, 96, { reader: giver })
    const give = () => one.reseed(Buffer.alloc(0), { giver: 'a', now, shapes: [['sub']], end, isLast: true })
    await redis.del(`${KEYS}log:1`)
    lookAgain()
    await expect(readOn()).rejects.toMatchObject(LOST)
    await readOn()
    // The next look is far away.
    await redis.del(`${KEYS}log:2`)
    await give()
    await expect(readOn()).rejects.toMatchObject(LOST)
    expect(await readOn()).toMatchObject({ isEnd: true })
    const segments = Object.keys(await redis.hgetall(`${KEYS}meta`)).filter((name) => name.startsWith('s:'))
    expect(segments).toEqual(['s:3'])
    await give()
    expect(await readOn()).toMatchObject({ isEnd: true })
    await one.close()
  }, 60_000)
})
