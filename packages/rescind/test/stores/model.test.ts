/**
 * The model test: random operations on every store must agree with each other and with the plainest possible
 * model, a list of everything that was ever said. A fake clock runs for hours; the ends lie far enough ahead
 * that Redis' own expiry has nothing to say.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  ANY_TIME,
  findDeadly,
  PRUNE_GRACE_SECONDS,
  type Revocation,
  type State,
} from '../../src/core/revocation.js'
import { digestsOf, EVERYTHING, parseTarget, type Target } from '../../src/core/target.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { MemoryStore } from '../../src/stores/memory.js'
import type { Store } from '../../src/stores/store.js'
import { RedisServer } from '../support/redis-server.js'

const START = Math.floor(Date.now() / 1000) - 100_000
const TARGETS: Target[] = [
  { sub: 'a' },
  { sub: 'b' },
  { sub: 'a', client_id: 'x' },
  { client_id: 'x' },
  { iss: 'i', jti: '1' },
  { iss: 'i', jti: '2' },
]
const TOKENS = [
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
)

/** All that was ever said, taken literally. */
class Model {
  readonly #said: { target: number; end: number; before: number; void: boolean }[] = []

  revoke(target: number, end: number, before: number): void {
    this.#said.push({ target, end, before, void: false })
  }

  restore(target: number): void {
    for (const line of this.#said) if (line.target === target) line.void = true
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

let server: RedisServer
let connection: RedisConnection
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rescind-model-'))
  server = await RedisServer.start()
  connection = new RedisConnection({ url: server.url })
})
afterAll(async () => {
  await connection.close()
  await server.stop()
  await rm(folder, { recursive: true })
})

/** A restore makes no difference past the grace; some stores have forgotten it then, others have not. */
function remembered(state: State, now: number): State {
  return { ...state, restoredAt: state.restoredAt + PRUNE_GRACE_SECONDS > now ? state.restoredAt : 0 }
}

const asText = (revocation: Revocation) => JSON.stringify(revocation)

async function run(steps: readonly Step[]): Promise<void> {
  const onDisk = LmdbStore.open({ path: join(folder, randomBytes(8).toString('hex')) })
  // A namespace of its own in place of an emptied server: nothing of one run is seen by the next.
  const stores: Store[] = [
    new MemoryStore(),
    new RedisStore(connection, { namespace: randomBytes(8).toString('hex') }),
    new RedisStore(connection, { namespace: randomBytes(8).toString('hex'), partitions: 4 }),
    onDisk,
  ]
  const model = new Model()
  let now = START
  for (const one of steps) {
    switch (one.type) {
      case 'wait':
        now += one.seconds
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
      case 'check': {
        const iat = one.age === null ? undefined : now - one.age
        const wanted = model.isRevoked(one.token, iat, now)
        for (const store of stores) {
          expect(await isRevoked(store, one.token, iat, now), store.kind).toBe(wanted)
        }
      }
    }
  }
  const lists = await Promise.all(stores.map((store) => store.list({ now, limit: 1000 })))
  expect(lists[1]).toEqual(lists[0])
  expect(lists[3]).toEqual(lists[0])
  // Several logs are joined by the times of their records, which are whole seconds: the order within one is open.
  expect(new Set(lists[2]?.revocations.map(asText))).toEqual(new Set(lists[0]?.revocations.map(asText)))
  await onDisk.close()
}

/** Some stores have removed it by then, others have not. */
const RESTORE_OF_WHAT_WAS_LONG_OVER: Step[] = [
  { type: 'revoke', target: 4, life: 1, before: null },
  { type: 'wait', seconds: 4000 },
  { type: 'revoke', target: 0, life: 1, before: null },
  { type: 'restore', target: 4 },
  { type: 'revoke', target: 4, life: 1, before: null },
]

it('random operations on every store agree with a list of everything ever said', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), run), {
    numRuns: Number(process.env.RESCIND_MODEL_RUNS ?? 150),
    examples: [[RESTORE_OF_WHAT_WAS_LONG_OVER]],
  })
})
