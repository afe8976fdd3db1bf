import { createServer } from 'node:http'
import { generateKeyPairSync } from 'node:crypto'
import { exportSPKI, type CryptoKey, SignJWT, UnsecuredJWT } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import type { RescindError } from '../../src/errors.js'
import { ALGORITHMS, JwtVerifier, type JwtVerifierOptions } from '../../src/token/jwt-verifier.js'
import { OpaqueVerifier } from '../../src/token/opaque-verifier.js'
import { freePort } from '../support/free-port.js'
import { AUDIENCE, ISSUER, makeIssuer } from '../support/issuer.js'

const now = () => Date.now() / 1000
const verdictOf = async (verifier: JwtVerifier, token: string, at = now()) => {
  const result = await verifier.verify(token, at)
  return result.status === 'invalid' ? result.code : result.status
}

describe('JwtVerifier accepts', () => {
  it.each([...ALGORITHMS])('%s, and not the same token changed', async (algorithm) => {
    const issuer = await makeIssuer(algorithm)
    const token = await issuer.sign()
    expect(await issuer.verifier.verify(token, now())).toMatchObject({
      status: 'valid',
      token: { claims: { sub: 'alice' } },
    })
    const [header, payload, signature] = token.split('.') as [string, string, string]
    const changed = Buffer.from(payload, 'base64url').toString().replace('alice', 'admin')
    const forged = `${header}.${Buffer.from(changed).toString('base64url')}.${signature}`
    expect(await verdictOf(issuer.verifier, forged)).toBe('ERR_TOKEN_INVALID')
  })

  it('keys as PEM, JWK, key object and key set', async () => {
    const issuer = await makeIssuer('ES256')
    const token = await issuer.sign({}, { kid: 'one' })
    const { createPublicKey } = await import('node:crypto')
    const sources: Partial<JwtVerifierOptions>[] = [
      { publicKey: await exportSPKI(issuer.publicKey as CryptoKey) },
      { publicKey: issuer.jwk },
      { publicKey: createPublicKey({ key: issuer.jwk as never, format: 'jwk' }) },
      { jwks: { keys: [{ ...issuer.jwk, kid: 'one' }] } },
    ]
    for (const source of sources) {
      const verifier = new JwtVerifier({
        issuer: ISSUER,
        audience: AUDIENCE,
        algorithms: ['ES256'],
        ...source,
      })
      expect(await verdictOf(verifier, token)).toBe('valid')
    }
  })

  it('a token without kid when several keys of the set fit', async () => {
    const issuers = await Promise.all([makeIssuer('ES256'), makeIssuer('ES256'), makeIssuer('ES256')])
    const verifier = new JwtVerifier({
      ...{ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'] },
      jwks: { keys: issuers.slice(0, 2).map(({ jwk }) => jwk) },
    })
    expect(await Promise.all(issuers.map(async ({ sign }) => verdictOf(verifier, await sign())))).toEqual([
      'valid',
      'valid',
      'ERR_TOKEN_INVALID',
    ])
  })

  it('a plain JWT, other claims or any audience only where the option says so', async () => {
    const issuer = await makeIssuer('ES256')
    const plain = await issuer.sign({ client_id: undefined, aud: undefined }, { typ: 'JWT' })
    expect(await verdictOf(issuer.verifier, plain)).toBe('ERR_TOKEN_INVALID')
    const base = { issuer: ISSUER, audience: null, algorithms: ['ES256'], publicKey: issuer.jwk }
    expect(await verdictOf(new JwtVerifier(base), plain)).toBe('ERR_TOKEN_INVALID')
    expect(await verdictOf(new JwtVerifier({ ...base, typ: ['at+jwt', 'JWT'] }), plain)).toBe('valid')
    expect(
      await verdictOf(new JwtVerifier({ ...base, typ: 'JWT', requiredClaims: ['client_id'] }), plain),
    ).toBe('ERR_TOKEN_INVALID')
    const full = await issuer.sign({}, { typ: 'application/AT+JWT' })
    expect(await verdictOf(issuer.verifier, full)).toBe('valid')
  })
})

describe('JwtVerifier refuses', () => {
  it('what is expired, not yet valid, too old, for others, or lacks a claim of RFC 9068', async () => {
    const issuer = await makeIssuer('ES256', { maxAgeSeconds: 1000 })
    const at = Math.floor(now())
    const cases: [Record<string, unknown>, string][] = [
      [{}, 'valid'],
      [{ exp: at - 4 }, 'valid'],
      [{ exp: at - 6 }, 'ERR_TOKEN_EXPIRED'],
      [{ nbf: at + 60 }, 'ERR_TOKEN_INVALID'],
      [{ iat: at - 1010 }, 'ERR_TOKEN_EXPIRED'],
      [{ iss: 'https://as.example/' }, 'ERR_TOKEN_INVALID'],
      [{ aud: 'other' }, 'ERR_TOKEN_INVALID'],
      [{ sub: null }, 'ERR_TOKEN_INVALID'],
      [{ jti: null }, 'ERR_TOKEN_INVALID'],
      [{ aud: ['other', AUDIENCE] }, 'valid'],
      ...['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'].map(
        (name): [Record<string, unknown>, string] => [{ [name]: undefined }, 'ERR_TOKEN_INVALID'],
      ),
    ]
    for (const [claims, wanted] of cases) {
      expect(await verdictOf(issuer.verifier, await issuer.sign(claims), at), JSON.stringify(claims)).toBe(
        wanted,
      )
    }
  })

  it('no algorithm, another algorithm, a public key used as a secret, and keys that the token brings itself', async () => {
    const issuer = await makeIssuer('RS256')
    const claims = JSON.parse(
      Buffer.from((await issuer.sign()).split('.')[1]!, 'base64url').toString(),
    ) as Record<string, unknown>
    const none = new UnsecuredJWT(claims).encode()
    expect(await verdictOf(issuer.verifier, none)).toBe('ERR_TOKEN_MALFORMED')
    expect(await verdictOf(issuer.verifier, `${none}AA`)).toBe('ERR_TOKEN_INVALID')
    const pem = await exportSPKI(issuer.publicKey as CryptoKey)
    const confused = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .sign(new TextEncoder().encode(pem))
    expect(await verdictOf(issuer.verifier, confused)).toBe('ERR_TOKEN_INVALID')
    const attacker = await makeIssuer('RS256')
    const own = await new SignJWT(claims)
      .setProtectedHeader({
        alg: 'RS256',
        typ: 'at+jwt',
        jwk: attacker.jwk,
        jku: 'http://127.0.0.1:1/',
        kid: '../../key',
      })
      .sign(attacker.key)
    expect(await verdictOf(issuer.verifier, own)).toBe('ERR_TOKEN_INVALID')
    const both = new JwtVerifier({
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ['RS256', 'ES256', 'EdDSA'],
      publicKey: issuer.jwk,
    })
    expect(await verdictOf(both, await (await makeIssuer('ES256')).sign())).toBe('ERR_TOKEN_INVALID')
  })

  it.each([
    '',
    '.',
    '..',
    'a.b',
    'a.b.c',
    'a.b.c.d.e',
    'a.b.',
    '.b.c',
    'e30.e30.e30',
    'e30.e30.!',
    'x'.repeat(9000),
    'eyJhbGciOiJFUzI1NiJ9.bm90anNvbg.AAAA',
  ])('%j without an exception', async (token) => {
    const issuer = await makeIssuer('ES256')
    expect(await verdictOf(issuer.verifier, token)).toMatch(/^ERR_TOKEN_(MALFORMED|INVALID)$/)
  })

  it('in words that repeat nothing of the token', async () => {
    const issuer = await makeIssuer('ES256')
    const result = await issuer.verifier.verify(
      await issuer.sign({ aud: 'canary"\r\nx: y', iss: 'canary' }),
      now(),
    )
    expect(JSON.stringify(result)).not.toContain('canary')
  })
})

describe('JwtVerifier refuses to be made', () => {
  it('and reports everything at once, without a value', () => {
    const wrong = {
      ...{
        issuer: '',
        audience: [],
        algorithms: ['none', 'HS256'],
        secret: 'short-canary',
        publicKey: 'canary',
        typ: [],
      },
      ...{ jwksUrl: 'http://canary.example/jwks', clockToleranceSeconds: -1, maxAgeSeconds: 0 },
    }
    try {
      new JwtVerifier(wrong)
      expect.unreachable()
    } catch (error) {
      expect((error as RescindError).problems.length).toBe(11)
      expect((error as RescindError).message).not.toContain('canary')
    }
  })
  it.each([
    [{ algorithms: [] }, /algorithms/],
    [{ algorithms: ['HS512'], secret: 'x'.repeat(63) }, /64 bytes/],
    [{ algorithms: ['ES256'], secret: 'x'.repeat(64) }, /a secret goes with/],
    [{ algorithms: ['HS256', 'RS256'], jwks: { keys: [] } }, /a secret goes with/],
    [{ algorithms: ['RS256'], jwksUrl: 'http://keys.example/' }, /https/],
    [{ algorithms: ['ES256'], jwks: {} as never }, /jwks must be/],
    [{ algorithms: ['ES256'], jwks: [] as never }, /jwks must be/],
  ])('%j', (options, problem) => {
    expect(() => new JwtVerifier({ issuer: 'i', audience: 'a', ...options })).toThrow(problem)
  })
})

describe('a public key that cannot verify anything is refused before the first token', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = ec.publicKey.export({ type: 'spki', format: 'pem' }) as string
  const make = (publicKey: unknown, algorithms = ['ES256']) =>
    new JwtVerifier({ issuer: 'i', audience: 'a', algorithms, publicKey: publicKey as string })

  it.each<[string, () => unknown]>([
    ['a PEM whose line breaks were lost', () => spki.replaceAll('\n', '\\n')],
    ['half a PEM', () => spki.slice(0, 80)],
    ['a certificate', () => spki.replaceAll('PUBLIC KEY', 'CERTIFICATE')],
    ['a private key as PEM', () => ec.privateKey.export({ type: 'pkcs8', format: 'pem' })],
    ['a private key', () => ec.privateKey],
    ['a private key as JWK', () => ec.privateKey.export({ format: 'jwk' })],
    ['a JWK of a secret', () => ({ kty: 'oct', k: 'AAAA' })],
    ['a JWK without its point', () => ({ kty: 'EC', crv: 'P-256' })],
    ['a PEM as bytes', () => Buffer.from(spki)],
    ['null', () => null],
  ])('%s', (_, key) => {
    expect(() => make(key())).toThrow(/publicKey cannot be read/)
  })

  it('one of another type or curve than every algorithm', () => {
    expect(() => make(spki, ['RS256', 'EdDSA'])).toThrow(/publicKey \(ec\) is for none/)
    expect(() => make(ec.publicKey, ['ES384'])).toThrow(/is for none/)
    expect(() => make(ec.publicKey.export({ format: 'jwk' }), ['RS256'])).toThrow(/is for none/)
    expect(() => make(spki, ['RS256', 'ES256'])).not.toThrow()
  })
})

describe('a remote key set', () => {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
  })

  async function serve(answer: (url: string) => { status?: number; body: string; delayMs?: number }) {
    let requests = 0
    const server = createServer((request, response) => {
      requests += 1
      const { status = 200, body, delayMs = 0 } = answer(request.url ?? '')
      setTimeout(() => response.writeHead(status, { 'content-type': 'application/json' }).end(body), delayMs)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))))
    const { port } = server.address() as { port: number }
    return { url: `http://127.0.0.1:${port}/jwks`, requests: () => requests }
  }
  const make = (jwksUrl: string, more: Partial<JwtVerifierOptions> = {}) =>
    new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], jwksUrl, ...more })

  it('is fetched once and verifies; an unknown key is invalid and fetched for at most once a cool-down', async () => {
    const issuer = await makeIssuer('ES256')
    const keys = await serve(() => ({ body: JSON.stringify({ keys: [{ ...issuer.jwk, kid: 'a' }] }) }))
    const verifier = make(keys.url)
    const token = await issuer.sign({}, { kid: 'a' })
    expect(await Promise.all(Array.from({ length: 20 }, () => verdictOf(verifier, token)))).toEqual(
      Array(20).fill('valid'),
    )
    expect(keys.requests()).toBe(1)
    for (let i = 0; i < 5; i++)
      expect(await verdictOf(verifier, await issuer.sign({}, { kid: `x${i}` }))).toBe('ERR_TOKEN_INVALID')
    expect(keys.requests()).toBe(1)
  })

  it.each([
    ['that is away', undefined],
    ['that answers with an error', { status: 500, body: '{}' }],
    ['that is no key set', { body: '{"keys":1}' }],
    ['that is not JSON', { body: '<html>' }],
    ['that is too large', { body: JSON.stringify({ keys: [], pad: 'x'.repeat(300_000) }) }],
    ['that is too slow', { body: '{"keys":[]}', delayMs: 2000 }],
    ['that moved elsewhere', { status: 302, body: '' }],
  ])('%s makes the answer unknown, never invalid, and is not asked by every token', async (_, answer) => {
    const issuer = await makeIssuer('ES256')
    const keys = answer === undefined ? undefined : await serve(() => answer)
    const verifier = make(keys?.url ?? `http://127.0.0.1:${await freePort()}/`, { jwksTimeoutMs: 100 })
    const token = await issuer.sign({}, { kid: 'a' })
    for (let i = 0; i < 10; i++) {
      expect(await verifier.verify(token, now())).toMatchObject({
        status: 'unknown',
        cause: { code: 'ERR_KEYS_UNAVAILABLE' },
      })
    }
    expect(keys?.requests() ?? 1).toBeLessThanOrEqual(1)
  })

  it('that was away is asked again after the pause', async () => {
    const issuer = await makeIssuer('ES256')
    let isUp = false
    const keys = await serve(() =>
      isUp ? { body: JSON.stringify({ keys: [issuer.jwk] }) } : { status: 503, body: '' },
    )
    const verifier = make(keys.url, { jwksRetryMs: 1 })
    const token = await issuer.sign()
    expect(await verdictOf(verifier, token)).toBe('unknown')
    isUp = true
    await expect.poll(() => verdictOf(verifier, token)).toBe('valid')
  })
})

describe('OpaqueVerifier', () => {
  const verifier = new OpaqueVerifier({
    timeoutMs: 50,
    verify: (token) => {
      if (token === 'throws') throw new Error('database canary')
      if (token === 'hangs') return new Promise(() => undefined)
      if (token === 'expired') return { sub: 'alice', iat: 1, exp: now() - 10 }
      return token === 'good' ? { sub: 'alice', iat: now() } : null
    },
  })
  it.each([
    ['good', { status: 'valid' }],
    ['bad', { status: 'invalid', code: 'ERR_TOKEN_INVALID' }],
    ['expired', { status: 'invalid', code: 'ERR_TOKEN_EXPIRED' }],
    ['throws', { status: 'unknown', cause: { code: 'ERR_VERIFY_UNAVAILABLE' } }],
    ['hangs', { status: 'unknown', cause: { code: 'ERR_VERIFY_UNAVAILABLE' } }],
    ['', { status: 'invalid', code: 'ERR_TOKEN_MALFORMED' }],
  ])('%j', async (token, wanted) => {
    const result = await verifier.verify(token, now())
    expect(result).toMatchObject(wanted)
    const { inspect } = await import('node:util')
    expect(inspect(result, { depth: 9 })).not.toContain('canary')
  })
})

it('an RSA key of node:crypto verifies too', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const token = await new SignJWT({ iss: ISSUER, aud: AUDIENCE })
    .setProtectedHeader({ alg: 'PS384', typ: 'JWT' })
    .sign(privateKey)
  const verifier = new JwtVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ['PS384'],
    publicKey,
    typ: 'JWT',
  })
  expect(await verdictOf(verifier, token)).toBe('valid')
})
