/** Targets and claims of strangers: nothing becomes "everything", and what was revoked is found by its claims. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EVERYTHING, type ParsedTarget, parseTarget, type Target } from '../../src/core/target.js'
import { hasCode, RescindError } from '../../src/errors.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import { Hostile } from './inputs.js'
import { CANARY, OBJECTS } from './objects.js'
import { nastyText, PROTOTYPE_NAMES } from './texts.js'

const hostile = new Hostile('claims')

const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(-0, 2 ** 53, -(2 ** 53), 1e308, 5e-324, NaN, Infinity),
)
const scalar = fc.oneof({ weight: 3, arbitrary: nastyText(1100) }, number, fc.boolean())
const odd = fc.constantFrom<unknown>(
  undefined,
  null,
  [],
  {},
  () => 'x',
  Symbol('x'),
  1n,
  new Date(0),
  new String('x'),
  /x/,
)
const name = fc.oneof(
  fc.constantFrom(
    'sub',
    'iss',
    'jti',
    'sid',
    'client_id',
    'aud',
    'iat',
    'exp',
    '#sha256',
    '#digest',
    '',
    ...PROTOTYPE_NAMES,
  ),
  nastyText(140),
)
const claims = fc
  .array(
    fc.tuple(
      name,
      fc.oneof({ weight: 4, arbitrary: scalar }, odd, fc.array(scalar, { maxLength: 70 }), fc.anything()),
    ),
    { maxLength: 10 },
  )
  // As JSON makes them: __proto__ is a name like any other.
  .map((pairs) => Object.fromEntries(pairs) as Record<string, unknown>)

/** The target, or undefined for one that is refused as it should be. */
function parsed(input: unknown): ParsedTarget | undefined {
  return hostile.now(() => {
    try {
      return parseTarget(input)
    } catch (error) {
      if (!hasCode(error, 'ERR_TARGET_INVALID')) throw error
      expect(error.message).not.toContain(CANARY)
      expect(error.message).toMatch(/^[\x20-\x7e]{1,400}$/)
      return undefined
    }
  })
}

describe('a target', () => {
  it.each(Object.entries(OBJECTS))('made of %s is refused', (_, make) => {
    expect(parsed(make())).toBeUndefined()
  })

  it('of an accessor is what it says once', () => {
    let asked = 0
    const target = parseTarget({
      get sub() {
        return `${++asked}`
      },
    })
    expect([target.values, asked]).toEqual([['1'], 1])
  })

  it('made of anything never means everything', { timeout: hostile.timeoutMs }, () => {
    const input = fc.oneof(
      claims,
      fc.anything({ withNullPrototype: true, withBigInt: true, withMap: true, withBoxedValues: true }),
      scalar,
      odd,
    )
    fc.assert(
      fc.property(input, (any) => {
        const target = parsed(any)
        if (target === undefined) return
        expect(target.digest).not.toBe(EVERYTHING.digest)
        expect(target.shape.length).toBeGreaterThan(0)
        expect(target.shape).toEqual(
          Object.keys(any as object).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
        )
        for (const value of target.values) expect(value).not.toBe('')
      }),
      hostile.runs(0.35),
    )
  })

  it(
    'has the digest of another only where names and values are the same',
    { timeout: hostile.timeoutMs },
    () => {
      const few = fc.constantFrom(
        'a',
        'b',
        'ab',
        'a:b',
        'ren\u00e9',
        'rene\u0301',
        '\ufb01',
        'fi',
        '1',
        '01',
        'true',
        '\u0000',
        'a\u0000',
        '\uffff',
        '\u{10000}',
      )
      const value = fc.oneof(few, fc.constantFrom(1, 1.5, true, -0, 0, 1e21), nastyText(16))
      const small = fc
        .array(fc.tuple(fc.oneof(few, fc.constantFrom(...PROTOTYPE_NAMES)), value), {
          minLength: 1,
          maxLength: 3,
        })
        .map((pairs) => Object.fromEntries(pairs))
      // The same names, and values that differ by an end or by where one ends and the next begins.
      const end = fc.constantFrom('\u0000', 'a', '\u0000\u0000', '')
      const twins = fc.tuple(few, few, end, fc.boolean()).map(([x, y, end, isMoved]) => [
        { a: x, b: isMoved ? `${end}${y}` : y },
        { a: `${x}${end}`, b: y },
      ])
      const key = ({ shape, values }: ParsedTarget) => JSON.stringify([shape, values])
      fc.assert(
        fc.property(fc.oneof(fc.tuple(small, small), twins), ([one, other]) => {
          const [a, b] = [parsed(one), parsed(other)]
          if (a !== undefined && b !== undefined) expect(a.digest === b.digest).toBe(key(a) === key(b))
        }),
        hostile.runs(0.2),
      )
    },
  )
})

/** A manager of its own for each input: no more than 32 shapes may be in use. */
function makeManager(replica: boolean): TokenManager {
  return new TokenManager({ store: new MemoryStore(), replica })
}

/** A target that these claims match: some of their scalars, and members of their lists. */
function targetFrom(of: Record<string, unknown>, picks: readonly number[]): Record<string, unknown> {
  const all = Object.entries(of)
  const chosen = picks.map((pick) => all[pick % Math.max(all.length, 1)]).filter((pair) => pair !== undefined)
  return Object.fromEntries(
    chosen.map(([key, value]) => [
      key,
      Array.isArray(value) ? (value as unknown[])[(picks[0] ?? 0) % Math.max(value.length, 1)] : value,
    ]),
  )
}

describe('a revocation', () => {
  it('by some of the claims makes whoever carries them dead', { timeout: hostile.timeoutMs }, async () => {
    let revoked = 0
    const picks = fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(claims, picks, fc.nat({ max: 9 }), async (of, chosen, chance) => {
        const target = targetFrom(of, chosen)
        if (parsed(target) === undefined) return
        const manager = makeManager(chance === 0)
        await hostile.later(() => manager.revoke(target as Target, { issuedBefore: null }))
        // The digest of a token is never read from claims.
        if (Object.hasOwn(target, '#sha256')) return
        const answer = await hostile.later(() =>
          manager.isRevoked(of).catch((error: unknown) => hasCode(error, 'ERR_CLAIM_INVALID')),
        )
        expect(answer).toBe(true)
        expect(await manager.check({ another: 'token' })).toEqual({ status: 'clear' })
        revoked += 1
        await manager.close()
      }),
      hostile.runs(0.12),
    )
    expect(revoked).toBeGreaterThan(0)
  })

  it('of anything else is refused by name, and writes nothing', { timeout: hostile.timeoutMs }, async () => {
    const manager = makeManager(false)
    const input = fc.oneof(
      odd,
      scalar,
      fc.record({ sub: odd }),
      fc.record({ sub: fc.constantFrom(NaN, Infinity, 2 ** 60, '') }),
      fc.array(scalar),
    )
    await fc.assert(
      fc.asyncProperty(input, async (target) => {
        await hostile.later(() =>
          expect(manager.revoke(target as Target)).rejects.toSatisfy((error) =>
            hasCode(error, 'ERR_TARGET_INVALID'),
          ),
        )
      }),
      hostile.runs(0.06),
    )
    expect(await manager.list()).toEqual({ revocations: [] })
  })

  it('with options of any kind is done, or refused as they are', { timeout: hostile.timeoutMs }, async () => {
    const time = fc.oneof(number, fc.date({ noInvalidDate: false }), odd)
    const options = fc.record(
      {
        issuedBefore: time,
        expiresAt: time,
        reason: fc.oneof(nastyText(600), odd),
        actor: fc.oneof(nastyText(300), odd),
        ack: fc.oneof(nastyText(8), fc.constant('accepted')),
        timeoutMs: number,
      },
      { requiredKeys: [] },
    )
    let done = 0
    await fc.assert(
      fc.asyncProperty(options, async (given) => {
        const manager = makeManager(false)
        const outcome: unknown = await hostile.later(() =>
          manager.revoke({ sub: 'alice' }, given as object).catch((error: unknown) => error),
        )
        if (outcome instanceof Error) {
          expect(outcome).toBeInstanceOf(RescindError)
          return
        }
        done += 1
        const { expiresAt, revokedAt } = outcome as { expiresAt: number; revokedAt: number }
        expect(expiresAt).toBeGreaterThan(revokedAt)
        // What was asked for is what a token without a time meets.
        expect(await manager.isRevoked({ sub: 'alice' })).toBe(true)
      }),
      hostile.runs(0.1),
    )
    expect(done).toBeGreaterThan(0)
  })
})

describe('a check', () => {
  it('of anything answers, or refuses by name', { timeout: hostile.timeoutMs }, async () => {
    const managers = [makeManager(true), makeManager(false)]
    for (const manager of managers) {
      for (const target of [
        { sub: 'alice' },
        { aud: 'a', sub: 'b' },
        JSON.parse('{"__proto__":"x"}') as Target,
        { constructor: 'x' },
        { '#sha256': 'A'.repeat(43) },
      ])
        await manager.revoke(target)
      await manager.ready()
    }
    await fc.assert(
      fc.asyncProperty(fc.oneof(claims, odd), async (of) => {
        for (const manager of managers) {
          const answer: unknown = await hostile.later(() =>
            manager.check(of as Record<string, unknown>).catch((error: unknown) => error),
          )
          if (answer instanceof Error)
            expect(['ERR_CLAIM_INVALID', 'ERR_OPTION_INVALID']).toContain((answer as RescindError).code)
          else expect(['revoked', 'clear', 'unknown']).toContain((answer as { status: string }).status)
        }
      }),
      hostile.runs(0.08),
    )
  })

  it.each(Object.entries(OBJECTS))('of %s is no match by accident', async (_, make) => {
    for (const replica of [true, false]) {
      const manager = makeManager(replica)
      await manager.revoke({ sub: 'alice' })
      // What an accessor throws goes to who made it.
      const answer = await manager
        .check(make() as Record<string, unknown>)
        .catch(() => ({ status: 'thrown' }))
      expect(['clear', 'thrown']).toContain(answer.status)
      await manager.close()
    }
  })

  it('of a number that has lost digits fails by name, for it may be another', async () => {
    const manager = makeManager(false)
    await manager.revoke({ sub: 'alice' })
    for (const sub of [2 ** 53, -(2 ** 60), 1e308, [1, 1e21]])
      await expect(manager.check({ sub })).rejects.toSatisfy((error) => hasCode(error, 'ERR_CLAIM_INVALID'))
  })

  it('tells normalised twins apart, for issuers may not', async () => {
    const manager = makeManager(false)
    await manager.revoke({ sub: 'ren\u00e9' })
    expect([
      await manager.isRevoked({ sub: 'ren\u00e9' }),
      await manager.isRevoked({ sub: 'rene\u0301' }),
    ]).toEqual([true, false])
  })

  it('with cursors and positions of strangers answers, or refuses by name', async () => {
    const manager = makeManager(false)
    await manager.revoke({ sub: 'alice' })
    const text = fc.oneof(
      nastyText(),
      fc
        .tuple(
          fc.stringMatching(/^[0-9a-f]{0,16}$/),
          fc.nat(),
          fc.maxSafeNat(),
          fc.stringMatching(/^[0-9a-f]{8}$/),
        )
        .map((parts) => parts.join(':')),
    )
    await fc.assert(
      fc.asyncProperty(text, async (cursor) => {
        for (const read of [
          () => manager.list({ cursor }),
          () => manager.store.changes(cursor, 10),
          () => manager.store.readLog(cursor, 4096),
        ]) {
          const outcome: unknown = await hostile.later(() =>
            (read() as Promise<unknown>).catch((error: unknown) => error),
          )
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(RescindError)
        }
      }),
      hostile.runs(0.03),
    )
  })
})
