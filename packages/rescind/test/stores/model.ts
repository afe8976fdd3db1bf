/**
 * The model test, as a function: random operations on every store must agree with each other and with the plainest
 * possible model, a list of everything that was ever said. A fake clock runs for hours; the ends lie far enough ahead
 * that Redis' own expiry has nothing to say.
 */
import * as fc from 'fast-check'
import { expect } from 'vitest'
import type { Mark } from '../../src/core/mark.js'
import {
  ANY_TIME,
  findDeadly,
  PRUNE_GRACE_SECONDS,
  type Revocation,
  type State,
} from '../../src/core/revocation.js'
import { digestsOf, EVERYTHING, parseTarget, type Target } from '../../src/core/target.js'
import type { Store } from '../../src/stores/store.js'

/** In seconds, long ago: steps let time pass. */
export const START = Math.floor(Date.now() / 1000) - 100_000
export const TARGETS: Target[] = [
  { sub: 'a' },
  { sub: 'b' },
  { sub: 'a', client_id: 'x' },
  { client_id: 'x' },
  { iss: 'i', jti: '1' },
  { iss: 'i', jti: '2' },
]
/** Each matches some of the targets. */
export const TOKENS = [
  { iss: 'i', jti: '1', sub: 'a', client_id: 'x' },
  { iss: 'i', jti: '2', sub: 'a', client_id: ['y', 'x'] },
  { iss: 'i', jti: '3', sub: 'b', client_id: 'y' },
  { iss: 'i', jti: '4', sub: 'c' },
]

type Step =
  | { type: 'wait'; seconds: number }
  | { type: 'revoke'; target: number; life: number; before: number | null }
  | { type: 'restore'; target: number }
  | { type: 'check'; token: number; age: number | null }
  | { type: 'advance'; family: number; generation: number; token: string }

const target = fc.integer({ min: -1, max: TARGETS.length - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('wait' as const),
      seconds: fc.constantFrom(0, 1, 2, 30, 300, 4000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('revoke' as const),
      target,
      life: fc.constantFrom(1, 2, 60, 600, 5000, 20_000),
      before: fc.constantFrom(null, 0, -1, -60, 5),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('restore' as const), target }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('check' as const),
      token: fc.nat(TOKENS.length - 1),
      age: fc.constantFrom(null, 0, 1, 2, 59, 61, 700, -3),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('advance' as const),
      family: fc.nat(1),
      // Mostly near each other, for a step back or of the same generation.
      generation: fc.constantFrom(0, 0, 1, 1, 2, 2, 3, 4, 9),
      token: fc.constantFrom('A'.repeat(22), 'B'.repeat(22)),
    }),
  },
)

/** All that was ever said, taken literally. */
class Model {
  readonly #said: { target: number; end: number; before: number; void: boolean }[] = []
  readonly #steps: { family: number; mark: Mark }[] = []

  revoke(target: number, end: number, before: number): void {
    this.#said.push({ target, end, before, void: false })
  }

  restore(target: number): void {
    for (const line of this.#said) if (line.target === target) line.void = true
  }

  /** The first step that nobody had gone as far as before counts, and none before the beginning. */
  advance(family: number, mark: Mark): { mark: Mark | undefined; isMoved: boolean } {
    const steps = this.#steps.filter((step) => step.family === family).map((step) => step.mark)
    const isFirst = steps.length === 0 ? mark.generation === 0 : mark.generation > steps.at(-1)!.generation
    if (isFirst) this.#steps.push({ family, mark })
    return { mark: isFirst ? mark : steps.at(-1), isMoved: isFirst }
  }

  isRevoked(token: number, iat: number | undefined, now: number): boolean {
    return this.#said.some(
      (line) =>
        !line.void &&
        now < line.end &&
        (line.before === ANY_TIME || iat === undefined || iat <= line.before) &&
        (line.target === -1 || matches(TARGETS[line.target]!, TOKENS[token]!)),
    )
  }
}

function matches(target: Target, token: Record<string, unknown>): boolean {
  return Object.entries(target).every(([name, value]) => [token[name]].flat().includes(value))
}

const parsed = (index: number) => (index === -1 ? EVERYTHING : parseTarget(TARGETS[index]))

async function isRevoked(
  store: Store,
  token: number,
  iat: number | undefined,
  now: number,
): Promise<boolean> {
  const held = await store.find((shapes) =>
    shapes.flatMap((shape) => digestsOf(shape, { claims: TOKENS[token]! })),
  )
  return held.some(({ state }) => findDeadly(state, iat, now) !== undefined)
}

/** What one run is made of: stores that nothing was ever said to. */
export interface Run {
  readonly stores: readonly Store[]
  /** Those whose list is joined of several logs by times of whole seconds: the order within one is open. */
  readonly unordered?: readonly Store[]
  close(): Promise<void>
}

/** The clock of a run, in seconds since 1970. */
export interface RunClock {
  now: number
}

/** Longer than any run. */
const LONG_SECONDS = 1_000_000

/** A restore makes no difference past the grace; some stores have forgotten it then, others have not. */
function remembered(state: State, now: number): State {
  return { ...state, restoredAt: state.restoredAt + PRUNE_GRACE_SECONDS > now ? state.restoredAt : 0 }
}

const asText = (revocation: Revocation) => JSON.stringify(revocation)

async function run(steps: readonly Step[], open: (clock: RunClock) => Promise<Run>): Promise<void> {
  const clock = { now: START }
  const { stores, unordered = [], close } = await open(clock)
  try {
    await follow(steps, clock, stores)
    const lists = await Promise.all(stores.map((store) => store.list({ now: clock.now, limit: 1000 })))
    const [first] = lists
    for (const [i, list] of lists.entries()) {
      if (unordered.includes(stores[i] as Store))
        expect(new Set(list.revocations.map(asText))).toEqual(new Set(first?.revocations.map(asText)))
      else expect(list).toEqual(first)
    }
  } finally {
    await close()
  }
}

async function follow(steps: readonly Step[], clock: RunClock, stores: readonly Store[]): Promise<void> {
  const model = new Model()
  for (const one of steps) {
    const { now } = clock
    switch (one.type) {
      case 'wait':
        clock.now += one.seconds
        break
      case 'revoke': {
        const issuedBefore = one.before === null ? ANY_TIME : now + one.before
        const entry = { at: now, end: now + one.life, issuedBefore }
        model.revoke(one.target, entry.end, issuedBefore)
        const stored = await Promise.all(stores.map((store) => store.put(parsed(one.target), entry, { now })))
        const [first, ...others] = stored.map(({ state }) => remembered(state, now))
        for (const state of others) expect(state).toEqual(first)
        break
      }
      case 'restore':
        model.restore(one.target)
        await Promise.all(stores.map((store) => store.restore(parsed(one.target), { now })))
        break
      case 'advance': {
        const mark = { generation: one.generation, token: one.token, usedAt: now }
        const wanted = model.advance(one.family, mark)
        const name = parsed(one.family).digest
        for (const store of stores)
          expect(await store.advance(name, mark, { now, end: now + LONG_SECONDS }), store.kind).toEqual(
            wanted,
          )
        break
      }
      case 'check': {
        const iat = one.age === null ? undefined : now - one.age
        const wanted = model.isRevoked(one.token, iat, now)
        for (const store of stores) {
          expect(await isRevoked(store, one.token, iat, now), store.kind).toBe(wanted)
        }
      }
    }
  }
}

/** Some stores have removed it by then, others have not. */
const RESTORE_OF_WHAT_WAS_LONG_OVER: Step[] = [
  { type: 'revoke', target: 4, life: 1, before: null },
  { type: 'wait', seconds: 4000 },
  { type: 'revoke', target: 0, life: 1, before: null },
  { type: 'restore', target: 4 },
  { type: 'revoke', target: 4, life: 1, before: null },
]

/** Fails with the shortest steps after which some store and the model disagree. */
export async function expectAgreement(
  open: (clock: RunClock) => Promise<Run>,
  numRuns: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => run(steps, open)),
    { numRuns, examples: [[RESTORE_OF_WHAT_WAS_LONG_OVER]] },
  )
}
