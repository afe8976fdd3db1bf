import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ANY_TIME,
  EMPTY_STATE,
  type Entry,
  findDeadly,
  isIssuedBefore,
  merge,
  restore,
  revoke,
  type State,
} from '../../src/core/revocation.js'

const second = fc.integer({ min: 1, max: 12 })
const entry: fc.Arbitrary<Entry> = fc.record({
  at: second,
  end: second,
  issuedBefore: fc.oneof(second, fc.constant(ANY_TIME)),
  reason: fc.constantFrom(undefined, 'a', 'b'),
})
/** Any state that can come out of revoking, restoring and merging. */
const state: fc.Arbitrary<State> = fc
  .record({ restoredAt: fc.integer({ min: 0, max: 12 }), entries: fc.array(entry, { maxLength: 6 }) })
  .map((raw) => merge(raw, EMPTY_STATE))

describe('merge', () => {
  const runs = { numRuns: 5000 }
  it('is associative', () => {
    fc.assert(
      fc.property(state, state, state, (a, b, c) => {
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)))
      }),
      runs,
    )
  })
  it('is commutative', () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        expect(merge(a, b)).toEqual(merge(b, a))
      }),
      runs,
    )
  })
  it('is idempotent', () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        expect(merge(merge(a, b), b)).toEqual(merge(a, b))
      }),
      runs,
    )
  })
  it('refuses what one of both refuses, unless a later restore took it back', () => {
    fc.assert(
      fc.property(state, state, second, second, (a, b, iat, now) => {
        const together = merge(a, b)
        const alive = [...a.entries, ...b.entries].filter(
          ({ at }) => at > Math.max(a.restoredAt, b.restoredAt),
        )
        const wanted = alive.some(({ end, issuedBefore }) => now < end && isIssuedBefore(issuedBefore, iat))
        expect(findDeadly(together, iat, now) !== undefined).toBe(wanted)
      }),
      runs,
    )
  })
})

describe('revoke and restore', () => {
  it('a revocation after a restore holds, in the same second and after a backward step of the clock', () => {
    const first = revoke(EMPTY_STATE, { at: 100, end: 200, issuedBefore: ANY_TIME }, 100).state
    const restored = restore(first, 100)!
    expect(findDeadly(restored, 1, 100)).toBeUndefined()
    for (const at of [100, 40]) {
      const again = revoke(restored, { at, end: 150, issuedBefore: ANY_TIME }, at).state
      expect(findDeadly(again, 1, 149)).toBeDefined()
      // A node that only saw the first state cannot bring back its longer end.
      expect(findDeadly(merge(again, first), 1, 151)).toBeUndefined()
      expect(findDeadly(merge(first, again), 1, 149)).toBeDefined()
    }
  })

  it('a restore survives a merge with what it took back', () => {
    const first = revoke(EMPTY_STATE, { at: 100, end: 200, issuedBefore: ANY_TIME }, 100).state
    expect(merge(restore(first, 101)!, first).entries).toEqual([])
  })

  it('revoking again in a later second is remembered, so that a restore between the two cannot undo it', () => {
    const first = revoke(EMPTY_STATE, { at: 100, end: 200, issuedBefore: ANY_TIME }, 100).state
    const again = revoke(first, { at: 110, end: 200, issuedBefore: ANY_TIME }, 110)
    expect(again.changed).toBe(true)
    expect(findDeadly(merge(again.state, restore(first, 105)!), 1, 150)).toBeDefined()
  })
})

describe('issuedBefore', () => {
  it('is inclusive: the same second is dead, the next is not, and no iat is dead', () => {
    expect(isIssuedBefore(100, 99)).toBe(true)
    expect(isIssuedBefore(100, 100)).toBe(true)
    expect(isIssuedBefore(100, 100.999)).toBe(true)
    expect(isIssuedBefore(100, 101)).toBe(false)
    for (const iat of [undefined, null, '101', NaN, Infinity, {}, []])
      expect(isIssuedBefore(100, iat)).toBe(true)
    expect(isIssuedBefore(ANY_TIME, 2 ** 40)).toBe(true)
  })
})
