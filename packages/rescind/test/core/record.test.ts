import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  chainHolds,
  chainNext,
  chainStart,
  readRecord,
  readSegmentHeader,
  RECORD_BYTES,
  SEGMENT_BYTES_MAX,
} from '../../src/core/record.js'
import { parseTarget } from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'
import { RedisStore } from '../../src/redis/store.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'
import { Redis } from 'ioredis'

let server: RedisServer
let redis: Redis
let store: RedisStore
let now: number
beforeAll(async () => {
  server = await RedisServer.start()
  now = Math.floor(Date.now() / 1000)
  redis = new Redis(server.url)
  store = new RedisStore(patientConnection({ url: server.url }), { namespace: 'log' })
})
afterAll(async () => {
  redis.disconnect()
  await store.close()
  await server.stop()
})

const put = (i: number, end = now + 1000) =>
  store.put(parseTarget({ sub: `user-${i}` }), { at: now, end, issuedBefore: 0xfffffff0 + (i % 8) }, { now })

it('the log that the script packs is the log that this library reads: header, records and an unbroken chain', async () => {
  for (let i = 0; i < 50; i++) await put(i)
  await store.restore(parseTarget({ sub: 'user-7' }), { now })
  const log = await redis.getBuffer('rescind:{log.0}:log:1')
  const meta = await redis.hgetall('rescind:{log.0}:meta')
  expect(log!.length).toBe(52 * RECORD_BYTES)
  const header = readSegmentHeader(log!)
  expect(header).toEqual({ epoch: meta.epoch, sequence: 1, chain: chainStart(meta.epoch!) })
  let chain = header.chain
  for (let offset = RECORD_BYTES; offset < log!.length; offset += RECORD_BYTES) {
    chain = chainNext(chain, log!, offset)
    expect(chainHolds(chain, log!, offset)).toBe(true)
  }
  expect(chain).toBe(Number(meta.chain))
  expect(readRecord(log!, 4 * RECORD_BYTES)).toEqual({
    operation: 'revoke',
    digest: parseTarget({ sub: 'user-3' }).digest,
    end: now + 1000,
    issuedBefore: 0xfffffff3,
    at: now,
  })
  expect(readRecord(log!, 51 * RECORD_BYTES)).toMatchObject({
    operation: 'restore',
    end: now + 1000,
    at: now,
  })
})

it('a record changed anywhere breaks the chain', async () => {
  const log = (await redis.getBuffer('rescind:{log.0}:log:1'))!
  const { chain } = readSegmentHeader(log)
  let broken = 0
  for (let byte = 0; byte < 29; byte++) {
    const copy = Buffer.from(log)
    copy[RECORD_BYTES + byte] = (copy[RECORD_BYTES + byte] as number) ^ 0x10
    let running = chain
    let holds = true
    for (let offset = RECORD_BYTES; offset < copy.length; offset += RECORD_BYTES) {
      running = chainNext(running, copy, offset)
      holds &&= chainHolds(running, copy, offset)
    }
    if (!holds) broken += 1
  }
  expect(broken).toBe(29)
})

it('segments begin anew when they are full, follow on in the chain, and each lives as long as its last entry', async () => {
  const full = new RedisStore(patientConnection({ url: server.url }), { namespace: 'full' })
  await full.put(parseTarget({ sub: 'first' }), { at: now, end: now + 9000, issuedBefore: 1 }, { now })
  const filler = Buffer.alloc(SEGMENT_BYTES_MAX - 3 * RECORD_BYTES)
  for (let offset = 0; offset < filler.length; offset += RECORD_BYTES) filler[offset + 28] = 0x11
  await redis.append('rescind:{full.0}:log:1', filler)
  for (let i = 0; i < 3; i++) {
    await full.put(
      parseTarget({ sub: `later-${i}` }),
      { at: now, end: now + 100 + i, issuedBefore: 1 },
      { now },
    )
  }
  expect(await redis.strlen('rescind:{full.0}:log:1')).toBe(SEGMENT_BYTES_MAX)
  expect(await redis.strlen('rescind:{full.0}:log:2')).toBe(3 * RECORD_BYTES)
  const ttls = await Promise.all([1, 2].map((n) => redis.ttl(`rescind:{full.0}:log:${n}`)))
  expect(ttls[0]).toBeGreaterThan(8970)
  expect(ttls[1]).toBeGreaterThan(70)
  expect(ttls[1]).toBeLessThanOrEqual(102)
  expect(readSegmentHeader((await redis.getBuffer('rescind:{full.0}:log:2'))!).sequence).toBe(2)
  const listed = await full.list({ now, limit: 10 })
  expect(listed.revocations.map(({ target }) => target.sub)).toEqual(['later-2', 'later-1', 'later-0'])
  await full.close()
})

it('a record or header of a future version is an error, never skipped', async () => {
  const bytes = Buffer.alloc(RECORD_BYTES)
  for (const kind of [0, 0x01, 0x21, 0x13, 0xff]) {
    bytes[28] = kind
    expect(() => readRecord(bytes, 0)).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'ERR_STORE_CORRUPT')),
    )
  }
  expect(() => readSegmentHeader(bytes)).toThrow(/header/)
  expect(() => readSegmentHeader(Buffer.alloc(3))).toThrow(/header/)
  const { digest } = parseTarget({ sub: 'future' })
  for (const record of ['2 0 {}', 'nonsense', '', '1 0 {"sub":"x"}\n1 2', Buffer.of(2 << 5)]) {
    await redis.set(`rescind:{log.0}:r:${digest}`, record, 'EX', 60)
    await expect(store.find(() => [digest])).rejects.toSatisfy((error) => hasCode(error, 'ERR_STORE_CORRUPT'))
  }
  await redis.set(`rescind:{log.0}:r:${digest}`, Buffer.of(2 << 5), 'EX', 60)
  await expect(
    store.put(parseTarget({ sub: 'future' }), { at: now, end: now + 10, issuedBefore: 1 }, { now }),
  ).rejects.toSatisfy((error) => hasCode(error, 'ERR_STORE_CORRUPT'))
})

it('a full segment takes no more than a hundredth of a byte a record beyond the record itself', async () => {
  const key = 'rescind:{grown.0}:log:1'
  // As the script fills it: a header with the first record, then one record at a time.
  const fill = `
    redis.call('APPEND', KEYS[1], string.rep('x', ${2 * RECORD_BYTES}))
    for _ = 3, ${SEGMENT_BYTES_MAX / RECORD_BYTES} do redis.call('APPEND', KEYS[1], string.rep('x', ${RECORD_BYTES})) end
    return redis.call('MEMORY', 'USAGE', KEYS[1])`
  expect(SEGMENT_BYTES_MAX % RECORD_BYTES).toBe(0)
  const usage = Number(await redis.eval(fill, 1, key))
  // Redis 6.2 does not use what the allocator gives beyond what it asked for, so its growth is another.
  if (/redis_version:6\./.test(await redis.info('server'))) return
  expect(usage / (SEGMENT_BYTES_MAX / RECORD_BYTES - 1)).toBeLessThan(RECORD_BYTES + 0.01)
})
