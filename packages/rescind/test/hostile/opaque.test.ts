/** Opaque tokens, of which an application says anything: an answer, never a throw, and once revoked refused. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasCode } from '../../src/errors.js'
import { Gate } from '../../src/gate.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import { OpaqueVerifier } from '../../src/token/opaque-verifier.js'
import { base64url, verify } from './forgeries.js'
import { Hostile } from './inputs.js'
import { nastyText } from './texts.js'

const hostile = new Hostile('tokens')
const TOLERANCE_SECONDS = 6
const throwing = (value: unknown) => () => {
  throw value
}

describe('an opaque token', () => {
  const claims = fc.oneof(
    fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withTypedArray: true,
      withSparseArray: true,
    }),
    fc.record(
      { iat: fc.anything(), exp: fc.anything(), sub: fc.anything(), jti: fc.anything(), iss: fc.anything() },
      { requiredKeys: [] },
    ),
    fc
      .record({ sub: fc.anything(), exp: fc.anything() }, { requiredKeys: [] })
      .map((more) => ({ iat: Math.floor(Date.now() / 1000), ...more })),
  )
  it(
    'whatever the application says of it: an answer, and once revoked it is refused',
    { timeout: hostile.timeoutMs },
    async () => {
      let allowed = 0
      await fc.assert(
        fc.asyncProperty(claims, nastyText(), async (said, text) => {
          const verifier = new OpaqueVerifier({ verify: () => said as Record<string, unknown> })
          await verify(hostile, verifier, text)
          const token = base64url(text) || 'x'
          const manager = new TokenManager({ store: new MemoryStore(), verifier, replica: false })
          const gate = new Gate({ manager })
          const verdict = await hostile.later(async () => gate.check({ authorization: [`Bearer ${token}`] }))
          if (!verdict.allowed) return
          allowed += 1
          const { exp = Infinity } = said as { exp?: unknown }
          expect(typeof exp === 'number' && exp > Date.now() / 1000 - TOLERANCE_SECONDS).toBe(true)
          await manager.revokeToken(token)
          expect(await gate.check({ authorization: [`Bearer ${token}`] })).toMatchObject({
            denial: { code: 'token_revoked' },
          })
        }),
        hostile.runs(0.1),
      )
      expect(allowed).toBeGreaterThan(0)
    },
  )

  class Row {
    readonly iat = Math.floor(Date.now() / 1000)
    readonly sub = 'alice'
  }
  it.each<[string, () => unknown]>([
    [
      'an accessor that throws',
      () => ({
        iat: 1,
        get exp(): number {
          throw new Error('no')
        },
      }),
    ],
    [
      'a proxy that throws',
      () =>
        new Proxy(
          {},
          {
            get() {
              throw new Error('no')
            },
            getOwnPropertyDescriptor() {
              throw new Error('no')
            },
          },
        ),
    ],
    [
      'a proxy that was revoked',
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return proxy
      },
    ],
    ['a throw of nothing', throwing(undefined)],
    ['a throw of a text', throwing('no')],
    ['a throw of an object without a prototype', throwing(Object.create(null))],
    [
      'a throw of an error with a hostile name',
      () => {
        throw Object.defineProperty(new Error('no'), 'name', {
          get() {
            throw new Error('no')
          },
        })
      },
    ],
    ['a promise of nothing', async () => undefined],
    ['what is thenable and never settles', () => ({ then: () => undefined })],
    [
      'what is thenable and throws',
      () => ({
        then() {
          throw new Error('no')
        },
      }),
    ],
    ['a text', () => 'alice'],
    ['a function', () => () => 1],
    [
      'itself',
      () => {
        const self: Record<string, unknown> = { iat: Math.floor(Date.now() / 1000) }
        self.self = self
        return self
      },
    ],
  ])('%s: is answered, and not thrown', async (_, verifyIt) => {
    const verifier = new OpaqueVerifier({ verify: verifyIt as () => null, timeoutMs: 20 })
    const result = await verifier.verify('token', 1e9)
    expect(['valid', 'invalid', 'unknown']).toContain(result.status)
  })

  it('with claims of a class is named by its own digest', async () => {
    const verifier = new OpaqueVerifier({ verify: () => new Row() as unknown as Record<string, unknown> })
    const manager = new TokenManager({ store: new MemoryStore(), verifier, replica: false })
    await manager.revokeToken('one')
    expect([await manager.isRevoked('one'), await manager.isRevoked('two')]).toEqual([true, false])
    await manager.revoke({ sub: 'alice' })
    expect(await manager.isRevoked('two')).toBe(true)
  })

  it('with what is no JSON among its claims is allowed, and changes nothing of the application', async () => {
    const session = {
      iat: Math.floor(Date.now() / 1000),
      sub: { toJSON: () => 'alice' },
      id: Buffer.from('row'),
      seen: new Date(),
      count: 12n,
      tags: new Set(['a']),
      nested: { list: [1] },
    }
    const verifier = new OpaqueVerifier({ verify: () => session })
    const manager = new TokenManager({ store: new MemoryStore(), verifier })
    await manager.ready()
    const gate = new Gate({ manager })
    const verdict = await gate.check({ authorization: ['Bearer session-1'] })
    if (!verdict.allowed) throw new Error(verdict.denial.code)
    session.nested.list.push(2)
    expect([Object.isFrozen(session), Object.isFrozen(session.nested)]).toEqual([false, false])
    expect(verdict.auth.claims).toMatchObject({ sub: 'alice', count: '12', nested: { list: [1] } })
    await manager.revoke({ count: 12 })
    expect(await manager.isRevoked('session-1')).toBe(true)
    await manager.close()
  })

  it('whose claims change while they are read has those that were verified', async () => {
    let read = 0
    const soon = Math.floor(Date.now() / 1000)
    const verifier = new OpaqueVerifier({
      verify: () => ({
        iat: soon,
        get exp() {
          return soon + (read++ === 0 ? 60 : 10_000)
        },
      }),
    })
    const result = await verifier.verify('token', soon)
    if (result.status !== 'valid') throw new Error(result.status)
    expect([result.token.claims.exp, result.token.claims.exp]).toEqual([soon + 60, soon + 60])
  })

  it('without a verifier is no question of revocation', async () => {
    const manager = new TokenManager({ store: new MemoryStore(), replica: false })
    await expect(manager.check('token')).rejects.toSatisfy((error) => hasCode(error, 'ERR_VERIFIER_MISSING'))
  })
})
