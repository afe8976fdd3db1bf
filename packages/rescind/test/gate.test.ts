/** The gate on tokens that it has seen: what it remembers, and what it never forgets to look at. */
import { createServer } from 'node:http'
import { exportJWK, generateKeyPair } from 'jose'
import { describe, expect, it, vi } from 'vitest'
import { RescindError } from '../src/errors.js'
import { Gate, type GateOptions, type Policy, type Verdict } from '../src/gate.js'
import { RedisStore } from '../src/redis/store.js'
import { MemoryStore } from '../src/stores/memory.js'
import { TokenManager, type TokenManagerOptions } from '../src/token-manager.js'
import { JwtVerifier } from '../src/token/jwt-verifier.js'
import { OpaqueVerifier } from '../src/token/opaque-verifier.js'
import { AUDIENCE, ISSUER, makeIssuer } from './support/issuer.js'
import { patientConnection } from './support/patient.js'
import { RedisServer } from './support/redis-server.js'
import { until } from './support/until.js'

const issuer = await makeIssuer('ES256')

async function setUp(options: Partial<TokenManagerOptions> = {}, gateOptions: Partial<GateOptions> = {}) {
  const clock = { ms: Date.now() }
  const manager = new TokenManager({
    store: new MemoryStore(),
    verifier: issuer.verifier,
    now: () => clock.ms,
    ...options,
  })
  await manager.ready()
  const gate = new Gate({ manager, ...gateOptions })
  const verify = vi.spyOn(manager.verifier!, 'verify')
  verify.mockClear()
  const check = (token: string, policy?: Policy) => gate.check({ authorization: [`Bearer ${token}`] }, policy)
  return { clock, manager, gate, verify, check, advance: (seconds: number) => (clock.ms += seconds * 1000) }
}

const codeOf = (verdict: Verdict) => (verdict.allowed ? 'allowed' : verdict.denial.code)

describe('a token that was verified before', () => {
  it('gets its verdict at once, without a promise, and is not verified again', async () => {
    const { check, verify, gate } = await setUp()
    const token = await issuer.sign()
    const first = check(token)
    expect(first).toBeInstanceOf(Promise)
    const allowed = await first
    const again = check(token)
    expect(again).not.toBeInstanceOf(Promise)
    // The very same object: nothing is made for a request.
    expect(again).toBe(allowed)
    expect(verify).toHaveBeenCalledTimes(1)
    expect(gate.counts).toEqual({ fresh: 2, strict: 0, store: 0, stale: 0, open: 0, closed: 0 })
  })

  it('is refused at the next request when it is revoked, by any target and from any node', async () => {
    const server = await RedisServer.start()
    const open = () => new RedisStore(patientConnection({ url: server.url }))
    const elsewhere = new TokenManager({ store: open(), verifier: issuer.verifier })
    const { check, manager, verify } = await setUp({ store: open() })
    try {
      const [one, two, three] = [
        await issuer.sign(),
        await issuer.sign({ sub: 'bob' }),
        await issuer.sign({ sub: 'eve' }),
      ]
      for (const token of [one, two, three]) expect(codeOf(await check(token))).toBe('allowed')
      await until(async () => (await elsewhere.nodes()).length === 1, { what: 'the line of this node' })
      await manager.revokeToken(one)
      expect(codeOf(check(one) as Verdict)).toBe('token_revoked')
      await elsewhere.revoke({ sub: 'bob' }, { ack: 'everywhere' })
      expect(codeOf(check(two) as Verdict)).toBe('token_revoked')
      expect(codeOf(check(three) as Verdict)).toBe('allowed')
      await manager.restore({ sub: 'bob' })
      expect(codeOf(check(two) as Verdict)).toBe('allowed')
      // Once each, and once more by `revokeToken`, which was given a text.
      expect(verify).toHaveBeenCalledTimes(4)
    } finally {
      await elsewhere.close()
      await manager.close()
      await server.stop()
    }
  })

  it('is not believed past its end, nor past the greatest age', async () => {
    const { check, advance, verify } = await setUp({ lifetimeMaxSeconds: 1000 })
    const short = await issuer.sign()
    expect(codeOf(await check(short))).toBe('allowed')
    advance(290)
    expect(check(short)).not.toBeInstanceOf(Promise)
    advance(314)
    expect(codeOf(await check(short))).toBe('allowed')
    advance(2)
    expect(codeOf(await check(short))).toBe('token_expired')
    const old = await issuer.sign({ exp: Math.floor(Date.now() / 1000) + 5000 })
    const second = await setUp({ lifetimeMaxSeconds: 1000 })
    expect(codeOf(await second.check(old))).toBe('allowed')
    second.advance(1007)
    expect(codeOf(await second.check(old))).toBe('token_expired')
    expect(verify.mock.calls.length).toBeGreaterThanOrEqual(2)
  })

  it('is not believed past the age that its verifier allows', async () => {
    const strict = await makeIssuer('ES256', { maxAgeSeconds: 100 })
    const { check, advance, verify } = await setUp({ verifier: strict.verifier })
    const token = await strict.sign()
    expect(codeOf(await check(token))).toBe('allowed')
    advance(95)
    expect(check(token)).not.toBeInstanceOf(Promise)
    advance(12)
    expect(codeOf(await check(token))).toBe('token_expired')
    expect(verify).toHaveBeenCalledTimes(2)
  })

  it('is verified again after the greatest age of the cache', async () => {
    const { check, advance, verify } = await setUp({}, { cache: { maxAgeSeconds: 60 } })
    const token = await issuer.sign()
    await check(token)
    advance(59)
    await check(token)
    expect(verify).toHaveBeenCalledTimes(1)
    advance(2)
    await check(token)
    expect(verify).toHaveBeenCalledTimes(2)
  })

  it('is verified each time without a cache, and when the verifier does not say when its answers change', async () => {
    const off = await setUp({}, { cache: false })
    const token = await issuer.sign()
    await off.check(token)
    await off.check(token)
    expect(off.verify).toHaveBeenCalledTimes(2)
    const iat = Math.floor(Date.now() / 1000)
    const opaque = await setUp({ verifier: new OpaqueVerifier({ verify: () => ({ sub: 'a', iat }) }) })
    expect(codeOf(await opaque.check('secret'))).toBe('allowed')
    expect(codeOf(await opaque.check('secret'))).toBe('allowed')
    expect(opaque.verify).toHaveBeenCalledTimes(2)
  })

  it('is a cached one under exactly its own text: no other spelling takes its place', async () => {
    const { gate, check, verify } = await setUp()
    const token = await issuer.sign()
    await check(token)
    for (const field of [
      `bearer ${token}`,
      `Bearer  ${token}`,
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
    ]) {
      const verdict = gate.check({ authorization: [field] })
      expect(verdict).toBeInstanceOf(Promise)
      await verdict
    }
    expect(verify).toHaveBeenCalledTimes(5)
    // Other spellings of the scheme are let in and not remembered: a token cannot fill the cache with itself.
    expect(gate.check({ authorization: [`bearer ${token}`] })).toBeInstanceOf(Promise)
    const twice = await gate.check({ authorization: [`Bearer ${token}`, `Bearer ${token}`] })
    expect(codeOf(twice)).toBe('request_invalid')
    const both = await gate.check(
      { authorization: [`Bearer ${token}`], query: `access_token=${token}` },
      { tokenFrom: ['header', 'query'] },
    )
    expect(codeOf(both)).toBe('request_invalid')
  })

  it('meets the scopes of every route anew', async () => {
    const { check } = await setUp()
    const token = await issuer.sign({ scope: 'read' })
    expect(codeOf(await check(token))).toBe('allowed')
    expect(codeOf(check(token, { scope: 'read' }) as Verdict)).toBe('allowed')
    expect(codeOf(check(token, { scope: 'write' }) as Verdict)).toBe('scope_insufficient')
    expect(codeOf(check(token, { scope: ['read', 'write'] }) as Verdict)).toBe('scope_insufficient')
  })

  it('meets the audience and the issuer of every route anew', async () => {
    const { check } = await setUp()
    const token = await issuer.sign({ aud: [AUDIENCE, 'https://orders.example'] })
    expect(codeOf(await check(token))).toBe('allowed')
    const at = (policy: Policy) => codeOf(check(token, policy) as Verdict)
    expect(at({ audience: 'https://orders.example', issuer: ISSUER })).toBe('allowed')
    expect(at({ audience: ['https://x.example', AUDIENCE] })).toBe('allowed')
    expect(at({ audience: 'https://orders.example/' })).toBe('token_invalid')
    expect(at({ audience: ['https://x.example'], scope: 'write' })).toBe('token_invalid')
    expect(at({ issuer: ['https://x.example', ISSUER] })).toBe('allowed')
    expect(at({ issuer: 'https://x.example' })).toBe('token_invalid')
    const single = await issuer.sign()
    expect(codeOf(await check(single, { audience: AUDIENCE }))).toBe('allowed')
    const denied = await check(single, { audience: 'https://orders.example' })
    if (denied.allowed) throw new Error('allowed')
    expect(denied.denial.status).toBe(401)
    expect(denied.denial.challenge).toMatch(/^Bearer realm="api", error="invalid_token"/)
  })

  it('hands every request the same claims, which nobody can change', async () => {
    const { check } = await setUp()
    const verdict = await check(await issuer.sign({ realm_access: { roles: ['user'] } }))
    if (!verdict.allowed) throw new Error('denied')
    const { claims } = verdict.auth as unknown as {
      claims: { sub: string; realm_access: { roles: string[] } }
    }
    expect(() => (claims.sub = 'admin')).toThrow(TypeError)
    expect(() => claims.realm_access.roles.push('admin')).toThrow(TypeError)
    expect(() => (verdict.auth.scopes as string[]).push('admin')).toThrow(TypeError)
    const auth = verdict.auth as unknown as Record<string, unknown>
    for (const name of ['claims', 'target', 'tokenDigest', 'scopes', 'tenant'])
      expect(() => (auth[name] = {}), name).toThrow(TypeError)
    expect(() => delete auth.claims).toThrow(TypeError)
    expect(() => ((auth.target as { jti: string }).jti = 'another')).toThrow(TypeError)
  })
})

it('keys that change empty the cache: a token of a key that is gone is refused', async () => {
  const [old, next] = await Promise.all([
    makeIssuer('ES256'),
    generateKeyPair('ES256', { extractable: true }),
  ])
  let keys = [{ ...old.jwk, kid: 'old' }]
  const server = createServer((_, response) => response.end(JSON.stringify({ keys })))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const verifier = new JwtVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ['ES256'],
    jwksUrl: `http://127.0.0.1:${port}`,
    jwksCooldownMs: 0,
    jwksMaxAgeMs: 200,
  })
  const { check, manager } = await setUp({ verifier })
  try {
    const token = await old.sign({}, { kid: 'old' })
    expect(codeOf(await check(token))).toBe('allowed')
    expect(check(token)).not.toBeInstanceOf(Promise)
    keys = [{ ...(await exportJWK(next.publicKey)), alg: 'ES256', kid: 'new' }]
    // Another token makes the verifier fetch the keys; then the cached one is looked at again.
    await until(
      async () => {
        await check(await old.sign({}, { kid: 'old' }))
        return codeOf(await check(token)) === 'token_invalid'
      },
      { what: 'the new keys', intervalMs: 50 },
    )
  } finally {
    await manager.close()
    await new Promise((resolve) => server.close(resolve))
  }
})

it.each([
  [{ cache: { entriesMax: NaN } }, 'cache.entriesMax'],
  [{ cache: { bytesMax: -1 } }, 'cache.bytesMax'],
  [{ cache: { maxAgeSeconds: Infinity } }, 'cache.maxAgeSeconds'],
  [{ consistency: 'strikt' as never }, 'consistency'],
  [{ onUnknown: 'opened' as never }, 'onUnknown'],
  [{ stalenessMaxMs: -1 }, 'stalenessMaxMs'],
  [{ staleMaxSeconds: '1' as never }, 'staleMaxSeconds'],
])('an option that cannot be used is named: %j', async (options, name) => {
  const manager = new TokenManager({ store: new MemoryStore(), verifier: issuer.verifier })
  expect(() => new Gate({ manager, ...options })).toThrow(name)
  if ('cache' in options) return
  // On a route it lets nobody in.
  const verdict = await new Gate({ manager }).check(
    { authorization: [`Bearer ${await issuer.sign()}`] },
    options,
  )
  expect(codeOf(verdict)).toBe('check_unavailable')
  await manager.close()
})

it.each([
  [{ audience: [] }],
  [{ audience: '' }],
  [{ audience: null as never }],
  [{ issuer: [7] as never }],
  [{ issuer: '' }],
])('a route that names no audience or issuer in earnest lets nobody in: %j', async (policy) => {
  const { check, manager } = await setUp()
  expect(codeOf(await check(await issuer.sign(), policy))).toBe('check_unavailable')
  await manager.close()
})

it('words denials for what is refused before it is asked', async () => {
  const { gate, manager } = await setUp({}, { realm: 'shop', retryAfterSeconds: 7 })
  const denial = gate.denial('request_invalid', 'The path is not clear')
  expect(denial).toMatchObject({ status: 400, body: { detail: 'The path is not clear' } })
  expect(denial.challenge).toContain('realm="shop", error="invalid_request"')
  expect(gate.denial('check_unavailable').headers['retry-after']).toBe('7')
  await manager.close()
})

it('a route may ask for more freshness than the gate: then the store is asked', async () => {
  const { gate, check, manager } = await setUp()
  const token = await issuer.sign()
  await check(token)
  expect(codeOf(await check(token, { consistency: 'strict' }))).toBe('allowed')
  expect(codeOf(await check(token, { stalenessMaxMs: 0 }))).toBe('allowed')
  expect(gate.counts).toMatchObject({ fresh: 1, strict: 1, store: 1, closed: 0 })
  await manager.close()
})

it('every decision is counted, of revoked tokens too, and of those that only this node still knows', async () => {
  const store = new MemoryStore()
  const { gate, check, manager } = await setUp({ store })
  const token = await issuer.sign()
  await manager.revokeToken(token)
  const decide = async (policy: Policy) => expect(codeOf(await check(token, policy))).toBe('token_revoked')
  await decide({})
  await decide({ consistency: 'strict' })
  store.find = () => Promise.reject(new RescindError('ERR_STORE_TIMEOUT', 'slow'))
  await decide({ consistency: 'strict', onUnknown: 'open' })
  expect(gate.counts).toEqual({ fresh: 1, strict: 1, store: 0, stale: 1, open: 0, closed: 0 })
  await manager.close()
})

it('a cached, clear token sends Redis nothing', async () => {
  const server = await RedisServer.start()
  const { check, manager } = await setUp({
    store: new RedisStore(patientConnection({ url: server.url })),
    now: Date.now,
    stalenessMaxMs: 60_000,
  })
  const calls = async () => {
    const stats = await server.command<string>('INFO', 'commandstats')
    return [...stats.matchAll(/cmdstat_(mget|get|exists|eval\w*):calls=(\d+)/g)].map(([line]) => line)
  }
  try {
    const token = await issuer.sign()
    expect(codeOf(await check(token))).toBe('allowed')
    await manager.replica!.catchUp()
    const before = await calls()
    for (let i = 0; i < 10_000; i++) {
      const verdict = check(token)
      if (verdict instanceof Promise || !verdict.allowed) throw new Error('not at once')
    }
    expect(await calls()).toEqual(before)
  } finally {
    await manager.close()
    await server.stop()
  }
})
