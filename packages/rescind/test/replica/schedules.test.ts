/**
 * A thousand random schedules of revoke, restore, disconnect, reconnect, snapshot and expiry, on real Redis (in one
 * and in several partitions) and on the embedded store: in the end every node equals the store, and at every step
 * no node that calls itself fresh says "clear" for what was revoked before its last read.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ANY_TIME, findDeadly, type State } from '../../src/core/revocation.js'
import { digestsOf, EVERYTHING, parseTarget } from '../../src/core/target.js'
import { RescindError } from '../../src/errors.js'
import type { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { Replica } from '../../src/replica/replica.js'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { MemoryStore } from '../../src/stores/memory.js'
import type { Store } from '../../src/stores/store.js'
import { MACHINE } from '../../src/surroundings.js'
import { START, TARGETS, TOKENS } from '../stores/model.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'

const RUNS = Number(process.env.RESCIND_SCHEDULES ?? 1000)
const NODES = 3
const parsed = [...TARGETS.map(parseTarget), EVERYTHING]

type Step =
  | { type: 'revoke'; target: number; life: number; before: number | null }
  | { type: 'restore'; target: number }
  | { type: 'wait'; seconds: number }
  | { type: 'disconnect' | 'reconnect' | 'read' | 'snapshot'; node: number }

const target = fc.nat(parsed.length - 1)
const node = fc.nat(NODES - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('revoke' as const),
      target,
      life: fc.constantFrom(1, 60, 600, 5000, 20_000),
      before: fc.constantFrom(null, 0, -1, -60, 5),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('restore' as const), target }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('wait' as const), seconds: fc.constantFrom(1, 30, 600, 6000) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'disconnect' as const,
        'reconnect' as const,
        'read' as const,
        'snapshot' as const,
      ),
      node,
    }),
  },
)

/** The way of one node to the store: it can be cut, and answers under way are lost then. */
class Way {
  isCut = false
  constructor(readonly store: Store) {}

  /** The store, as this node sees it. */
  get seen(): Store {
    return new Proxy(this.store, {
      get: (store, name) => {
        const value: unknown = Reflect.get(store, name, store)
        if (typeof value !== 'function') return value
        if (name === 'onBell') return () => () => undefined
        return async (...args: unknown[]) => {
          const away = () => new RescindError('ERR_STORE_UNAVAILABLE', 'cut')
          if (this.isCut) throw away()
          const answer: unknown = await (value as (...args: unknown[]) => unknown).apply(store, args)
          if (this.isCut) throw away()
          return answer
        }
      },
    })
  }
}

let server: RedisServer
let connection: RedisConnection
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rescind-schedules-'))
  server = await RedisServer.start()
  connection = patientConnection({ url: server.url })
})
afterAll(async () => {
  await connection.close()
  await server.stop()
  await rm(folder, { recursive: true })
})

/** What a state still says, as text: without words, and without what has ended. */
function says(state: State, now: number): string {
  const entries = state.entries
    .filter(({ end }) => end > now)
    .map(({ at, end, issuedBefore }) => `${at} ${end} ${issuedBefore}`)
  return entries.sort().join(', ')
}

async function run(store: Store, steps: readonly Step[]): Promise<void> {
  let now = START
  let monotonicMs = 0
  const ways = Array.from({ length: NODES }, () => new Way(store))
  const start = (way: Way) =>
    new Replica(way.seen, {
      stalenessMaxMs: 60_000,
      surroundings: { ...MACHINE, now: () => now * 1000, monotonic: () => monotonicMs },
    })
  const replicas = ways.map(start)
  /** For each node, how far it had read: what was revoked before must be dead to it. */
  const isDead = async (token: number) => {
    const held = await store.find((shapes) =>
      shapes.flatMap((shape) => digestsOf(shape, { claims: TOKENS[token]! })),
    )
    return held.some(({ state }) => findDeadly(state, START, now) !== undefined)
  }
  const expectEqual = async (number: number) => {
    const replica = replicas[number]!
    for (const one of parsed) {
      const [held] = await store.find(() => [one.digest])
      const wanted = held === undefined ? '' : says(held.state, now)
      expect(says(replica.stateOf(one), now), JSON.stringify(one.shape)).toBe(wanted)
    }
    for (const [token, claims] of TOKENS.entries()) {
      expect(replica.isRevoked({ claims: { ...claims, iat: START } }, now)).toBe(await isDead(token))
    }
  }
  try {
    for (const one of steps) {
      switch (one.type) {
        case 'revoke': {
          const issuedBefore = one.before === null ? ANY_TIME : now + one.before
          await store.put(parsed[one.target]!, { at: now, end: now + one.life, issuedBefore }, { now })
          break
        }
        case 'restore':
          await store.restore(parsed[one.target]!, { now })
          break
        case 'wait':
          now += one.seconds
          monotonicMs += one.seconds * 1000
          break
        case 'disconnect':
          ways[one.node]!.isCut = true
          break
        case 'reconnect':
          ways[one.node]!.isCut = false
          break
        case 'snapshot':
          // A node that starts anew: the log is the snapshot.
          await replicas[one.node]!.close()
          replicas[one.node] = start(ways[one.node]!)
          break
        case 'read': {
          const read = replicas[one.node]!.catchUp()
          if (ways[one.node]!.isCut) {
            await expect(read).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
            break
          }
          await read
          expect(replicas[one.node]!.stalenessMs).toBe(0)
          await expectEqual(one.node)
        }
      }
    }
    for (const way of ways) way.isCut = false
    await Promise.all(replicas.map((replica) => replica.catchUp()))
    for (let number = 0; number < NODES; number++) await expectEqual(number)
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()))
  }
}

const namespace = () => randomBytes(8).toString('hex')

describe('after a random schedule every node equals the store', () => {
  it.each<[string, number, () => Store]>([
    ['on Redis', RUNS, () => new RedisStore(connection, { namespace: namespace() })],
    [
      'on Redis in four partitions',
      Math.ceil(RUNS / 5),
      () => new RedisStore(connection, { namespace: namespace(), partitions: 4 }),
    ],
    ['in memory', RUNS, () => new MemoryStore()],
    ['on disk', Math.ceil(RUNS / 5), () => LmdbStore.open({ path: join(folder, namespace()) })],
  ])('%s (%i schedules)', { timeout: 120_000 }, async (_, runs, open) => {
    // fast-check prints the seed and the shortest schedule that fails.
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        const store = open()
        await run(store, steps)
        // The others share a connection.
        if (store.kind === 'lmdb') await store.close()
      }),
      { numRuns: runs },
    )
  })
})
