/** Segments of the log that somebody wrote over on a real Redis: told, never followed for ever, never believed. */
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { chainNext, chainStart, RECORD_BYTES } from '../../src/core/record.js'
import { hasCode } from '../../src/errors.js'
import { ORIGIN, type Position } from '../../src/stores/position.js'
import { Hostile } from './inputs.js'
import { BYTE_CHANGE, changedBytes, flipped } from './texts.js'
import { LOG, PERSONS, WrittenOver } from './written-over.js'

const hostile = new Hostile('log')
let scene: WrittenOver

beforeAll(async () => {
  scene = await WrittenOver.start()
})
beforeEach(() => scene.restore())
afterAll(() => scene.stop())

/** What was read; undefined for what was refused as it should be. */
async function readDamaged(from: Position): Promise<Buffer | undefined> {
  try {
    return (await hostile.later(() => scene.readAll(from))).records
  } catch (error) {
    if (hasCode(error, 'ERR_LOG_CHANGED') || hasCode(error, 'ERR_STORE_CORRUPT')) return undefined
    throw error
  }
}

/** The same segment with another kind in its record number `n`, and a chain that follows. */
function withKind(n: number, kind: number): Buffer {
  const bytes = Buffer.from(scene.log)
  bytes[RECORD_BYTES * (n + 1) + 28] = kind
  let chain = chainStart(scene.end.epoch)
  for (let at = RECORD_BYTES; at < bytes.length; at += RECORD_BYTES) {
    chain = chainNext(chain, bytes, at)
    bytes.writeUIntLE(chain >>> 8, at + 29, 3)
  }
  return bytes
}

describe('a segment of the log', () => {
  it('sanity: is read whole, and its chain can be made anew', async () => {
    expect((await scene.readAll(ORIGIN)).records).toHaveLength(PERSONS.length * RECORD_BYTES)
    expect(withKind(3, 0x11).equals(scene.log)).toBe(true)
  })

  it('that was changed is told, or read as far as it is true', { timeout: hostile.timeoutMs }, async () => {
    const seen = { refused: 0, read: 0 }
    const [truth, places] = [scene.log.subarray(RECORD_BYTES), placesIn()]
    const place = fc.constantFrom(...places)
    await fc.assert(
      fc.asyncProperty(
        fc.array(BYTE_CHANGE, { minLength: 1, maxLength: 3 }),
        place,
        async (changes, from) => {
          const bytes = changedBytes(scene.log, changes)
          await scene.redis.set(LOG, bytes)
          const records = await readDamaged(from)
          seen[records === undefined ? 'refused' : 'read'] += 1
          if (records === undefined) return
          const start = from.segment === 0 ? 0 : from.offset - RECORD_BYTES
          expect(records.equals(truth.subarray(start, start + records.length))).toBe(true)
        },
      ),
      hostile.runs(0.7),
    )
    expect(Math.min(seen.refused, seen.read)).toBeGreaterThan(0)
  })

  /** The beginning, the middle and the end. */
  function placesIn(): Position[] {
    let at: Position = { ...scene.end, offset: RECORD_BYTES, chain: chainStart(scene.end.epoch) }
    const places = [ORIGIN]
    for (let n = 0; n < PERSONS.length; n++) {
      at = { ...at, chain: chainNext(at.chain, scene.log, at.offset), offset: at.offset + RECORD_BYTES }
      if (n === PERSONS.length >> 1) places.push(at)
    }
    return [...places, at]
  }

  it(
    'that somebody has read to its end is never found shorter, or another',
    { timeout: hostile.timeoutMs },
    async () => {
      const cut = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
      await fc.assert(
        fc.asyncProperty(cut, async (part) => {
          await scene.redis.set(LOG, scene.log.subarray(0, Math.floor(part * scene.log.length)))
          expect(await readDamaged(scene.end)).toBeUndefined()
        }),
        hostile.runs(0.1),
      )
    },
  )

  it.each<[string, () => Buffer]>([
    ['of a future format', () => Buffer.concat([Buffer.from('RSL2'), scene.log.subarray(4)])],
    [
      'of another epoch',
      () => Buffer.concat([scene.log.subarray(0, 4), Buffer.alloc(8, 7), scene.log.subarray(12)]),
    ],
    ['of another number', () => flipped(scene.log, 12)],
    ['of another chain', () => flipped(scene.log, 16)],
    ['with the first record gone', () => Buffer.concat([scene.log.subarray(0, 32), scene.log.subarray(64)])],
    [
      'with two records in the place of each other',
      () =>
        Buffer.concat([
          scene.log.subarray(0, 64),
          scene.log.subarray(96, 128),
          scene.log.subarray(64, 96),
          scene.log.subarray(128),
        ]),
    ],
    ['with a record twice', () => Buffer.concat([scene.log.subarray(0, 96), scene.log.subarray(64)])],
    ['of text', () => Buffer.from('{"log":[]}'.repeat(100))],
    ['of zeros', () => Buffer.alloc(scene.log.length)],
    ['of a byte', () => Buffer.from([0x52])],
    [
      'of three megabytes of zeros behind it',
      () => Buffer.concat([scene.log, Buffer.alloc(3 * 1024 * 1024)]),
    ],
  ])('%s is refused', async (_, make) => {
    await scene.redis.set(LOG, make())
    expect(await readDamaged(ORIGIN)).toBeUndefined()
  })

  it.each([0, 3, 15])(
    'with an operation %i that nobody knows makes no node fresh, and strict checks go on',
    async (operation) => {
      await scene.redis.set(LOG, withKind(3, 0x10 + operation))
      const manager = scene.open()
      try {
        await expect(manager.ready({ timeoutMs: 500 })).rejects.toSatisfy((error) =>
          hasCode(error, 'ERR_STORE_CORRUPT'),
        )
        for (const sub of PERSONS) expect(await manager.isRevoked({ sub })).toBe(true)
      } finally {
        await manager.close()
      }
    },
  )

  it('with a record of a future version makes no node fresh', async () => {
    await scene.redis.set(LOG, withKind(3, 0x21))
    const manager = scene.open()
    try {
      await expect(manager.ready({ timeoutMs: 500 })).rejects.toSatisfy((error) =>
        hasCode(error, 'ERR_STORE_CORRUPT'),
      )
    } finally {
      await manager.close()
    }
  })

  it.each([1, 2, 20, 39])(
    'that lost its last %i records leaves nobody clear on a node that comes new',
    async (count) => {
      await scene.redis.set(LOG, scene.log.subarray(0, scene.log.length - count * RECORD_BYTES))
      await scene.expectNoneClear()
    },
  )

  it('that lost a part of its last record leaves nobody clear on a node that comes new', async () => {
    await scene.redis.set(LOG, scene.log.subarray(0, scene.log.length - 5))
    await scene.expectNoneClear()
  })
})
