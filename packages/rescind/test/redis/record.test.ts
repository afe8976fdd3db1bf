/** The packed record: what the script writes is what `parseRecord` reads, and nothing else is read. */
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ANY_TIME, EMPTY_STATE, type Entry, restore, revoke } from '../../src/core/revocation.js'
import { EVERYTHING, parseTarget, type ParsedTarget, targetOf } from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'
import { packText, unpackText } from '../../src/redis/packed-text.js'
import { parseRecord } from '../../src/redis/record.js'
import { RedisStore } from '../../src/redis/store.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'

const UUID = '0b5f1c2e-9d7a-4f3b-8c6d-1e2f3a4b5c6d'
const TYPICAL = { iss: 'https://login.example.com/realms/main', jti: UUID }
const now = Math.floor(Date.now() / 1000)
let server: RedisServer
let redis: Redis
let store: RedisStore
beforeAll(async () => {
  server = await RedisServer.start()
  redis = new Redis(server.url)
  store = new RedisStore(patientConnection({ url: server.url }), { namespace: 'packed' })
})
afterAll(async () => {
  redis.disconnect()
  await store.close()
  await server.stop()
})

const keyOf = (digest: string) => `rescind:{packed.0}:r:${digest}`
const recordOf = async ({ digest }: ParsedTarget) => (await redis.getBuffer(keyOf(digest)))!
const isCorrupt = expect.toSatisfy((error) => hasCode(error, 'ERR_STORE_CORRUPT')) as Error

/** Texts with all that the packing treats apart, next to each other and cut short. */
const piece = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.uuid(),
  fc.stringMatching(/^[0-9a-f]{14,40}$/),
  fc.base64String({ minLength: 40, maxLength: 48 }),
  fc.constantFrom(
    'https://',
    'https://login.',
    '.com',
    '/realms/',
    'logout',
    'iss',
    'the ',
    '\u0000',
    '\x7f',
    'é',
  ),
  fc.constantFrom('a'.repeat(127), 'b-'.repeat(64), 'é\n'.repeat(100), '0'.repeat(511), UUID.toUpperCase()),
)
const text = fc
  .array(piece, { minLength: 1, maxLength: 6 })
  .map((pieces) => pieces.join('').slice(0, 250).toWellFormed())
const word = text.filter((value) => value !== '')
const name = fc.oneof(
  fc.constantFrom('iss', 'jti', 'sub', 'sid', '__proto__', '10', '9', 'é', '\u{1d4b3}', '\uffee'),
  word.map((value) => `x${value}`.slice(0, 60).toWellFormed()),
)
const target = fc.oneof(
  fc.constant(EVERYTHING),
  fc.record({ iss: word, jti: fc.oneof(word, fc.uuid()) }).map(parseTarget),
  fc.stringMatching(/^[A-Za-z0-9_-]{43}$/).map((value) => parseTarget({ '#sha256': value })),
  fc
    .uniqueArray(fc.tuple(name, word), { minLength: 1, maxLength: 4, selector: ([key]) => key })
    .map((claims) => parseTarget(Object.fromEntries(claims))),
)
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      at: fc.integer({ min: 0, max: 50 }),
      // Some end before they are made, some last until 2106.
      life: fc.oneof(
        fc.integer({ min: 4000, max: 9000 }),
        fc.constantFrom(-1, 0, 127, 128, 16_383, 16_384, 2_000_000_000),
      ),
      before: fc.oneof(fc.constantFrom(null, 0), fc.integer({ min: -1000, max: 1000 })),
      reason: fc.option(fc.oneof(fc.constantFrom('logout', ''), text), { nil: undefined }),
      actor: fc.option(text, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.constant('restore' as const) },
)

it('what the script has written is read as the rule says, whatever the texts and times', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(target, fc.array(step, { minLength: 1, maxLength: 12 }), async (parsed, steps) => {
      const own = new RedisStore(patientConnection({ url: server.url }), { namespace: `run-${run++}` })
      try {
        // The first one lasts, so that Redis does not remove a record whose statements have all ended.
        const first = { at: now, end: now + 10_000, issuedBefore: 0 }
        let { state } = await own.put(parsed, first, { now })
        expect(state).toEqual(revoke(EMPTY_STATE, first, now).state)
        for (const one of steps) {
          if (one === 'restore') {
            expect(await own.restore(parsed, { now })).toMatchObject({
              changed: restore(state, now) !== undefined,
            })
            state = restore(state, now) ?? state
            continue
          }
          const at = now + one.at
          const entry: Entry = {
            at,
            end: at + one.life,
            issuedBefore: one.before === null ? ANY_TIME : at + one.before,
            ...(one.reason === undefined ? {} : { reason: one.reason }),
            ...(one.actor === undefined ? {} : { actor: one.actor }),
          }
          state = revoke(state, entry, at).state
          expect((await own.put(parsed, entry, { now: at })).state).toEqual(state)
        }
        const [held] = await own.find(() => [parsed.digest])
        expect(held?.state).toEqual(state)
        expect(Object.entries(held?.target ?? {})).toEqual(Object.entries(targetOf(parsed)))
      } finally {
        await own.close()
      }
    }),
    { numRuns: 100 },
  )
}, 60_000)

describe('what the script would not have written is an error', () => {
  let records: Buffer[]
  beforeAll(async () => {
    const two = parseTarget({ client_id: 'app', sub: 'alice@example.com' })
    await store.put(
      parseTarget(TYPICAL),
      { at: now, end: now + 2105, issuedBefore: now, reason: 'logout', actor: 'alice@example.com' },
      { now },
    )
    await store.put(two, { at: now, end: now + 100, issuedBefore: ANY_TIME, reason: 'é\n' }, { now })
    await store.restore(two, { now })
    await store.put(two, { at: now, end: now + 200, issuedBefore: ANY_TIME, actor: UUID }, { now })
    await store.put(two, { at: now, end: now + 300, issuedBefore: now + 9, reason: 'log-out' }, { now })
    await store.put(EVERYTHING, { at: now, end: now + 100, issuedBefore: 77 }, { now })
    records = await Promise.all([parseTarget(TYPICAL), two, EVERYTHING].map(recordOf))
  })

  it('the examples are read', () => {
    expect(records.map((record) => parseRecord(record).state.entries.length)).toEqual([1, 2, 1])
    expect(parseRecord(records[0]!).target).toEqual(TYPICAL)
  })

  it('cut off anywhere', () => {
    for (const record of records) {
      for (let length = 0; length < record.length; length++) {
        expect(() => parseRecord(record.subarray(0, length)), String(length)).toThrow(isCorrupt)
      }
    }
  })

  it('with bytes behind it', () => {
    for (const record of records) {
      for (const rest of [[0], [255], [1], record]) {
        expect(() => parseRecord(Buffer.concat([record, Buffer.from(rest)]))).toThrow(isCorrupt)
      }
    }
  })

  it('of another version', () => {
    for (const record of records) {
      for (let version = 0; version < 8; version++) {
        if (version === 1) continue
        const other = Buffer.from(record)
        other[0] = (record[0]! % 32) + version * 32
        expect(() => parseRecord(other)).toThrow(isCorrupt)
      }
    }
    expect(() => parseRecord(Buffer.from('1 0 {"sub":"x"}\n1 2 3 {}'))).toThrow(isCorrupt)
  })

  it.each<[string, number[]]>([
    ['nothing', []],
    ['nine statements', [0x29, ...Array.from({ length: 9 }, () => [0, 1, 0, 0, 0, 1]).flat(), 0]],
    ['a restore at no time', [0x30, 0, 0, 0, 0, 0]],
    ['a number of too many bytes', [0x21, 0, 1, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0]],
    ['a number with a zero at its end', [0x21, 0, 1, 0, 0, 0, 0x81, 0, 0]],
    ['an end past 2106', [0x21, 0, 255, 255, 255, 255, 1, 0]],
    ['an unknown kind of issuedBefore', [0x21, 3, 1, 0, 0, 0, 1, 9, 9, 9, 9, 0]],
    ['an unknown flag', [0x21, 32, 1, 0, 0, 0, 1, 0]],
    ['an early end that is none', [0x21, 16, 1, 0, 0, 0, 2, 0, 0, 0, 0]],
    ['issuedBefore given that is the time it was made', [0x21, 2, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0]],
    ['a word that there is not', [0x21, 0, 1, 0, 0, 0, 1, 1, 254, 194]],
    ['a known name spelled out', [0x21, 0, 1, 0, 0, 0, 1, 1, 3, 0x73, 0x75, 0x62, 194]],
    ['a name without a value', [0x21, 0, 1, 0, 0, 0, 1, 1, 196]],
    ['names in another order', [0x21, 0, 1, 0, 0, 0, 1, 2, 196, 194, 197, 194]],
    ['a name twice', [0x21, 0, 1, 0, 0, 0, 1, 2, 196, 194, 196, 194]],
    ['more claims than a target has', [0x21, 0, 1, 0, 0, 0, 1, 10, 194, 194]],
    ['iss and jti by their names', [0x21, 0, 1, 0, 0, 0, 1, 2, 194, 194, 195, 194]],
    ['bytes that are no UTF-8', [0x21, 0, 1, 0, 0, 0, 1, 1, 196, 3, 0, 1, 0xff]],
  ])('%s', (_, bytes) => {
    expect(() => parseRecord(Buffer.from(bytes))).toThrow(isCorrupt)
  })

  it('whatever was changed: a record that is read has one spelling', () => {
    const spellings = new Map<string, string>()
    fc.assert(
      fc.property(fc.nat(2), fc.nat(1000), fc.nat(255), fc.boolean(), (which, place, byte, isInserted) => {
        const record = records[which]!
        const at = place % record.length
        const rest = record.subarray(isInserted ? at : at + 1)
        const changed = Buffer.concat([record.subarray(0, at), Buffer.of(byte), rest])
        let read
        try {
          read = JSON.stringify(parseRecord(changed))
        } catch (error) {
          expect(error).toSatisfy((thrown) => hasCode(thrown, 'ERR_STORE_CORRUPT'))
          return
        }
        const spelling = changed.toString('hex')
        expect(spellings.get(read) ?? spelling).toBe(spelling)
        spellings.set(read, spelling)
      }),
      { numRuns: 5000 },
    )
  })

  it('and the script does not write over one', async () => {
    const parsed = parseTarget({ sub: 'damaged' })
    const key = keyOf(parsed.digest)
    for (const bytes of [[], [0x41], [0x21], [0x21, 0, 1], [0x21, 4, 1, 0, 0, 0, 1, 200 - 80], [0x31, 1]]) {
      await redis.set(key, Buffer.from(bytes), 'EX', 60)
      const wanted = { at: now, end: now + 60, issuedBefore: now }
      await expect(store.put(parsed, wanted, { now })).rejects.toThrow(isCorrupt)
      await expect(store.restore(parsed, { now })).rejects.toThrow(isCorrupt)
      expect(await redis.getBuffer(key)).toEqual(Buffer.from(bytes))
    }
  })
})

describe('packed texts', () => {
  const pack = (value: string) => {
    const out: number[] = []
    packText(value, out)
    return Buffer.from(out)
  }

  it('come back as they were, and the next one begins where they end', () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.constant('')), (value) => {
        const cursor = { bytes: Buffer.concat([pack(value), Buffer.of(7)]), at: 0 }
        expect(unpackText(cursor)).toBe(value)
        expect(cursor.at).toBe(cursor.bytes.length - 1)
      }),
      { numRuns: 2000 },
    )
  })

  it('of the longest kind that a claim may have are packed too', () => {
    for (const unit of ['é', '\u0000', '\u0000a', 'éa', '\u{1d4b3}', '€a', 'f', 'a-', UUID]) {
      const value = unit.repeat(1024 / unit.length)
      expect(unpackText({ bytes: pack(value), at: 0 })).toBe(value)
    }
  })

  it('are written in one way: this is the format, and a change of it is another version', () => {
    const packed = Object.fromEntries(
      [
        UUID,
        'logout',
        `urn:uuid:${UUID}`,
        'https://login.example.com/realms/main',
        'é\n',
        '~',
        'A'.repeat(43),
      ].map((value) => [value, pack(value).toString('hex')]),
    )
    expect(packed).toMatchInlineSnapshot(`
      {
        "0b5f1c2e-9d7a-4f3b-8c6d-1e2f3a4b5c6d": "c00b5f1c2e9d7a4f3b8c6d1e2f3a4b5c6d",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": "c10000000000000000000000000000000000000000000000000000000000000000",
        "https://login.example.com/realms/main": "0705cecd9d0db9a2",
        "logout": "e3",
        "urn:uuid:0b5f1c2e-9d7a-4f3b-8c6d-1e2f3a4b5c6d": "170b757569643a010b5f1c2e9d7a4f3b8c6d1e2f3a4b5c6d",
        "~": "017e",
        "é
      ": "050003c3a90a",
      }
    `)
    expect(pack('alice@example.com').length).toBe(8)
    // Every word and every symbol, in order.
    const known: string[] = []
    for (const bytes of Array.from({ length: 512 }, (_, i) => (i < 256 ? [i] : [1, i - 256]))) {
      try {
        known.push(unpackText({ bytes: Buffer.from(bytes), at: 0 }))
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }
    expect(createHash('sha256').update(known.join('\n')).digest('hex')).toMatchInlineSnapshot(
      `"f63dedb50c3cf82051a8b6cf47e3f4c06d9ddcc5e6911336041621dd15f45aa9"`,
    )
  })
})

it('a token with reason and actor takes 44 bytes at the most: what Redis keeps in one piece', async () => {
  const record = await recordOf(parseTarget(TYPICAL))
  expect(record.length).toBeLessThanOrEqual(44)
})
