/** Bytes where records, shapes and lines of the log should stand: read as they were written, or refused as corrupt. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chainNext,
  chainOver,
  chainStart,
  FORMAT_VERSION,
  readRecord,
  readSegmentHeader,
  RECORD_BYTES,
  wordsOf,
  writeRecord,
} from '../../src/core/record.js'
import { ANY_TIME, ENTRIES_MAX, type Entry } from '../../src/core/revocation.js'
import { parseTarget } from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'
import { packText, unpackText } from '../../src/redis/packed-text.js'
import { packDetails, packTarget, parseRecord, RECORD_LAYOUT } from '../../src/redis/record.js'
import { parseShapes } from '../../src/redis/shapes.js'
import { parsePosition } from '../../src/stores/position.js'
import { shapeKey, SHAPES_MAX } from '../../src/stores/store.js'
import { BYTE_CHANGE, CHANGE, changed, changedBytes, nastyText, TEXTS } from './texts.js'
import { Hostile } from './inputs.js'

const hostile = new Hostile('records')
const CORRUPT = (error: unknown) => hasCode(error, 'ERR_STORE_CORRUPT')

/** The value, or undefined for what is refused as corrupt. Any other error is a failure. */
function read<T>(work: () => T): T | undefined {
  return hostile.now(() => {
    try {
      return work()
    } catch (error) {
      if (CORRUPT(error)) return undefined
      throw error
    }
  })
}

/** A record as `redis/record.ts` describes it. */
function packed(entries: readonly Entry[], restoredAt: number, target: Record<string, string>): Buffer {
  const first =
    FORMAT_VERSION * RECORD_LAYOUT.versionStep +
    (restoredAt > 0 ? RECORD_LAYOUT.restored : 0) +
    entries.length
  const parts = [Buffer.from([first]), ...(restoredAt > 0 ? [time(restoredAt)] : [])]
  for (const entry of entries) {
    const [flags = 0, ...texts] = packDetails(entry)
    const before =
      entry.issuedBefore === ANY_TIME
        ? RECORD_LAYOUT.beforeAny
        : entry.issuedBefore === entry.at
          ? RECORD_LAYOUT.beforeAt
          : RECORD_LAYOUT.beforeGiven
    parts.push(Buffer.from([flags + before]), time(entry.at), varint(entry.end - entry.at))
    if (before === RECORD_LAYOUT.beforeGiven) parts.push(time(entry.issuedBefore))
    parts.push(Buffer.from(texts))
  }
  return Buffer.concat([...parts, packTarget(parseTarget(target))])
}

function time(seconds: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(seconds)
  return bytes
}

function varint(value: number): Buffer {
  const out: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128)
  return Buffer.from([...out, rest])
}

const seconds = fc.integer({ min: 1, max: 0xffff_0000 })
const text = nastyText(40).filter((each) => each.isWellFormed())
const entry = fc
  .record({
    at: seconds,
    life: fc.integer({ min: 0, max: 60_000 }),
    issuedBefore: fc.oneof(seconds, fc.constant(ANY_TIME)),
    reason: fc.option(text, { nil: undefined }),
    actor: fc.option(text, { nil: undefined }),
  })
  .map(({ life, reason, actor, ...rest }): Entry => ({
    ...rest,
    end: rest.at + life,
    ...(reason === undefined ? {} : { reason }),
    ...(actor === undefined ? {} : { actor }),
  }))
const target = fc.oneof(
  fc.constantFrom<Record<string, string>>(
    { sub: 'alice' },
    { iss: 'https://as.example', jti: '9f8c1f2e-0b7a-4c55-8d53-0c1c9c6e3d11' },
    { '#sha256': 'A'.repeat(43) },
  ),
  fc.dictionary(
    text.filter((name) => name !== '' && !name.startsWith('#')),
    text.filter((value) => value !== ''),
    { minKeys: 1, maxKeys: 4 },
  ),
)
const whole = fc.record({
  entries: fc.array(entry, { maxLength: ENTRIES_MAX }),
  restoredAt: fc.oneof(fc.constant(0), seconds),
  target,
})

describe('a record', () => {
  it('that is whole is read, and no part of one is', { timeout: hostile.timeoutMs }, () => {
    fc.assert(
      fc.property(
        whole,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        ({ entries, restoredAt, target }, part) => {
          const bytes = packed(entries, restoredAt, target)
          expect(read(() => parseRecord(bytes))).toEqual({ target, state: { restoredAt, entries } })
          expect(read(() => parseRecord(bytes.subarray(0, Math.floor(part * bytes.length))))).toBeUndefined()
          expect(read(() => parseRecord(Buffer.concat([bytes, Buffer.from([0])])))).toBeUndefined()
        },
      ),
      hostile.runs(0.06),
    )
  })

  it(
    'that was changed is refused, or read as what nobody could tell from a true one',
    { timeout: hostile.timeoutMs },
    () => {
      fc.assert(
        fc.property(
          whole,
          fc.array(BYTE_CHANGE, { minLength: 1, maxLength: 3 }),
          ({ entries, restoredAt, target }, changes) => {
            const bytes = changedBytes(packed(entries, restoredAt, target), changes)
            const record = read(() => parseRecord(bytes))
            if (record === undefined) return
            expect(record.state.entries.length).toBeLessThanOrEqual(ENTRIES_MAX)
            for (const { at, end, issuedBefore } of record.state.entries)
              for (const each of [at, end, issuedBefore])
                expect(Number.isSafeInteger(each) && each >= 0 && each <= 0xffff_ffff).toBe(true)
          },
        ),
        hostile.runs(0.25),
      )
    },
  )

  it('of any bytes is refused, or read', { timeout: hostile.timeoutMs }, () => {
    const first = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(first, fc.uint8Array({ maxLength: 80 }), (head, rest) => {
        const bytes = Buffer.from([head, ...rest])
        const record = read(() => parseRecord(bytes))
        if (Math.floor(head / RECORD_LAYOUT.versionStep) !== FORMAT_VERSION) expect(record).toBeUndefined()
      }),
      hostile.runs(0.2),
    )
  })

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['a text', Buffer.from('revoked')],
    ['JSON, as others write it', Buffer.from('{"revoked":true}')],
    ['ten megabytes of a length', Buffer.alloc(10 * 1024 * 1024, 0xbf)],
    ['ten megabytes of nothing', Buffer.alloc(10 * 1024 * 1024)],
    [
      'a text without an end',
      Buffer.concat([Buffer.from([FORMAT_VERSION * 32, 1, 191]), Buffer.alloc(16_384, 0x61)]),
    ],
    ...[0, 2, 3, 7].map((version): [string, Buffer] => [
      `version ${version}`,
      Buffer.concat([Buffer.from([version * 32 + 1]), packed([], 0, { sub: 'alice' }).subarray(1)]),
    ]),
  ])('that is %s is refused', (_, bytes) => {
    expect(read(() => parseRecord(bytes))).toBeUndefined()
  })
})

describe('a packed text', () => {
  it('is what was packed, and ends where it ends', { timeout: hostile.timeoutMs }, () => {
    fc.assert(
      fc.property(
        nastyText(1100).filter((each) => each.isWellFormed()),
        (one) => {
          const out: number[] = []
          hostile.now(() => packText(one, out))
          const cursor = { bytes: Buffer.from([...out, 7]), at: 0 }
          expect(hostile.now(() => unpackText(cursor))).toBe(one)
          expect(cursor.at).toBe(out.length)
        },
      ),
      hostile.runs(0.1),
    )
  })
})

const EPOCH = '0123456789abcdef'
const shapesText = (...lines: string[]) => [`${EPOCH} 1`, ...lines].join('\n')

describe('the shapes', () => {
  it('that are whole are read', { timeout: hostile.timeoutMs }, () => {
    const known = [
      ['sub'],
      [],
      ['client_id', 'sub'],
      ['#sha256'],
      ['\u2028', '\u2029'],
      ['\n', '\r', '\u0085'],
    ]
    // Whatever a target may be made of comes back from the list.
    const names = fc
      .uniqueArray(nastyText(128), { minLength: 1, maxLength: 8 })
      .filter((list) => list.every((name) => name !== '' && !name.startsWith('#') && name.isWellFormed()))
    const made = names.map((list) => parseTarget(Object.fromEntries(list.map((name) => [name, 'x']))).shape)
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...known), made), (shape) => {
        const list = shapesText(`1795651200 ${shapeKey(shape)}`, '4294969600 []')
        expect(read(() => parseShapes(list))?.shapes).toEqual([shape, []])
      }),
      hostile.runs(0.1),
    )
  })

  it.each<[string, string]>([
    ['nothing', ''],
    ['an epoch that is none', `${EPOCH.toUpperCase()} 1\n1 ["sub"]`],
    ['partitions that are none', `${EPOCH} x`],
    ['a line without an end', shapesText('["sub"]')],
    ['a line of an end that is none', shapesText('1e9 ["sub"]')],
    ['an empty line', shapesText('')],
    ['what is not JSON', shapesText('1 ["sub"')],
    ['what is no list', shapesText('1 {"0":"sub"}')],
    ['a name that is no text', shapesText('1 ["sub",1]')],
    ['a name of a megabyte', shapesText(`1 ["${TEXTS['a megabyte']}"]`)],
    [
      'a hundred thousand names',
      shapesText(`1 ${JSON.stringify(Array.from({ length: 100_000 }, (_, i) => `c${i}`))}`),
    ],
    ['another spelling of JSON', shapesText('1 [ "sub" ]')],
    [
      'more shapes than may be',
      shapesText(...Array.from({ length: SHAPES_MAX + 1 }, (_, i) => `1 ["c${i}"]`)),
    ],
    ['deep nesting', shapesText(`1 ${'['.repeat(100_000)}`)],
  ])('of %s are refused', (_, list) => {
    expect(read(() => parseShapes(list))).toBeUndefined()
  })

  it.each<[string, readonly string[]]>([
    ['an empty name', ['']],
    ['a lone surrogate', ['\ud800']],
    ['a reserved name', ['#sha255']],
    ['the name of one token, and another', ['#sha256', 'sub']],
    ['names in another order, which no digest has', ['sub', 'client_id']],
    ['a name twice', ['sub', 'sub']],
    ['more names than a target has', Array.from({ length: 9 }, (_, i) => `c${i}`)],
  ])('of %s are passed over: no target is of them, and the others go on', (_, shape) => {
    const list = shapesText('1795651200 ["sub"]', `1 ${JSON.stringify(shape)}`)
    expect(read(() => parseShapes(list))).toMatchObject({ shapes: [['sub']], ends: [1_795_651_200] })
  })

  it(
    'that were changed are refused, or have names that a target could have',
    { timeout: hostile.timeoutMs },
    () => {
      const base = shapesText('1795651200 ["sub"]', '1795651200 ["iss","jti"]', '1795651200 []')
      fc.assert(
        fc.property(
          fc.oneof(
            fc.array(CHANGE, { minLength: 1, maxLength: 3 }).map((changes) => changed(base, changes)),
            nastyText().map((line) => shapesText(line)),
          ),
          (list) => {
            for (const shape of read(() => parseShapes(list))?.shapes ?? []) {
              expect(shape.length).toBeLessThanOrEqual(8)
              expect(shape).toEqual(
                [...new Set(shape)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
              )
            }
          },
        ),
        hostile.runs(0.15),
      )
    },
  )
})

describe('lines of the log', () => {
  const digest = parseTarget({ sub: 'alice' }).digest
  const line = (at: number) => {
    const bytes = Buffer.alloc(RECORD_BYTES)
    writeRecord(bytes, 0, { operation: 1, digest, end: at + 600, issuedBefore: at, at })
    return bytes
  }
  function log(count: number): Buffer {
    let chain = chainStart(EPOCH)
    return Buffer.concat(
      Array.from({ length: count }, (_, i) => {
        const bytes = line(1e9 + i)
        chain = chainNext(chain, bytes, 0)
        bytes.writeUIntLE(chain >>> 8, 29, 3)
        return bytes
      }),
    )
  }
  const truth = log(12)

  it('that were changed do not continue the chain', { timeout: hostile.timeoutMs }, () => {
    fc.assert(
      fc.property(fc.array(BYTE_CHANGE, { minLength: 1, maxLength: 2 }), (changes) => {
        const bytes = changedBytes(truth, changes)
        const length = bytes.length - (bytes.length % RECORD_BYTES)
        const chain = hostile.now(() =>
          chainOver(chainStart(EPOCH), wordsOf(Buffer.from(bytes.subarray(0, length)))),
        )
        const isPrefix = truth.subarray(0, length).equals(bytes.subarray(0, length))
        expect(chain !== undefined).toBe(isPrefix)
      }),
      hostile.runs(0.15),
    )
  })

  it.each(Array.from({ length: 256 }, (_, kind) => kind).filter((kind) => ![0x11, 0x12].includes(kind)))(
    'of kind %i are refused',
    (kind) => {
      const bytes = line(1e9)
      bytes[28] = kind
      expect(read(() => readRecord(bytes, 0))).toBeUndefined()
    },
  )

  it('behind a header of another format are refused', () => {
    for (const header of [
      Buffer.alloc(0),
      Buffer.alloc(31, 'RSL1'),
      Buffer.from('RSL2'.padEnd(32, '\0')),
      Buffer.alloc(32),
    ])
      expect(read(() => readSegmentHeader(header))).toBeUndefined()
  })
})

describe('a position', () => {
  it('of any text is read or refused', { timeout: hostile.timeoutMs }, () => {
    const base = `${EPOCH}:1:64:00000000;;${EPOCH}:2:32:ffffffff`
    fc.assert(
      fc.property(
        fc.oneof(
          nastyText(),
          fc.array(CHANGE, { minLength: 1, maxLength: 3 }).map((changes) => changed(base, changes)),
        ),
        (position) => {
          for (const part of hostile.now(() => parsePosition(position)) ?? [])
            if (part !== undefined)
              for (const number of [part.segment, part.offset, part.chain])
                expect(Number.isInteger(number) && number >= 0).toBe(true)
        },
      ),
      hostile.runs(0.09),
    )
  })

  it('of a megabyte is read in time', () => {
    for (const position of [
      TEXTS['a megabyte'] as string,
      ';'.repeat(100_000),
      `${'0'.repeat(16)}:1:1:00000000;`.repeat(20_000),
    ])
      hostile.now(() => parsePosition(position))
  })
})
