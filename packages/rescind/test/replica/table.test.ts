import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { ANY_TIME, EMPTY_STATE, findDeadly, merge, type State } from '../../src/core/revocation.js'
import { hasCode } from '../../src/errors.js'
import {
  MOVE_CHUNKS,
  type Multipliers,
  PROBE_CHUNKS_MAX,
  type SlotsOptions,
  VOID,
} from '../../src/replica/slots.js'
import { STATEMENTS_MAX, Table } from '../../src/replica/table.js'

/** Digests of the model tests: number `n` as four words. */
const UNIVERSE = 60
const words = randomWords(UNIVERSE, 1)
const LATER = 4_000_000_000

type Operation =
  | { kind: 'revoke'; n: number; end: number; issuedBefore: number; at: number }
  | { kind: 'restore'; n: number; restoredAt: number; keptUntil: number }
  | { kind: 'sweep'; now: number; steps: number }
  | { kind: 'reserve'; count: number }

const digest = fc.nat(UNIVERSE - 1)
const second = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: LATER + 1, max: LATER + 12 }))
const revoke: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant('revoke'),
  n: digest,
  end: second,
  issuedBefore: fc.oneof(second, fc.constant(ANY_TIME)),
  at: second,
})
const restore: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant('restore'),
  n: digest,
  restoredAt: second,
  keptUntil: second,
})
const sweep: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant('sweep'),
  now: second,
  steps: fc.constant(10_000),
})
const reserve: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant('reserve'),
  count: fc.integer({ min: 1, max: 400 }),
})
const anyOperation = fc.oneof(
  { weight: 30, arbitrary: revoke },
  { weight: 5, arbitrary: restore },
  { weight: 1, arbitrary: sweep },
  { weight: 1, arbitrary: reserve },
)
const COLLIDING: Multipliers = [0, 0, 0, 0]
/** Seldom changing tables, tiny ones, and tiny ones in which all digests have the same hash. */
const options = fc.constantFrom<SlotsOptions>({}, { capacity: 1 }, { capacity: 1, multipliers: COLLIDING })

describe('a table', () => {
  it('holds what a map of core states holds, while it grows, moves and shrinks', () => {
    fc.assert(
      fc.property(
        options,
        fc.array(anyOperation, { minLength: 1, maxLength: 300, size: 'max' }),
        (option, operations) => {
          const table = new Table(option)
          const model = new Model()
          for (const operation of operations) {
            const answers = [apply(table, operation), table.size]
            const wanted = [model.apply(operation), model.size]
            if (answers.join() !== wanted.join()) expect(answers).toEqual(wanted)
            expectSameFinds(table, model, operation)
          }
          expectSameStates(table, model)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('sweeps in steps, and drops only what has ended', () => {
    fc.assert(
      fc.property(
        fc.array(revoke, { minLength: 50, maxLength: 150, size: 'max' }),
        second,
        fc.integer({ min: 1, max: 5 }),
        (operations, now, steps) => {
          const table = new Table({ capacity: 1 })
          const model = new Model()
          for (const operation of operations) {
            apply(table, operation)
            model.apply(operation)
          }
          let removed = 0
          const size = table.size
          for (let i = 0; i < 3 * (table.capacity / 14); i++) removed += table.sweep(now, steps)
          expect(table.size).toBe(size - removed)
          model.apply({ kind: 'sweep', now, steps: Infinity })
          expectSameStates(table, model)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('ends in the same state whatever the order and however often a change is applied', () => {
    const changes = fc.array(fc.oneof(revoke, revoke, restore), { maxLength: 120, size: 'max' })
    const shuffled = changes.chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2, maxLength: all.length * 2 }),
      ),
    )
    fc.assert(
      fc.property(options, shuffled, (option, [once, twice]) => {
        const a = new Table(option)
        const b = new Table({ capacity: 1 })
        for (const operation of once) apply(a, operation)
        for (const operation of twice) apply(b, operation)
        expect(statesOf(a)).toEqual(statesOf(b))
        expect(once.filter((operation) => apply(a, operation))).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  it('gives every digest exactly once, though the table moves between two steps', () => {
    for (const [from, to] of [
      [20, 4000],
      [4000, 20],
    ] as const) {
      const all = randomWords(4000, 2)
      const table = new Table({ capacity: 1 })
      // What stays, and what comes or goes while the states are read.
      for (let n = 0; n < 4000; n++) {
        if (n < 20 || n < from) table.revoke(all, n * 4, n < 20 ? 100 : 50, ANY_TIME, 1)
      }
      const seen = new Map<string, number>()
      let n = 20
      for (const { words } of table.states()) {
        seen.set(words.join(), (seen.get(words.join()) ?? 0) + 1)
        for (let i = 0; i < 40; i++, n++) {
          if (from < to && n < to) table.revoke(all, n * 4, 50, ANY_TIME, 1)
          else table.sweep(60, 20)
        }
      }
      for (let n = 0; n < 20; n++) expect(seen.get(all.slice(n * 4, n * 4 + 4).join())).toBe(1)
      expect(Math.max(...seen.values())).toBe(1)
      expect(table.size).toBe(20)
    }
  })

  it('shows every statement exactly once, though the table moves between two steps, and no mark of a restore', () => {
    const all = randomWords(4000, 3)
    const table = new Table({ capacity: 1 })
    table.restore(all, 4 * 3999, 5, 9)
    for (let n = 0; n < 20; n++)
      for (const [end, issuedBefore] of [
        [100, 1],
        [50, ANY_TIME],
      ] as const)
        table.revoke(all, n * 4, end, issuedBefore, n + 1)
    const seen = new Map<string, number>()
    let n = 20
    const show = (slab: Int32Array, base: number) => {
      const [end, , at] = slab.subarray(base + 4, base + 7)
      const key = `${slab.subarray(base, base + 4).join()} ${end} ${at}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
    for (const _ of table.statements(show))
      for (let i = 0; i < 40 && n < 3999; i++) table.revoke(all, n++ * 4, 60, ANY_TIME, 9)
    for (let n = 0; n < 20; n++)
      for (const end of [100, 50])
        expect(seen.get(`${all.subarray(n * 4, n * 4 + 4).join()} ${end} ${n + 1}`)).toBe(1)
    expect(Math.max(...seen.values())).toBe(1)
    expect([...seen.keys()].filter((key) => key.startsWith(all.subarray(-4).join()))).toEqual([])
  })

  it('says when a restore is remembered until', () => {
    const table = new Table()
    table.restore(words, 0, 5, 9)
    expect([...table.states()]).toEqual([
      { words: words.slice(0, 4), state: { restoredAt: 5, entries: [] }, keptUntil: 9 },
    ])
    expect(table.size).toBe(0)
  })

  it('refuses times that it cannot hold, and takes no statement for the mark of a restore', () => {
    const table = new Table()
    for (const bad of [-1, 2 ** 32, 1.5, NaN]) {
      for (const call of [
        () => table.revoke(words, 0, bad, 1, 1),
        () => table.revoke(words, 0, 1, bad, 1),
        () => table.revoke(words, 0, 1, 1, bad),
        () => table.restore(words, 0, bad, 1),
        () => table.restore(words, 0, 1, bad),
      ]) {
        expect(codeOf(call)).toBe(true)
      }
    }
    expect(table.size).toBe(0)
    table.revoke(words, 0, LATER, VOID, 1)
    expect(table.find(words, 0, 7, 1)).not.toBe(-1)
    expect(table.size).toBe(1)
  })

  it('has the oldest statement absorbed when too many of one digest stand side by side', () => {
    const table = new Table({ capacity: 1 })
    const count = STATEMENTS_MAX + 30
    for (let i = 0; i < count; i++) {
      table.revoke(words, 0, 1000 - i, 10, 10 + i)
      // The oldest has the latest end, so that with it the new one covers all.
      expect(table.size).toBe(i < STATEMENTS_MAX ? i + 1 : i + 1 - STATEMENTS_MAX)
      // Nothing that was refused is ever let through.
      expect(table.endOf(table.find(words, 0, 10, 1))).toBe(1000)
    }
    expect(table.find(words, 0, 11, 1)).toBe(-1)
  })
})

describe('a large table', () => {
  const COUNT = 1_000_000
  const all = randomWords(2 * COUNT, 3)
  const table = new Table()
  const sizes = new Map<number, number>()
  let movingMost = 0
  let workMost = 0
  beforeAll(() => {
    for (let n = 0; n < COUNT; n++) {
      const work = table.work
      table.revoke(all, n * 4, LATER, ANY_TIME, 1)
      workMost = Math.max(workMost, table.work - work)
      if (n > 500_000 && n % 100 === 0 && table.isMoving) {
        movingMost = Math.max(movingMost, table.bytes / table.size)
      }
      if (n > 100_000 && n % 100 === 0 && !table.isMoving) sizes.set(n, table.bytes / table.size)
    }
  })

  it('finds each of a million entries, and none of another million', () => {
    let found = 0
    let wrong = 0
    for (let n = 0; n < COUNT; n++) if (table.find(all, n * 4, 1, 1) !== -1) found++
    for (let n = COUNT; n < 2 * COUNT; n++) if (table.find(all, n * 4, 1, 1) !== -1) wrong++
    expect({ found, wrong }).toEqual({ found: COUNT, wrong: 0 })
  })

  it('takes at most 45 bytes an entry at any size above 100,000', () => {
    expect(sizes.size).toBeGreaterThan(COUNT / 400)
    let most = 0
    for (const bytes of sizes.values()) most = Math.max(most, bytes)
    expect(most).toBeLessThan(45)
    expect(most).toBeGreaterThan(28)
  })

  it('holds no two tables while it moves, for slabs that emptied are used again', () => {
    expect(movingMost).toBeGreaterThan(28)
    expect(movingMost).toBeLessThan(52)
  })

  it('moves a bounded number of chunks with each operation', () => {
    // Two homes, each with the chunks that its entries overflowed to: how many is chance, of a secret hash.
    expect(workMost).toBeGreaterThanOrEqual(MOVE_CHUNKS)
    expect(workMost).toBeLessThan(MOVE_CHUNKS * PROBE_CHUNKS_MAX)
    const { work } = table
    table.sweep(0, 100)
    expect(table.work - work).toBeGreaterThanOrEqual(100)
    expect(table.work - work).toBeLessThan(400)
  })

  it('gives every digest exactly once', () => {
    let count = 0
    for (const { state } of table.states()) {
      if (state.entries.length === 1) count++
      if (count > 50_000) break
    }
    expect(count).toBe(50_001)
  })
})

describe('a table that grows and shrinks by slabs', () => {
  it('loses nothing and keeps nothing, with several slabs and recycled ones', () => {
    const count = 160_000
    const all = randomWords(count, 4)
    const random = mulberry(5)
    const table = new Table({ capacity: 1 })
    /** End of each digest, 0 when it is not held. */
    const ends = new Uint32Array(count)
    let live = 0
    const check = (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        const handle = table.find(all, n * 4, 1, 0)
        const end = handle === -1 ? 0 : table.endOf(handle)
        if (end !== ends[n]) throw new Error(`digest ${n} ends at ${end} and not ${ends[n]}`)
      }
    }
    const capacities = new Set<number>()
    for (let round = 1; round <= 4; round++) {
      for (let n = 0; n < count; n++) {
        // Most end with the round, an eighth with the next one.
        const end = random() < 0.125 ? round + 1 : round
        if (table.revoke(all, n * 4, end, ANY_TIME, round)) ends[n] = Math.max(end, ends[n] as number)
        if (n % 8192 === 0) check(Math.max(0, n - 500), n + 1)
        if (table.isMoving && n % 1000 === 0) check(0, 2000)
      }
      check(0, count)
      capacities.add(table.capacity)
      for (let i = 0; i < 4 && (i < 2 || table.isMoving); i++) {
        while (table.isMoving) table.sweep(round, 777)
        for (let left = table.capacity / 14; left > 0 && !table.isMoving; left -= 777) table.sweep(round, 777)
      }
      while (table.isMoving) table.sweep(round, 777)
      live = 0
      for (let n = 0; n < count; n++) {
        if ((ends[n] as number) <= round) ends[n] = 0
        else live++
      }
      check(0, count)
      expect(table.size).toBe(live)
      // Shrunk: at most two thirds are free.
      expect(table.size / table.capacity).toBeGreaterThan(0.3)
      expect(table.bytes / table.size).toBeLessThan(100)
    }
    expect(Math.max(...capacities)).toBeLessThan(count / 0.6)
  })

  it('does not find what was swept, whatever lies beside it', () => {
    const count = 100_000
    const all = randomWords(count, 6)
    const table = new Table({ capacity: count })
    for (let n = 0; n < count; n++) table.revoke(all, n * 4, n % 2 === 0 ? 10 : 20, ANY_TIME, 1)
    table.sweep(10, table.capacity)
    expect(table.size).toBe(count / 2)
    let found = 0
    for (let n = 0; n < count; n++) if (table.find(all, n * 4, 1, 1) !== -1) found += n % 2 === 0 ? 1e6 : 1
    expect(found).toBe(count / 2)
  })

  it('drops what has ended while it moves, too', () => {
    const count = 10_000
    const all = randomWords(count, 11)
    const table = new Table({ capacity: 1 })
    let n = 0
    while (n < 5000 || !table.isMoving) table.revoke(all, n++ * 4, 10, ANY_TIME, 1)
    const removed = table.sweep(10, 100)
    expect(table.isMoving).toBe(true)
    expect(removed).toBeGreaterThan(800)
    expect(table.size).toBe(n - removed)
  })

  it('goes on sweeping where it stopped when it has grown meanwhile', () => {
    const count = 5000
    const all = randomWords(count, 12)
    const table = new Table({ capacity: count })
    for (let n = 0; n < count; n++) table.revoke(all, n * 4, n % 10 === 0 ? 10 : 20, ANY_TIME, 1)
    table.sweep(10, Math.ceil((table.capacity / 14) * 0.6))
    table.reserve(count * 3)
    while (table.isMoving) table.revoke(all, 4, 1, 1, 1)
    expect(table.size).toBeGreaterThan(count * 0.92)
    table.sweep(10, Math.ceil((table.capacity / 14) * 0.45))
    // What lay past the place, away from home, and lies before it now has its turn in the next round.
    expect(table.size - count * 0.9).toBeLessThan(10)
    table.sweep(10, Math.ceil(table.capacity / 14))
    expect(table.size).toBe(count * 0.9)
  })

  it('takes memory for a reserve only as it is used, keeps it for a load, and gives it back', () => {
    const count = 200_000
    const all = randomWords(count, 7)
    const table = new Table({ capacity: 10 })
    table.reserve(count)
    expect(table.bytes).toBeLessThan(10_000)
    table.revoke(all, 0, 10, ANY_TIME, 1)
    table.sweep(5, 100)
    const { capacity } = table
    expect(capacity).toBeGreaterThan(count)
    for (let n = 1; n < count; n++) table.revoke(all, n * 4, 10, ANY_TIME, 1)
    expect(table.capacity).toBe(capacity)
    expect(table.bytes / table.size).toBeLessThan(45)
    expect(table.sweep(10, Infinity)).toBe(count)
    for (let i = 0; i < 12; i++) table.sweep(10, Infinity)
    expect(table.isMoving).toBe(false)
    expect(table.capacity).toBeLessThan(100)
    expect(table.bytes).toBeLessThan(10_000)
  })

  it('is not held up by a reserve for more than can be', () => {
    const all = randomWords(1000, 9)
    const table = new Table()
    table.reserve(2 ** 40)
    for (let n = 0; n < 1000; n++) table.revoke(all, n * 4, 10, ANY_TIME, 1)
    expect(table.size).toBe(1000)
  })

  it('is not held up by a reserve that a larger table made needless', () => {
    const table = new Table({ capacity: 10_000 })
    table.reserve(100)
    expect(table.isMoving).toBe(false)
    expect(table.capacity).toBeGreaterThanOrEqual(10_000)
  })
})

describe('collisions', () => {
  it('that saturate the counts of chunks lose nothing, before and after removal', () => {
    const count = 2000
    const all = randomWords(count, 8)
    const table = new Table({ capacity: 1, multipliers: COLLIDING })
    for (let n = 0; n < count; n++) table.revoke(all, n * 4, n % 3 === 0 ? 10 : 20, ANY_TIME, 1)
    expect(table.probeMax).toBeGreaterThan(PROBE_CHUNKS_MAX)
    // It grew because of them, and not without end.
    expect(table.capacity).toBeLessThan(count * 4)
    const found = (now: number) => {
      let count_ = 0
      for (let n = 0; n < count; n++) if (table.find(all, n * 4, 1, now) !== -1) count_++
      return count_
    }
    expect(found(1)).toBe(count)
    table.sweep(10, Infinity)
    expect(table.size).toBe(count - Math.ceil(count / 3))
    expect(found(1)).toBe(table.size)
    for (let n = 0; n < count; n++) table.revoke(all, n * 4, 30, ANY_TIME, 2)
    expect(found(25)).toBe(count)
    expect(table.size).toBe(count)
  })

  const SAME_LOW_BITS = 0xffff
  for (const [name, change] of Object.entries<(w: Int32Array, n: number) => void>({
    'share three of four words': (w, n) => w.set([1, 2, n, 3], n * 4),
    'share all but the upper half of the first word': (w, n) => w.set([n << 16, 2, 9, 3], n * 4),
    'share all but the upper half of the third word': (w, n) => w.set([1, 2, n << 16, 3], n * 4),
    'share the low bits of every word': (w, n) => {
      for (let i = 0; i < 4; i++) w[n * 4 + i] = ((w[n * 4 + i] as number) & ~SAME_LOW_BITS) | 0x1234
    },
    'share the high bits of every word': (w, n) => {
      for (let i = 0; i < 4; i++) w[n * 4 + i] = (w[n * 4 + i] as number) & 0x3ff
    },
    'count up in one word': (w, n) => w.set([n, 0, 0, 0], n * 4),
  })) {
    it(`are no likelier among digests that ${name}`, () => {
      const count = name.includes('upper half') ? 60_000 : 200_000
      const all = randomWords(count, 9)
      for (let n = 0; n < count; n++) change(all, n)
      const random = new Table()
      const chosen = new Table()
      const plain = randomWords(count, 10)
      for (let n = 0; n < count; n++) {
        random.revoke(plain, n * 4, 10, ANY_TIME, 1)
        chosen.revoke(all, n * 4, 10, ANY_TIME, 1)
      }
      expect(chosen.size).toBe(count)
      expect(chosen.capacity).toBe(random.capacity)
      expect(chosen.probeMax).toBeLessThan(40)
      expect(random.probeMax).toBeLessThan(40)
      let found = 0
      for (let n = 0; n < count; n++) if (chosen.find(all, n * 4, 1, 1) !== -1) found++
      expect(found).toBe(count)
    })
  }
})

/** What the table should hold, made of core's `merge`. */
class Model {
  readonly #states = new Map<number, State>()
  readonly #keptUntil = new Map<number, number>()

  get size(): number {
    let size = 0
    for (const { entries } of this.#states.values()) size += entries.length
    return size
  }

  stateOf(n: number): State {
    return this.#states.get(n) ?? EMPTY_STATE
  }

  apply(operation: Operation): unknown {
    if (operation.kind === 'reserve') return undefined
    if (operation.kind === 'sweep') return this.#sweep(operation.now)
    const { n } = operation
    const before = JSON.stringify([this.stateOf(n), this.#keptUntil.get(n)])
    if (operation.kind === 'revoke') {
      const { end, issuedBefore, at } = operation
      this.#states.set(n, merge(this.stateOf(n), { restoredAt: 0, entries: [{ at, end, issuedBefore }] }))
    } else {
      this.#states.set(n, merge(this.stateOf(n), { restoredAt: operation.restoredAt, entries: [] }))
      this.#keptUntil.set(n, Math.max(operation.keptUntil, this.#keptUntil.get(n) ?? 0))
    }
    return before !== JSON.stringify([this.stateOf(n), this.#keptUntil.get(n)])
  }

  #sweep(now: number): number {
    let removed = 0
    for (const [n, state] of this.#states) {
      const entries = state.entries.filter((entry) => entry.end > now)
      const keptUntil = this.#keptUntil.get(n)
      const isForgotten = keptUntil !== undefined && keptUntil <= now
      removed += state.entries.length - entries.length + (isForgotten ? 1 : 0)
      if (isForgotten) this.#keptUntil.delete(n)
      this.#states.set(n, { restoredAt: isForgotten ? 0 : state.restoredAt, entries })
    }
    return removed
  }
}

function apply(table: Table, operation: Operation): unknown {
  switch (operation.kind) {
    case 'revoke':
      return table.revoke(words, operation.n * 4, operation.end, operation.issuedBefore, operation.at)
    case 'restore':
      return table.restore(words, operation.n * 4, operation.restoredAt, operation.keptUntil)
    case 'sweep':
      return table.sweep(operation.now, operation.steps)
    case 'reserve':
      return table.reserve(operation.count)
  }
}

/** Looks up the digest just changed, and one other. Bare comparisons: millions of `expect` take minutes. */
function expectSameFinds(table: Table, model: Model, operation: Operation): void {
  const changed = 'n' in operation ? operation.n : 0
  for (const n of [changed, (changed * 7 + 1) % UNIVERSE]) {
    const state = model.stateOf(n)
    for (const iat of [5, LATER + 5, undefined, 'x']) {
      for (const now of [0, 6, LATER + 6]) {
        const handle = table.find(words, n * 4, iat, now)
        const deadly = findDeadly(state, iat, now)
        if (handle === -1 && deadly === undefined) continue
        const end = handle === -1 ? undefined : table.endOf(handle)
        const at = handle === -1 ? undefined : table.atOf(handle)
        const issuedBefore = handle === -1 ? undefined : table.issuedBeforeOf(handle)
        const entries = state.entries.filter(
          (entry) => entry.at === at && entry.issuedBefore === issuedBefore,
        )
        const isSame =
          end === deadly?.end && findDeadly({ restoredAt: 0, entries }, iat, now)?.end === deadly?.end
        if (!isSame)
          throw new Error(`digest ${n}, iat ${iat}, now ${now}: ends at ${end}, not ${deadly?.end}`)
      }
    }
  }
}

function expectSameStates(table: Table, model: Model): void {
  const states = statesOf(table)
  for (let n = 0; n < UNIVERSE; n++) {
    expect(table.stateOf(words, n * 4)).toEqual(model.stateOf(n))
    expect(states.get(words.slice(n * 4, n * 4 + 4).join()) ?? EMPTY_STATE).toEqual(model.stateOf(n))
  }
}

function statesOf(table: Table): Map<string, State> {
  const states = new Map<string, State>()
  for (const { words, state } of table.states()) {
    expect(states.has(words.join())).toBe(false)
    states.set(words.join(), state)
  }
  return states
}

function codeOf(call: () => unknown): boolean {
  try {
    call()
  } catch (error) {
    return hasCode(error, 'ERR_OPTION_INVALID')
  }
  return false
}

function randomWords(count: number, seed: number): Int32Array {
  const random = mulberry(seed)
  const made = new Int32Array(count * 4)
  for (let i = 0; i < made.length; i++) made[i] = random() * 2 ** 32
  return made
}

/** Random numbers that are the same in every run. */
function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
