/** No revocation ends before its token does: of any settings, any token that a gate accepts, and any moment after. */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Claims } from '../src/core/target.js'
import { Gate } from '../src/gate.js'
import { MemoryStore } from '../src/stores/memory.js'
import { TokenManager } from '../src/token-manager.js'
import { VerifiedToken, type Verifier } from '../src/token/verifier.js'

const START = 1_700_000_000

/** Knows one token, and remembers it as signed ones are. */
function verifierOf(claims: Claims & { exp?: number }, clockToleranceSeconds: number): Verifier {
  return {
    clockToleranceSeconds,
    keysVersion: 1,
    verify: async (text, now) =>
      claims.exp === undefined || now < claims.exp + clockToleranceSeconds
        ? { status: 'valid', token: new VerifiedToken(claims, text) }
        : { status: 'invalid', code: 'ERR_TOKEN_EXPIRED', reason: 'The token has expired' },
  }
}

const seconds = (max: number) => fc.oneof(fc.constantFrom(0, 1, max), fc.integer({ min: 0, max }))
const settings = fc.record({
  lifetimeMaxSeconds: fc.oneof(fc.constantFrom(1, 1800), fc.integer({ min: 1, max: 10_000 })),
  clockToleranceSeconds: seconds(300),
  skewMarginSeconds: seconds(600),
})
const token = fc.record({
  /** From somewhat younger than a gate accepts to the oldest. */
  age: fc.integer({ min: -50, max: 1000 }).map((part) => part / 1000),
  isWhole: fc.boolean(),
  lives: fc.option(fc.integer({ min: 1, max: 20_000 }), { nil: undefined }),
  tolerance: seconds(400),
  jti: fc.option(fc.constant('1'), { nil: undefined }),
})
const how = fc.constantFrom('token', 'claims', 'everything', 'one' as const)

it('a token that was accepted when it was revoked is never accepted again', { timeout: 60_000 }, async () => {
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(
      settings,
      token,
      how,
      fc.constantFrom(0, 0.001, 0.5, 0.999),
      async (set, of, by, part) => {
        const { lifetimeMaxSeconds, clockToleranceSeconds, skewMarginSeconds } = set
        const tolerance = Math.max(clockToleranceSeconds, of.tolerance)
        const [youngest, oldest] = [Math.max(tolerance, skewMarginSeconds), -lifetimeMaxSeconds - tolerance]
        const exact = START + youngest + of.age * (oldest - youngest)
        const iat = of.isWhole ? Math.floor(exact) : exact
        const exp = of.lives === undefined ? {} : { exp: Math.floor(iat + of.lives) }
        const claims = { sub: 'alice', iat, ...exp, ...(of.jti === undefined ? {} : { jti: of.jti }) }
        let now = START + part
        const manager = new TokenManager({
          store: new MemoryStore(),
          verifier: verifierOf(claims, of.tolerance),
          now: () => now * 1000,
          ...set,
        })
        const gates = [new Gate({ manager }), new Gate({ manager, cache: false })]
        const ask = async () => {
          const verdicts = await Promise.all(
            gates.map(async (gate) => gate.check({ authorization: ['Bearer one'] })),
          )
          return verdicts.some(({ allowed }) => allowed)
        }
        try {
          await manager.ready()
          if (!(await ask())) return
          accepted += 1
          const anyTime = { issuedBefore: null }
          const { expiresAt } =
            by === 'token'
              ? await manager.revokeToken('one')
              : by === 'one' && of.jti !== undefined
                ? await manager.revoke({ jti: of.jti })
                : await (by === 'everything'
                    ? manager.revokeAll(anyTime)
                    : manager.revoke({ sub: 'alice' }, anyTime))
          const ends = [expiresAt, iat + lifetimeMaxSeconds, claims.exp ?? expiresAt].flatMap((end) => [
            end,
            end + clockToleranceSeconds,
            end + tolerance,
          ])
          const moments = ends.flatMap((end) => [end - 1, end - 0.001, end, end + 0.001, end + 1])
          for (const moment of moments.filter((each) => each > START + part).sort((a, b) => a - b)) {
            now = moment
            expect(await ask(), `${moment - START} s later, revoked until ${expiresAt - START}`).toBe(false)
          }
        } finally {
          await manager.close()
        }
      },
    ),
    { numRuns: 1000 },
  )
  expect(accepted).toBeGreaterThan(500)
})
