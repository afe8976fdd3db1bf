/** Key sets of hostile servers: bounded in time and memory, a denial or "cannot tell", and never a way in. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as fc from 'fast-check'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JwtVerifier, type JwtVerifierOptions } from '../../src/token/jwt-verifier.js'
import type { Verification } from '../../src/token/verifier.js'
import { AUDIENCE, type Issuer, ISSUER, makeIssuer } from '../support/issuer.js'
import { until } from '../support/until.js'
import { CHANGE, changed, JSON_VALUES, nastyText, PROTOTYPE_NAMES } from './texts.js'
import { Hostile } from './inputs.js'

const hostile = new Hostile('keys')
const TIMEOUT_MS = 150
/** What a verification may take with a server that never ends, in milliseconds. */
const ANSWER_MAX_MS = TIMEOUT_MS + 850
/** As much of an endless answer as the sockets' buffers may take, in bytes. */
const SENT_MAX = 16 * 1024 * 1024
const CHUNK = Buffer.alloc(64 * 1024, ' ')

type Handler = (request: IncomingMessage, response: ServerResponse) => void
let server: Server
let url: string
let handler: Handler
let issuer: Issuer
let forger: Issuer
let privateJwk: JWK
let rsa: JWK
let good: string
let forged: string

beforeAll(async () => {
  server = createServer((request, response) => handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  issuer = await makeIssuer('ES256')
  forger = await makeIssuer('ES256')
  privateJwk = await exportJWK(issuer.key)
  rsa = await exportJWK((await generateKeyPair('RS256', { extractable: true })).publicKey)
  good = await issuer.sign({}, { kid: 'one' })
  forged = await forger.sign({}, { kid: 'one' })
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const serves =
  (body: string | Buffer, headers: Record<string, string> = {}, status = 200): Handler =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body)
  }

function makeVerifier(options: Partial<JwtVerifierOptions> = {}): JwtVerifier {
  return new JwtVerifier({
    ...{
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ['ES256', 'RS256'],
      jwksUrl: url,
      jwksTimeoutMs: TIMEOUT_MS,
    },
    ...options,
  })
}

async function verify(verifier: JwtVerifier, token: string): Promise<Verification> {
  const started = performance.now()
  const result = await verifier.verify(token, Date.now() / 1000)
  expect(performance.now() - started).toBeLessThan(ANSWER_MAX_MS)
  if (result.status === 'unknown') expect(result.cause.code).toBe('ERR_KEYS_UNAVAILABLE')
  return result
}

const one = (more: Record<string, unknown> = {}) => ({ ...issuer.jwk, kid: 'one', ...more })
const set = (...keys: unknown[]) => JSON.stringify({ keys })

/** What a server may answer, each with why it is nasty, and what then becomes of the good token. */
const BODIES: Readonly<Record<string, [() => string | Buffer, Verification['status']]>> = {
  nothing: [() => '', 'unknown'],
  'not JSON': [() => '<html>', 'unknown'],
  'half of it': [() => set(one()).slice(0, 60), 'unknown'],
  'a null': [() => 'null', 'unknown'],
  'a list': [() => JSON.stringify([one()]), 'unknown'],
  'keys that are no list': [() => JSON.stringify({ keys: one() }), 'unknown'],
  'keys of every object': [() => `{"__proto__":${set(one())}}`, 'unknown'],
  'a null among the keys': [() => set(one(), null), 'unknown'],
  'bytes that are no text': [() => Buffer.alloc(4096, 0xff), 'unknown'],
  'deep nesting': [() => `{"keys":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'unknown'],
  'more than may be': [() => set(one({ x5c: ['A'.repeat(300_000)] })), 'unknown'],
  'no key': [() => set(), 'invalid'],
  'a shared secret': [() => set({ kty: 'oct', k: 'AAAA', kid: 'one', alg: 'ES256' }), 'invalid'],
  'a secret that anybody knows, for HS256': [
    () => set({ kty: 'oct', k: '', kid: 'one', alg: 'HS256' }),
    'invalid',
  ],
  'a type that nobody knows': [() => set({ ...one(), kty: 'XX' }), 'invalid'],
  'a key for encryption': [() => set(one({ use: 'enc' })), 'invalid'],
  'a key that may not verify': [() => set(one({ key_ops: ['sign'] })), 'invalid'],
  'a key of another curve': [() => set(one({ crv: 'P-521' })), 'invalid'],
  'a key of another type under the same name': [() => set({ ...rsa, kid: 'one' }), 'invalid'],
  'a private key': [() => set({ ...privateJwk, kid: 'one' }), 'unknown'],
  'a point that is not on the curve': [() => set(one({ x: 'AAAA' })), 'unknown'],
  'a name that is no text': [() => set(one({ kid: { toString: 'one' } })), 'invalid'],
  'the same key twice': [() => set(one(), one()), 'valid'],
  'a key of another under the same name first': [
    () => set({ ...forger.jwk, y: issuer.jwk.y, kid: 'one' }, one()),
    'valid',
  ],
  'two keys under one name': [() => set(one({ x: rsa.n, y: rsa.n }), one()), 'valid'],
  'thousands of keys': [
    () =>
      set(
        ...Array.from({ length: 1500 }, (_, i) => ({
          kty: 'EC',
          crv: 'P-256',
          x: `${i}`,
          y: 'A',
          kid: `${i}`,
        })),
        one(),
      ),
    'valid',
  ],
  'hundreds of keys under one name': [
    () => set(...Array.from({ length: 900 }, () => ({ ...rsa, n: 'AQAB', kid: 'one' })), one()),
    'valid',
  ],
  'the good key': [() => set(one()), 'valid'],
}

describe('a key set', () => {
  it.each(Object.keys(BODIES))('of %s: the good token as it should be, a forged one never', async (name) => {
    const [body, expected] = BODIES[name] as [() => string | Buffer, Verification['status']]
    handler = serves(body())
    expect((await hostile.later(() => verify(makeVerifier(), good))).status).toBe(expected)
    expect((await hostile.later(() => verify(makeVerifier(), forged))).status).not.toBe('valid')
  })

  it.each<[string, () => Handler]>([
    ['text/html', () => serves(set(one()), { 'content-type': 'text/html' })],
    ['no content type', () => (_, response) => response.end(set(one()))],
  ])('as %s is taken for what it says', async (_, make) => {
    handler = make()
    expect(await verify(makeVerifier(), good)).toMatchObject({ status: 'valid' })
    expect(await verify(makeVerifier(), forged)).toMatchObject({ status: 'invalid' })
  })

  it.each<[string, () => Handler]>([
    ...[301, 302, 303, 307, 308].map((status): [string, () => Handler] => [
      `a redirect (${status})`,
      () => (request, response) => {
        if (request.url === '/there') response.end(set(one()))
        else response.writeHead(status, { location: '/there' }).end(set(one()))
      },
    ]),
    ...[204, 206, 304, 400, 401, 404, 429, 500, 503].map((status): [string, () => Handler] => [
      `status ${status}`,
      () => serves(status === 204 || status === 304 ? '' : set(one()), {}, status),
    ]),
    ['a false length', () => serves(set(one()), { 'content-length': '100000' })],
    ['a false compression', () => serves(set(one()), { 'content-encoding': 'gzip' })],
    ['a reset', () => (request) => request.socket.resetAndDestroy()],
    ['what is no HTTP', () => (request) => request.socket.end('HTTP/9.9 yes\r\n\r\n')],
    ['silence', () => () => undefined],
    ['a byte a second', () => slowly],
    ['a stream without an end', () => endlessly],
    [
      'an error without an end',
      () => (request, response) => {
        response.statusCode = 500
        endlessly(request, response)
      },
    ],
  ])('with %s cannot be had, in bounded time', async (_, make) => {
    sent = 0
    handler = make()
    const before = process.memoryUsage().arrayBuffers
    expect(await hostile.later(() => verify(makeVerifier(), good))).toMatchObject({ status: 'unknown' })
    expect(sent).toBeLessThan(SENT_MAX)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(SENT_MAX)
  })

  it.each<[string, () => string | undefined]>([
    ['that never comes', () => undefined],
    ['that is not JSON', () => '<html>'],
    ['with a null among the keys', () => set(one(), null)],
  ])('%s is asked for once by all who wait, and not again at once', async (_, body) => {
    let requests = 0
    handler = (_request, response) => {
      requests += 1
      const text = body()
      if (text !== undefined) response.end(text)
    }
    const verifier = makeVerifier({ jwksRetryMs: 60_000 })
    const results = await Promise.all(Array.from({ length: 200 }, () => verify(verifier, good)))
    for (let i = 0; i < 50; i++) results.push(await verify(verifier, forged))
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['unknown']))
    expect(requests).toBe(1)
  })

  it('with one key that is none does not let strangers keep the next from being fetched', async () => {
    const next = await makeIssuer('ES256')
    const nextToken = await next.sign({}, { kid: 'next' })
    const broken = await forger.sign({}, { kid: 'broken' })
    handler = serves(set(one(), one({ kid: 'broken', x: 'AAAA' })))
    const verifier = makeVerifier({ jwksCooldownMs: 1, jwksRetryMs: 60_000 })
    expect(await verify(verifier, good)).toMatchObject({ status: 'valid' })
    expect((await verify(verifier, broken)).status).not.toBe('valid')
    handler = serves(set(one(), { ...next.jwk, kid: 'next' }))
    await until(async () => (await verify(verifier, nextToken)).status === 'valid', {
      what: 'the new key',
      timeoutMs: 2000,
    })
  })

  it(
    'of mutations never lets a forged token in, nor the good one without its key',
    { timeout: hostile.timeoutMs },
    async () => {
      const member = fc.tuple(
        fc.constantFrom(
          'kty',
          'kid',
          'crv',
          'x',
          'y',
          'alg',
          'use',
          'key_ops',
          'd',
          'ext',
          'k',
          'n',
          'e',
          'x5c',
          ...PROTOTYPE_NAMES,
        ),
        fc.oneof(
          fc.constantFrom(...JSON_VALUES),
          nastyText().map((text) => JSON.stringify(text)),
          fc.constantFrom('"EC"', '"RSA"', '"oct"', '"OKP"', '"P-256"', '"one"', '"ES256"', '"sig"'),
        ),
      )
      const key = fc.tuple(fc.boolean(), fc.array(member, { maxLength: 4 })).map(([isWhole, members]) => {
        const whole = isWhole
          ? Object.entries(one()).map(([name, value]) => [name, JSON.stringify(value)])
          : []
        return `{${[...whole, ...members].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`
      })
      const body = fc.oneof(
        fc.array(key, { maxLength: 12 }).map((keys) => `{"keys":[${keys.join(',')}]}`),
        fc.array(CHANGE, { minLength: 1, maxLength: 4 }).map((changes) => changed(set(one()), changes)),
      )
      const seen = new Set<string>()
      await fc.assert(
        fc.asyncProperty(body, async (text) => {
          handler = serves(text)
          const verifier = makeVerifier()
          const result = await hostile.later(() => verify(verifier, good))
          seen.add(result.status)
          if (result.status === 'valid') expect(text).toContain(issuer.jwk.x)
          expect((await verify(verifier, forged)).status).not.toBe('valid')
        }),
        hostile.runs(0.85),
      )
      expect(seen).toEqual(new Set(['valid', 'invalid', 'unknown']))
    },
  )
})

let sent = 0
const endlessly: Handler = (_, response) => {
  const more = () => {
    while (!response.destroyed && sent < 100 * 1024 * 1024) {
      sent += CHUNK.length
      if (!response.write(CHUNK)) return
    }
  }
  response.on('drain', more)
  more()
}
const slowly: Handler = (_, response) => {
  response.write('{')
  const timer = setInterval(() => response.write(' '), 1000)
  response.on('close', () => clearInterval(timer))
}
