import { decodeJwt } from 'jose'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { RescindError } from '../src/errors.js'
import { type Policy, Gate } from '../src/gate.js'
import { MemoryStore } from '../src/stores/memory.js'
import { type Change, logChanged, type Store } from '../src/stores/store.js'
import { TokenManager, type TokenManagerOptions } from '../src/token-manager.js'
import { OpaqueVerifier } from '../src/token/opaque-verifier.js'
import { makeIssuer } from './support/issuer.js'
import { until } from './support/until.js'

const issuer = await makeIssuer('ES256')

/** A manager whose clock is moved by hand. */
function setUp(options: Partial<TokenManagerOptions> = {}) {
  const clock = { ms: Math.floor(Date.now() / 1000) * 1000 }
  const manager = new TokenManager({
    store: new MemoryStore(),
    verifier: issuer.verifier,
    now: () => clock.ms,
    ...options,
  })
  const gate = new Gate({ manager })
  const now = () => Math.floor(clock.ms / 1000)
  const advance = (seconds: number) => (clock.ms += seconds * 1000)
  const ask = async (token: string, policy?: Policy) => {
    const verdict = await gate.check({ authorization: [`Bearer ${token}`] }, policy)
    return verdict.allowed ? 'allowed' : verdict.denial.code
  }
  return { manager, gate, now, advance, ask }
}

/** A store that is away. */
const broken = (code: 'ERR_STORE_UNAVAILABLE' | 'ERR_STORE_REFUSED' = 'ERR_STORE_UNAVAILABLE'): Store => {
  const fail = () => Promise.reject(new RescindError(code, 'away'))
  return {
    kind: 'broken',
    put: fail,
    restore: fail,
    advance: fail,
    find: fail,
    list: fail,
    changes: fail,
    readLog: fail,
    position: fail,
    onBell: () => () => undefined,
    ringForReceipts: fail,
    announce: fail,
    retire: fail,
    nodes: fail,
    ping: fail,
    close: async () => undefined,
  }
}

describe('a log-out', () => {
  it('kills the presented token and no other', async () => {
    const { manager, ask, gate } = setUp()
    const [one, two] = [await issuer.sign(), await issuer.sign()]
    expect(await ask(one)).toBe('allowed')
    const verdict = await gate.check({ authorization: [`Bearer ${one}`] })
    if (!verdict.allowed) throw new Error('denied')
    const revocation = await manager.revokeToken(verdict.auth, { reason: 'log-out', actor: 'alice' })
    expect(revocation).toMatchObject({
      issuedBefore: null,
      reason: 'log-out',
      actor: 'alice',
      target: { jti: verdict.auth.claims.jti },
    })
    expect([await ask(one), await ask(two)]).toEqual(['token_revoked', 'allowed'])
    expect(await manager.check(one, { consistency: 'strict' })).toMatchObject({
      status: 'revoked',
      revocation: { reason: 'log-out' },
    })
    expect([await manager.isRevoked(one), await manager.isRevoked(two)]).toEqual([true, false])
  })

  it('everywhere kills all tokens issued up to and in this second, and lets the next log-in through', async () => {
    const { manager, ask, now, advance } = setUp()
    const iats = [-100, -1, 0].map((ago) => now() + ago)
    const old = await Promise.all(iats.map((iat) => issuer.sign({ iat })))
    const other = await issuer.sign({ sub: 'bob', iat: now() })
    await manager.revoke({ sub: 'alice' })
    advance(1)
    const next = await issuer.sign({ iat: now() })
    expect(await Promise.all([...old, other, next].map((token) => ask(token)))).toEqual([
      'token_revoked',
      'token_revoked',
      'token_revoked',
      'allowed',
      'allowed',
    ])
  })

  it('of everybody kills every token until now, and restore takes it back', async () => {
    const { manager, ask, now } = setUp()
    const token = await issuer.sign({ sub: 'bob', iat: now() - 1 })
    await manager.revokeAll({ reason: 'leaked key' })
    expect(await ask(token)).toBe('token_revoked')
    expect(await manager.restore('everything')).toBe(true)
    expect(await ask(token)).toBe('allowed')
  })

  it('with issuedBefore null is a ban: later tokens are dead too, until it ends', async () => {
    const { manager, ask, now, advance } = setUp()
    await manager.revoke({ sub: 'alice' }, { issuedBefore: null, expiresAt: now() + 100 })
    advance(50)
    const token = await issuer.sign({ iat: now(), exp: now() + 600 })
    expect(await ask(token)).toBe('token_revoked')
    advance(50)
    expect(await ask(token)).toBe('allowed')
  })
})

describe('no revocation ends before its token does', () => {
  it('a token whose exp lies 2 hours ahead is refused after 31 minutes and until its end', async () => {
    const { manager, ask, now, advance } = setUp({ lifetimeMaxSeconds: 7200 })
    const claims = { iat: now(), exp: now() + 7200 }
    const [token, living] = [await issuer.sign(claims), await issuer.sign(claims)]
    await manager.revokeToken(token)
    for (const minutes of [31, 60, 28]) {
      advance(minutes * 60)
      expect([await ask(token), await ask(living)]).toEqual(['token_revoked', 'allowed'])
    }
    advance(60 + 4)
    expect([await ask(token), await ask(living)]).toEqual(['token_revoked', 'allowed'])
    advance(1)
    expect([await ask(token), await ask(living)]).toEqual(['token_expired', 'token_expired'])
  })

  it('by default too, where the gate takes tokens of 30 minutes: the revocation outlives the token', async () => {
    const { manager, now, advance } = setUp()
    const token = await issuer.sign({ iat: now(), exp: now() + 7200 })
    const { expiresAt } = await manager.revokeToken(token)
    expect(expiresAt).toBe(now() + 7200 + 5 + 300)
    advance(31 * 60)
    expect(await manager.check(decodeJwt(token))).toMatchObject({ status: 'revoked' })
  })

  it('a token older than the longest life is refused, so that a revocation by claims cannot be outlived', async () => {
    const { manager, ask, now, advance } = setUp()
    const token = await issuer.sign({ iat: now(), exp: now() + 7200 })
    const { expiresAt } = await manager.revoke({ sub: 'alice' })
    expect(expiresAt).toBe(now() + 1800 + 5 + 300)
    for (let passed = 0; passed < 7200; passed += 60) {
      expect(await ask(token), `after ${passed} s`).toBe(passed <= 1805 ? 'token_revoked' : 'token_expired')
      advance(60)
    }
  })

  it('a token that does not say when it was issued is refused', async () => {
    const lax = await makeIssuer('ES256', { requiredClaims: [] })
    const { ask } = setUp({ verifier: lax.verifier })
    expect(await ask(await lax.sign({ iat: undefined }))).toBe('token_invalid')
    expect(await ask(await lax.sign({ iat: Date.now() / 1000 + 3600 }))).toBe('token_invalid')
    expect(await ask(await lax.sign({ exp: undefined }))).toBe('allowed')
  })

  it('a token without exp lives in the store for the longest life', async () => {
    const lax = await makeIssuer('ES256', { requiredClaims: [] })
    const { manager, now } = setUp({ verifier: lax.verifier })
    expect((await manager.revokeToken(await lax.sign({ exp: undefined }))).expiresAt).toBe(now() + 1800 + 305)
  })

  it('revoking again with a shorter life keeps the longer one and says so', async () => {
    const { manager, now } = setUp()
    const long = await manager.revoke({ sid: 's' }, { expiresAt: now() + 9000, issuedBefore: null })
    const short = await manager.revoke({ sid: 's' }, { expiresAt: now() + 60, issuedBefore: null })
    expect([long.expiresAt, short.expiresAt]).toEqual([now() + 9000, now() + 9000])
  })

  it('a fixed time is exactly that time, with a warning when the token outlives it', async () => {
    const onWarning = vi.fn()
    const { manager, now, advance, ask } = setUp({ ttl: 'fixed', lifetimeMaxSeconds: 1800, onWarning })
    const short = await issuer.sign({ iat: now(), exp: now() + 600 })
    expect((await manager.revokeToken(short)).expiresAt).toBe(now() + 1800)
    expect(onWarning).not.toHaveBeenCalled()
    const long = await issuer.sign({ iat: now() - 1, exp: now() + 7200 })
    expect((await manager.revokeToken(long)).expiresAt).toBe(now() + 1800)
    expect(onWarning).toHaveBeenCalledExactlyOnceWith({
      code: 'REVOCATION_ENDS_EARLY',
      message: expect.stringContaining('7200 s'),
    })
    expect(await ask(long)).toBe('token_revoked')
    // No gate accepts it for longer than that.
    advance(1800)
    expect(await ask(long)).toBe('token_expired')
    await expect(manager.check(long)).rejects.toMatchObject({ code: 'ERR_TOKEN_EXPIRED' })
  })

  it('of a fixed time no second is missing: who was revoked by claims is too old from then on', async () => {
    const { manager, now, advance, ask } = setUp({ ttl: 'fixed', lifetimeMaxSeconds: 1800 })
    const token = await issuer.sign({ iat: now(), exp: now() + 1800 })
    await manager.revoke({ sub: 'alice' })
    advance(1799)
    expect(await ask(token)).toBe('token_revoked')
    for (const seconds of [1, 0.5, 3]) {
      advance(seconds)
      expect(await ask(token)).toBe('token_expired')
    }
  })

  it('warns of an end that was given and comes before that of the token', async () => {
    const onWarning = vi.fn()
    const { manager, now } = setUp({ onWarning })
    const token = await issuer.sign({ iat: now(), exp: now() + 600 })
    await manager.revokeToken(token, { expiresAt: now() + 700 })
    expect(onWarning).not.toHaveBeenCalled()
    await manager.revokeToken(token, { expiresAt: now() + 10 })
    expect(onWarning).toHaveBeenCalledExactlyOnceWith({
      code: 'REVOCATION_ENDS_EARLY',
      message: expect.stringContaining('expiresAt'),
    })
  })

  it('is not followed by "clear" of a token that is too old for a gate', async () => {
    const { manager, now, advance } = setUp()
    const token = await issuer.sign({ iat: now(), exp: now() + 8 * 3600 })
    await manager.revoke({ sub: 'alice' })
    expect(await manager.isRevoked(token)).toBe(true)
    advance(3600)
    await expect(manager.isRevoked(token)).rejects.toMatchObject({ code: 'ERR_TOKEN_EXPIRED' })
  })

  it('the tolerance is at least that of the verifier', async () => {
    const tolerant = await makeIssuer('ES256', { clockToleranceSeconds: 60 })
    const { manager } = setUp({ verifier: tolerant.verifier })
    expect(manager.settings.clockToleranceSeconds).toBe(60)
  })
})

describe('check answers', () => {
  it('unknown when the store is away, whatever is asked, and the gate 503', async () => {
    for (const code of ['ERR_STORE_UNAVAILABLE', 'ERR_STORE_REFUSED'] as const) {
      const { manager, ask } = setUp({ store: broken(code) })
      const token = await issuer.sign()
      for (const asked of [token, { sub: 'alice', jti: '1' }]) {
        expect(await manager.check(asked)).toMatchObject({ status: 'unknown', cause: { code } })
        await expect(manager.isRevoked(asked)).rejects.toMatchObject({ code })
      }
      expect(await ask(token)).toBe('check_unavailable')
    }
  })

  it.each([NaN, Infinity, -1])(
    'unknown from a replica that never read, and from none older than %d ms',
    async (ms) => {
      const { manager, gate } = setUp({ store: broken() })
      const claims = { sub: 'alice', jti: '1' }
      expect(manager.checkNow(claims, ms)).toBeUndefined()
      expect(await manager.check(claims, { stalenessMaxMs: ms })).toMatchObject({ status: 'unknown' })
      if (ms !== Infinity) return
      const head = { authorization: [`Bearer ${await issuer.sign()}`] }
      for (const policy of [
        { stalenessMaxMs: ms },
        { onUnknown: 'stale', staleMaxSeconds: ms },
      ] satisfies Policy[])
        expect(await gate.check(head, policy)).toMatchObject({ denial: { code: 'check_unavailable' } })
    },
  )

  it('the store where a staleness is no number, and memory of any age where it is without end', async () => {
    const { manager } = setUp()
    await manager.ready()
    const find = vi.spyOn(manager.store, 'find')
    expect(await manager.check({ sub: 'alice', jti: '1' }, { stalenessMaxMs: Infinity })).toEqual({
      status: 'clear',
    })
    expect(find).not.toHaveBeenCalled()
    expect(await manager.check({ sub: 'alice', jti: '1' }, { stalenessMaxMs: NaN })).toEqual({
      status: 'clear',
    })
    expect(find).toHaveBeenCalledTimes(1)
  })

  it('503 also when the application fails to log it', async () => {
    const { manager } = setUp({ store: broken() })
    const onUncertain = () => {
      throw new Error('the log is full')
    }
    const verdict = await new Gate({ manager, onUncertain }).check({
      authorization: [`Bearer ${await issuer.sign()}`],
    })
    expect(verdict).toMatchObject({ denial: { code: 'check_unavailable' } })
  })

  it('without asking the store for a forged token', async () => {
    const { ask } = setUp({ store: broken() })
    const attacker = await makeIssuer('ES256')
    expect(await ask(await attacker.sign())).toBe('token_invalid')
    expect(await ask('junk')).toBe('token_malformed')
  })

  it('claims as it does tokens, but unknown where only the token could tell', async () => {
    const lax = await makeIssuer('ES256', { requiredClaims: [] })
    const { manager } = setUp({ verifier: lax.verifier })
    const token = await lax.sign({ jti: undefined })
    expect(await manager.check({ sub: 'alice' })).toEqual({ status: 'clear' })
    const { target } = await manager.revokeToken(token)
    expect(Object.keys(target)).toEqual(['#sha256'])
    expect(await manager.check({ sub: 'alice' })).toMatchObject({
      status: 'unknown',
      cause: { code: 'ERR_TOKEN_UNNAMED' },
    })
    expect(await manager.check({ sub: 'alice', jti: 'x' })).toEqual({ status: 'clear' })
    expect(await manager.check(token)).toMatchObject({ status: 'revoked' })
    await manager.revoke({ sub: 'alice' })
    expect(await manager.check({ sub: 'alice' })).toMatchObject({ status: 'revoked' })
    expect(await manager.restore(target)).toBe(true)
  })

  it('the revocation that lasts longest, of all that match', async () => {
    const { manager, now } = setUp()
    await manager.revoke({ client_id: 'app' }, { expiresAt: now() + 10 })
    await manager.revoke({ sub: 'alice' }, { expiresAt: now() + 90, reason: 'this' })
    await manager.revoke({ sub: 'alice', client_id: 'app' }, { expiresAt: now() + 50 })
    const claims = { sub: 'alice', client_id: 'app', iat: now() }
    const end = now() + 90
    expect(await manager.check(claims)).toMatchObject({
      revocation: { target: { sub: 'alice' }, expiresAt: end },
    })
    expect(await manager.check(claims, { consistency: 'strict' })).toMatchObject({
      revocation: { target: { sub: 'alice' }, expiresAt: end, reason: 'this' },
    })
  })

  it('an error for a token that is not genuine, and for claims that cannot be compared', async () => {
    const { manager, ask, now } = setUp()
    await expect(manager.check('junk')).rejects.toMatchObject({ code: 'ERR_TOKEN_MALFORMED' })
    await expect(manager.revokeToken('a.b.c')).rejects.toMatchObject({ code: 'ERR_TOKEN_MALFORMED' })
    await expect(manager.revokeToken(await issuer.sign({ exp: now() - 60 }))).rejects.toMatchObject({
      code: 'ERR_TOKEN_EXPIRED',
    })
    await manager.revoke({ group: 'x' })
    const groups = { group: Array.from({ length: 100 }, (_, i) => i) }
    await expect(manager.check(groups)).rejects.toMatchObject({ code: 'ERR_CLAIM_INVALID' })
    expect(await ask(await issuer.sign(groups))).toBe('token_invalid')
    await expect(manager.check(null as never)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })

  it('for opaque tokens by the SHA-256 of themselves and by their claims', async () => {
    const sessions = new Map([
      ['s1', { sub: 'alice' }],
      ['s2', { sub: 'alice' }],
    ])
    const iat = Date.now() / 1000 - 5
    const verifier = new OpaqueVerifier({
      verify: (token) => (sessions.has(token) ? { ...sessions.get(token), iat } : null),
    })
    const { manager, ask } = setUp({ verifier })
    await manager.revokeToken('s1')
    expect(await Promise.all(['s1', 's2', 's3'].map((token) => ask(token)))).toEqual([
      'token_revoked',
      'allowed',
      'token_invalid',
    ])
    await manager.revoke({ sub: 'alice' })
    expect(await ask('s2')).toBe('token_revoked')
  })

  it('for opaque tokens with a jti by that, so that claims tell as much as the token', async () => {
    const claims = {
      iss: 'https://as.example',
      sub: 'alice',
      jti: '7',
      iat: Math.floor(Date.now() / 1000) - 5,
    }
    const verifier = new OpaqueVerifier({ verify: () => claims })
    const { manager, gate } = setUp({ verifier })
    const verdict = await gate.check({ authorization: ['Bearer s1'] })
    if (!verdict.allowed) throw new Error('denied')
    const living = manager.onRevoked(verdict.auth.claims)
    expect((await manager.revokeToken('s1')).target).toEqual({ iss: claims.iss, jti: '7' })
    for (const asked of ['s1', verdict.auth, verdict.auth.claims, { iss: claims.iss, jti: '7' }]) {
      expect(await manager.isRevoked(asked)).toBe(true)
      expect(await manager.isRevoked(asked, { consistency: 'strict' })).toBe(true)
    }
    expect(manager.checkNow(verdict.auth.claims)).toMatchObject({ status: 'revoked' })
    expect(await living).toBe('revoked')
    expect(await manager.isRevoked({ ...claims, jti: '8' })).toBe(false)
    await manager.close()
  })
})

describe('the gate compares scopes after everything else', () => {
  it('all of those asked for, in any form that issuers use', async () => {
    const { ask, manager } = setUp()
    const token = await issuer.sign({ scope: 'read write' })
    expect(await ask(token, { scope: 'read' })).toBe('allowed')
    expect(await ask(token, { scope: ['read', 'write'] })).toBe('allowed')
    expect(await ask(token, { scope: 'read admin' })).toBe('scope_insufficient')
    expect(await ask(await issuer.sign({ scp: ['admin', 5] }), { scope: 'admin' })).toBe('allowed')
    expect(await ask(await issuer.sign({ scope: 'administrator' }), { scope: 'admin' })).toBe(
      'scope_insufficient',
    )
    await manager.revokeToken(token)
    expect(await ask(token, { scope: 'admin' })).toBe('token_revoked')
  })
})

describe('a policy that a typed caller could not write', () => {
  it.each<[string, unknown]>([
    ['a misspelt option', { scopes: ['admin'] }],
    ['a scope that is no text', { scope: 5 }],
    ['scopes that are no texts', { scope: [['admin']] }],
    ['a source that there is not', { tokenFrom: ['cookie'] }],
    ['a source as text', { tokenFrom: 'header' }],
    ['no source at all', { tokenFrom: [] }],
  ])('%s lets nobody in, and the cause is told', async (_, policy) => {
    const { manager } = setUp()
    const causes: RescindError[] = []
    const gate = new Gate({ manager, onUncertain: (cause) => causes.push(cause) })
    const head = { authorization: [`Bearer ${await issuer.sign({ scope: 'admin' })}`] }
    for (let i = 1; i <= 2; i++) {
      expect(await gate.check(head, policy as Policy)).toMatchObject({
        denial: { code: 'check_unavailable' },
      })
      expect(causes.map(({ code }) => code)).toEqual(Array(i).fill('ERR_OPTION_INVALID'))
    }
  })
})

describe('bad input', () => {
  const { manager, now } = setUp()
  it.each<[string, () => Promise<unknown>, string]>([
    ['an undefined claim', () => manager.revoke({ sub: undefined as never }), 'ERR_TARGET_INVALID'],
    ['the empty target', () => manager.revoke({}), 'ERR_TARGET_INVALID'],
    ['the empty target to restore', () => manager.restore({}), 'ERR_TARGET_INVALID'],
    [
      'an end in the past',
      () => manager.revoke({ sub: 'a' }, { expiresAt: now() - 1 }),
      'ERR_OPTION_INVALID',
    ],
    [
      'milliseconds',
      () => manager.revoke({ sub: 'a' }, { expiresAt: Date.now() + 1000 }),
      'ERR_OPTION_INVALID',
    ],
    [
      'an invalid Date',
      () => manager.revoke({ sub: 'a' }, { issuedBefore: new Date(NaN) }),
      'ERR_OPTION_INVALID',
    ],
    ['a long reason', () => manager.revoke({ sub: 'a' }, { reason: 'x'.repeat(513) }), 'ERR_OPTION_INVALID'],
    [
      'an actor that is no text',
      () => manager.revoke({ sub: 'a' }, { actor: 5 as never }),
      'ERR_OPTION_INVALID',
    ],
    [
      'claims for revokeToken',
      () => manager.revokeToken({ claims: { sub: 'a' } } as never),
      'ERR_OPTION_INVALID',
    ],
    ['a limit of zero', () => manager.list({ limit: 0 }), 'ERR_OPTION_INVALID'],
    ['a cursor that is none', () => manager.list({ cursor: 'x' }), 'ERR_LOG_CHANGED'],
  ])('%s is an error that says so, and writes nothing', async (_, act, code) => {
    const before = await manager.store.position()
    await expect(act()).rejects.toMatchObject({ code })
    expect(await manager.store.position()).toBe(before)
  })

  it.each([NaN, Infinity, 0, 2 ** 31, 0.5, '1'])('a time that no timer can wait for: %s', async (wrong) => {
    const ms = wrong as number
    const invalid = { code: 'ERR_OPTION_INVALID' }
    await expect(manager.ready({ timeoutMs: ms })).rejects.toMatchObject(invalid)
    await expect(manager.revoke({ sub: 'a' }, { ack: 'everywhere', timeoutMs: ms })).rejects.toMatchObject(
      invalid,
    )
    expect(() => manager.watch({ pollMs: ms })).toThrow('pollMs')
    const verify = () => null
    expect(() => new OpaqueVerifier({ verify, timeoutMs: ms })).toThrow('timeoutMs')
  })

  it.each([NaN, Infinity, -1, 301])(
    'an opaque verifier with a tolerance of %d seconds',
    (clockToleranceSeconds) => {
      const wrong = () => new OpaqueVerifier({ verify: 'no' as never, clockToleranceSeconds })
      expect(wrong).toThrow(/verify must[^]*clockToleranceSeconds must/)
    },
  )

  it('the auth of a token that has ended long ago', async () => {
    const { manager, gate, now, advance } = setUp()
    const head = { authorization: [`Bearer ${await issuer.sign({ iat: now(), exp: now() + 600 })}`] }
    const verdict = await gate.check(head)
    if (!verdict.allowed) throw new Error(verdict.denial.code)
    advance(3600)
    await expect(manager.revokeToken(verdict.auth)).rejects.toMatchObject({ code: 'ERR_TOKEN_EXPIRED' })
    await expect(manager.preview(verdict.auth)).rejects.toMatchObject({ code: 'ERR_TOKEN_EXPIRED' })
    await expect(manager.revokeToken(verdict.auth, { expiresAt: now() - 1 })).rejects.toThrow('expiresAt')
  })

  it('a token as text needs a verifier', async () => {
    const manager = new TokenManager({ store: new MemoryStore() })
    await expect(manager.revokeToken(await issuer.sign())).rejects.toMatchObject({
      code: 'ERR_VERIFIER_MISSING',
    })
    await expect(manager.check(await issuer.sign())).rejects.toMatchObject({ code: 'ERR_VERIFIER_MISSING' })
    expect(() => new Gate({ manager, realm: '', retryAfterSeconds: -1 })).toThrow(
      /verifier[^]*realm[^]*retryAfterSeconds/,
    )
  })

  it.each(['', 'x'.repeat(129), '\ud800', 7])(
    'a name of a node that others could not read: %j',
    (nodeName) => {
      expect(() => setUp({ nodeName: nodeName as string })).toThrow(/nodeName must/)
      expect(setUp({ nodeName: 'x'.repeat(128) }).manager.replica!.name).toHaveLength(128)
    },
  )

  it('settings are checked whole, from options and from the environment', () => {
    const store = new MemoryStore()
    expect(
      () => new TokenManager({ store, lifetimeMaxSeconds: 0, ttl: 'x' as never, skewMarginSeconds: 1.5 }),
    ).toThrow(/lifetimeMaxSeconds[^]*skewMarginSeconds[^]*ttl/)
    const env = {
      RESCIND_LIFETIME_MAX_SECONDS: '3600',
      RESCIND_TTL: 'fixed',
      RESCIND_CLOCK_TOLERANCE_SECONDS: '0',
      RESCIND_SKEW_MARGIN_SECONDS: '60',
      RESCIND_STALENESS_MAX_MS: '500',
    }
    expect(TokenManager.fromEnv(env, { store }).settings).toEqual({
      lifetimeMaxSeconds: 3600,
      ttl: 'fixed',
      clockToleranceSeconds: 0,
      skewMarginSeconds: 60,
      stalenessMaxMs: 500,
    })
    const bad = Object.fromEntries(Object.keys(env).map((name) => [name, 'canary']))
    try {
      TokenManager.fromEnv(bad, { store })
      expect.unreachable()
    } catch (error) {
      for (const name of Object.keys(env)) expect((error as Error).message).toContain(name)
      expect((error as Error).message).not.toContain('canary')
    }
  })
})

describe('list, preview and watch', () => {
  it('list filters by claims, actor and time, page by page', async () => {
    const { manager, now, advance } = setUp()
    for (let i = 0; i < 5; i++)
      await manager.revoke({ sub: `u${i}`, client_id: 'app' }, { actor: i % 2 === 0 ? 'x' : 'y' })
    advance(10)
    await manager.revoke({ sub: 'u1' }, { actor: 'x' })
    const subs = async (query: Parameters<TokenManager['list']>[0]) =>
      (await manager.list(query)).revocations.map(({ target }) => target.sub)
    expect(await subs({})).toEqual(['u1', 'u4', 'u3', 'u2', 'u1', 'u0'])
    expect(await subs({ target: { client_id: 'app' }, actor: 'y' })).toEqual(['u3', 'u1'])
    expect(await subs({ revokedSince: now() })).toEqual(['u1'])
    const first = await manager.list({ limit: 4 })
    expect(first.revocations).toHaveLength(4)
    expect((await manager.list({ cursor: first.cursor })).revocations).toHaveLength(2)
  })

  it('list searches in values, reason, actor and id, in any case', async () => {
    const { manager } = setUp()
    await manager.revoke({ sub: 'Alice' }, { reason: 'left the company' })
    const { id } = await manager.revoke({ sub: 'bob', client_id: 'app' }, { actor: 'Carol' })
    await manager.revoke({ sub: 'dave' })
    const subs = async (search: string) =>
      (await manager.list({ search })).revocations.map(({ target }) => target.sub)
    expect(await subs('alice')).toEqual(['Alice'])
    expect(await subs('COMPANY')).toEqual(['Alice'])
    expect(await subs('carol')).toEqual(['bob'])
    expect(await subs(id.slice(3, 15))).toEqual(['bob'])
    expect(await subs('client_id')).toEqual([])
    expect(await subs('a')).toEqual(['dave', 'bob', 'Alice'])
    for (const search of ['', 'x'.repeat(257)])
      await expect(manager.list({ search })).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })

  it('find tells all that stands under an id, and nothing when it has ended or was restored', async () => {
    const { manager, now, advance } = setUp()
    const { id } = await manager.revoke({ sub: 'alice' }, { expiresAt: now() + 100, issuedBefore: null })
    await manager.revoke({ sub: 'alice' }, { expiresAt: now() + 500, reason: 'r', actor: 'a' })
    expect(await manager.find(id)).toEqual({
      id,
      target: { sub: 'alice' },
      scope: 'claims',
      restoredAt: null,
      revocations: [
        expect.objectContaining({ expiresAt: now() + 500, issuedBefore: now(), reason: 'r', actor: 'a' }),
        expect.objectContaining({ expiresAt: now() + 100, issuedBefore: null }),
      ],
    })
    advance(100)
    expect((await manager.find(id))?.revocations).toHaveLength(1)
    await manager.restore({ sub: 'alice' })
    const restoredAt = Math.floor(now())
    expect(await manager.find(id)).toBeUndefined()
    await manager.revoke({ sub: 'alice' })
    expect(await manager.find(id)).toMatchObject({ restoredAt, revocations: [{ id }] })
    expect(await manager.find('AAAAAAAAAAAAAAAAAAAAAA')).toBeUndefined()
  })

  it('preview says what would happen and writes nothing', async () => {
    const { manager, now, gate } = setUp()
    expect(await manager.preview({ sub: 'alice' })).toEqual({
      target: { sub: 'alice' },
      scope: 'claims',
      issuedBefore: now(),
      expiresAt: now() + 2105,
      effect: 'new',
      standing: [],
    })
    await manager.revoke({ sub: 'alice' }, { reason: 'r' })
    expect(await manager.preview({ sub: 'alice' })).toMatchObject({
      effect: 'none',
      standing: [{ reason: 'r' }],
    })
    expect(await manager.preview({ sub: 'alice' }, { issuedBefore: null })).toMatchObject({
      effect: 'extends',
      issuedBefore: null,
    })
    expect(await manager.preview('everything')).toMatchObject({ scope: 'everything', effect: 'new' })
    const verdict = await gate.check({
      authorization: [`Bearer ${await issuer.sign({ sub: 'bob', exp: now() + 100 })}`],
    })
    if (!verdict.allowed) throw new Error('denied')
    expect(await manager.preview(verdict.auth)).toMatchObject({
      scope: 'token',
      issuedBefore: null,
      expiresAt: now() + 405,
    })
    expect((await manager.list()).revocations).toHaveLength(1)
  })

  it('watch tells every change in order, resumes after a position, and ends with its signal or with close', async () => {
    const { manager } = setUp()
    const stop = new AbortController()
    const seen: Change[] = []
    const watching = (async () => {
      for await (const change of manager.watch({
        signal: stop.signal,
        pollMs: 10,
        after: await manager.store.position(),
      }))
        seen.push(change)
    })()
    for (let i = 0; i < 300; i++) await manager.revoke({ sub: `u${i}` })
    await manager.restore({ sub: 'u0' })
    await until(() => seen.length === 301, { what: 'all changes' })
    expect(
      seen.slice(0, 300).map((change) => change.type === 'revoked' && change.revocation.target.sub),
    ).toEqual(Array.from({ length: 300 }, (_, i) => `u${i}`))
    expect(seen[300]).toMatchObject({ type: 'restored', target: { sub: 'u0' } })
    stop.abort()
    await watching
    const resumed = manager.watch({ after: seen[298]!.position })
    expect((await resumed.next()).value).toEqual(seen[299])
    expect((await resumed.next()).value).toEqual(seen[300])
    const last = resumed.next()
    await sleep(0)
    await manager.close()
    expect(await last).toEqual({ done: true, value: undefined })
  })

  it('watch begins when it is called, whenever the first change is asked for', async () => {
    const { manager } = setUp()
    const changes = manager.watch()
    await manager.revoke({ sub: 'a' })
    expect((await changes.next()).value).toMatchObject({ revocation: { target: { sub: 'a' } } })
    await manager.close()
  })

  it('watch that nobody reads throws nothing, and one waits from the start for a store that is away', async () => {
    const store = new MemoryStore()
    const original = store.position.bind(store)
    let failures = 3
    store.position = () =>
      failures-- > 0 ? Promise.reject(new RescindError('ERR_STORE_TIMEOUT', 'slow')) : original()
    const { manager } = setUp({ store })
    manager.watch()
    const next = manager.watch({ pollMs: 10 }).next()
    await until(() => failures < 0, { what: 'the position' })
    await manager.revoke({ sub: 'a' })
    expect((await next).value).toMatchObject({ type: 'revoked' })
    await manager.close()
  })

  it('watch waits while the store is away, and throws when the log does not hold its position', async () => {
    const store = new MemoryStore()
    const original = store.changes.bind(store)
    let failures = 2
    store.changes = (after, limit) =>
      failures-- > 0 ? Promise.reject(new RescindError('ERR_STORE_TIMEOUT', 'slow')) : original(after, limit)
    const { manager } = setUp({ store })
    const next = manager.watch({ after: await store.position(), pollMs: 10 }).next()
    await manager.revoke({ sub: 'a' })
    expect((await next).value).toMatchObject({ type: 'revoked' })
    await expect(manager.watch({ after: 'x:1:1' }).next()).rejects.toMatchObject({ code: 'ERR_LOG_CHANGED' })
  })
})

it('the store is given targets only as digests, names and values, and never a token', async () => {
  const store = new MemoryStore()
  const put = vi.spyOn(store, 'put')
  const { manager } = setUp({ store })
  const token = await issuer.sign()
  await manager.revokeToken(token)
  const [target] = put.mock.calls[0]!
  expect(target.digest).toMatch(/^[A-Za-z0-9_-]{22}$/)
  const signature = token.split('.')[2] as string
  expect(JSON.stringify(put.mock.calls)).not.toContain(signature.slice(0, 16))
})

it('a manager is ready when the log can be read, though it changed while it was read', async () => {
  const store = new MemoryStore()
  const original = store.readLog.bind(store)
  let failures = 2
  store.readLog = (...read) => (failures-- > 0 ? Promise.reject(logChanged()) : original(...read))
  const { manager } = setUp({ store })
  await manager.ready()
  expect(manager.replica!.isFreshWithin(1000)).toBe(true)
  await manager.close()
})

it('without a replica a manager is ready when the store has answered', async () => {
  const store = new MemoryStore()
  const ping = vi
    .spyOn(store, 'ping')
    .mockRejectedValueOnce(new RescindError('ERR_STORE_UNAVAILABLE', 'not connected yet'))
  await setUp({ store, replica: false }).manager.ready()
  expect(ping).toHaveBeenCalledTimes(2)
  const away = setUp({ store: broken('ERR_STORE_REFUSED'), replica: false }).manager
  await expect(away.ready({ timeoutMs: 1 })).rejects.toMatchObject({ code: 'ERR_STORE_REFUSED' })
})
