/**
 * A client and a thief share a family, in every order that chance finds: the library agrees with a plain account of what
 * was used, of each generation one token is ever used, and two branches never both live.
 */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { type RefreshClaims, RefreshFamilies, type Rotation } from '../../src/refresh/index.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'

const GRACE_SECONDS = 10

type Step =
  | { type: 'wait'; seconds: number }
  | { type: 'steal' }
  /** `back`: not the newest token of his, but so many before it. */
  | { type: 'present'; who: 'client' | 'thief'; back: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('wait' as const), seconds: fc.constantFrom(1, 5, 9, 10, 60) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'steal' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('present' as const),
      who: fc.constantFrom('client' as const, 'thief' as const),
      back: fc.constantFrom(0, 0, 0, 0, 0, 1, 2),
    }),
  },
)

/** What was used, taken literally. */
class Account {
  readonly #used: { generation: number; jti: string; at: number }[] = []
  #isDead = false

  expected({ generation, jti }: RefreshClaims, now: number): Rotation['status'] {
    if (this.#isDead) return 'revoked'
    const isUsed = this.#used.some((other) => other.generation >= generation)
    if (!isUsed) {
      this.#used.push({ generation, jti, at: now })
      return 'rotated'
    }
    const last = this.#used.at(-1)!
    if (last.jti === jti && now - last.at < GRACE_SECONDS) return 'repeated'
    this.#isDead = true
    return 'reused'
  }
}

async function play(steps: readonly Step[]): Promise<void> {
  const clock = { seconds: 1_800_000_000 }
  const manager = new TokenManager({
    store: new MemoryStore(),
    now: () => clock.seconds * 1000,
    replica: false,
  })
  const families = new RefreshFamilies({ manager, graceSeconds: GRACE_SECONDS })
  const account = new Account()
  /** The tokens of each, the newest last. */
  const wallets = { client: [await families.begin({ sub: 'alice' })], thief: [] as RefreshClaims[] }
  const accepted = new Map<number, Set<string>>()

  const present = async (who: 'client' | 'thief', token: RefreshClaims): Promise<Rotation['status']> => {
    const rotation = await families.rotate(token)
    expect(rotation.status).toBe(account.expected(token, clock.seconds))
    if (!('claims' in rotation)) return rotation.status
    wallets[who].push(rotation.claims)
    const ofGeneration = accepted.get(token.generation) ?? new Set()
    accepted.set(token.generation, ofGeneration.add(token.jti))
    return rotation.status
  }

  for (const one of steps) {
    if (one.type === 'wait') clock.seconds += one.seconds
    else if (one.type === 'steal') wallets.thief.push(wallets.client.at(-1)!)
    else {
      const token = wallets[one.who].at(-1 - one.back)
      if (token !== undefined) await present(one.who, token)
    }
  }
  expect([...accepted.values()].filter(({ size }) => size > 1)).toEqual([])
  const [newest, stolen] = [wallets.client.at(-1)!, wallets.thief.at(-1)]
  if (stolen === undefined || stolen.jti === newest.jti) return
  // Two branches: one turn each from where they part, and the next is seen, within the grace or after it.
  const turns = ['client', 'thief', 'client'] as const
  for (const who of turns) await present(who, wallets[who].at(-1)!)
  expect(await present('thief', wallets.thief.at(-1)!)).toBe('revoked')
}

/** Who follows the client's every step within the grace must be seen as well. */
const SHADOW: Step[] = [
  { type: 'steal' },
  ...Array.from({ length: 3 }, (): Step[] => [
    { type: 'present', who: 'client', back: 0 },
    { type: 'present', who: 'thief', back: 0 },
    { type: 'wait', seconds: 60 },
  ]).flat(),
]

it('a thief and a client never both go on', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 40 }), play), {
    numRuns: Number(process.env.RESCIND_MODEL_RUNS ?? 300),
    examples: [[SHADOW]],
  })
})
