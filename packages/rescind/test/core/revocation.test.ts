import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ANY_TIME,
  EMPTY_STATE,
  ENTRIES_MAX,
  type Entry,
  findDeadly,
  isIssuedBefore,
  merge,
  PRUNE_GRACE_SECONDS,
  restore,
  revoke,
  type State,
  TIME_MAX,
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

  it('a revocation after a restore at the end of all times is an error, and never a void one', () => {
    const wanted = { at: 1000, end: 9000, issuedBefore: ANY_TIME }
    const restored = { restoredAt: TIME_MAX - 1, entries: [] }
    expect(revoke(restored, wanted, 1000).state.entries).toEqual([{ ...wanted, at: TIME_MAX }])
    for (const restoredAt of [TIME_MAX, TIME_MAX + 1])
      expect(() => revoke({ restoredAt, entries: [] }, wanted, 1000)).toThrow(
        expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }),
      )
  })

  it('a restore survives a merge with what it took back', () => {
    const first = revoke(EMPTY_STATE, { at: 100, end: 200, issuedBefore: ANY_TIME }, 100).state
    expect(merge(restore(first, 101)!, first).entries).toEqual([])
  })

  it('tells the statement as it was made: none where it is said already, later than a restore, wider where it took in another', () => {
    const wanted = { at: 100, end: 200, issuedBefore: ANY_TIME }
    const first = revoke(EMPTY_STATE, wanted, 100)
    expect(first.made).toBe(first.state.entries[0])
    expect(revoke(first.state, { ...wanted, end: 150 }, 100)).toEqual({ state: first.state, made: undefined })
    expect(revoke(restore(first.state, 120)!, wanted, 120).made).toEqual({ ...wanted, at: 121 })
    // What has ended long ago says nothing: the same words are a statement of their own.
    expect(revoke(first.state, wanted, 200 + PRUNE_GRACE_SECONDS).made).toEqual(wanted)
    let full: State = EMPTY_STATE
    for (let i = 0; i < ENTRIES_MAX; i++)
      full = revoke(full, { at: i + 1, end: 900 - i, issuedBefore: i }, 100).state
    const absorbing = revoke(full, { at: 50, end: 800, issuedBefore: 50 }, 100)
    expect(absorbing.made).toEqual({ at: 50, end: 900, issuedBefore: 50 })
    expect(absorbing.state.entries).toContain(absorbing.made)
  })

  it('revoking again in a later second is remembered, so that a restore between the two cannot undo it', () => {
    const first = revoke(EMPTY_STATE, { at: 100, end: 200, issuedBefore: ANY_TIME }, 100).state
    const again = revoke(first, { at: 110, end: 200, issuedBefore: ANY_TIME }, 110)
    expect(again.made).toEqual({ at: 110, end: 200, issuedBefore: ANY_TIME })
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
