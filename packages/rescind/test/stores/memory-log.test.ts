import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../../src/core/record.js'
import { PRUNE_GRACE_SECONDS } from '../../src/core/revocation.js'
import { MemoryLog } from '../../src/stores/memory-log.js'

function line(end: number): LogRecord {
  return { operation: 'revoke', digest: 'A'.repeat(22), issuedBefore: 0, at: 1, end }
}

/** Goes round until a whole round has found nothing more. */
function sweepAll(log: MemoryLog, now: number): void {
  for (let idle = 0; idle <= log.size + 1; idle++) if (log.sweepOne(now)) idle = 0
}

function placesFrom(log: MemoryLog, from: number, countMax: number): number[] {
  const places: number[] = []
  for (let at = from; ;) {
    const { lines, next, isEnd } = log.read(at, countMax)
    places.push(...lines.map(({ place }) => place))
    if (isEnd) {
      expect(next).toBe(log.end)
      return places
    }
    expect(next).toBe(places.at(-1)! + 1)
    at = next
  }
}

describe('MemoryLog', () => {
  it('takes out what has ended wherever it stands, and reads what stands in order from every place', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat({ max: 200 })), {
      maxLength: 400,
    })
    fc.assert(
      fc.property(steps, fc.nat({ max: 200 }), fc.integer({ min: 1, max: 100 }), (lives, now, countMax) => {
        const log = new MemoryLog()
        const ends: number[] = []
        for (const [count, end] of lives) {
          for (let i = 0; i < count; i++) {
            ends.push(end)
            log.append(line(end))
            if (i % 7 === 0) log.sweepOne(PRUNE_GRACE_SECONDS + Math.min(now, end))
          }
        }
        sweepAll(log, now + PRUNE_GRACE_SECONDS)
        const standing = [...ends.keys()].filter((place) => (ends[place] as number) > now)
        expect(log.size).toBe(standing.length)
        expect(log.end).toBe(ends.length)
        expect(log.begin).toBe(standing[0] ?? ends.length)
        for (const from of [0, 1, Math.floor(ends.length / 2), standing.at(-1) ?? 0, ends.length]) {
          expect(placesFrom(log, from, countMax)).toEqual(standing.filter((place) => place >= from))
          expect([...log.backwards(from)].map(({ place }) => place)).toEqual(
            standing.filter((place) => place < from).reverse(),
          )
        }
      }),
      { numRuns: 200 },
    )
  })

  it('does not keep more for a long life than that life itself, and no step takes longer in a longer log', () => {
    const log = new MemoryLog()
    for (let i = 0; i < 100_000; i++) {
      log.append(line(i % 100 === 0 ? 1e9 : i))
      log.sweepOne(i + PRUNE_GRACE_SECONDS)
    }
    // A thousand lives without an end, and what the round has not come to.
    expect(log.size).toBeLessThan(3000)
  })
})
