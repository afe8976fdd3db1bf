/** How clients speak to the OAuth endpoints in these tests, and what of an answer they can see. */
import { randomUUID } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { type Issuer, makeIssuer } from '../../../rescind/test/support/issuer.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import {
  type Ask,
  AUDIENCE,
  ISSUER,
  startWorld,
  testConfig,
  type World,
  type WorldOptions,
} from '../support/service.js'

export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
export const ENDPOINTS = ['/revoke', '/introspect'] as const
export type Endpoint = (typeof ENDPOINTS)[number]

/** `tool` may revoke its own tokens and introspect those of the tests, and proves itself by its secret or its key. */
export interface Tool {
  readonly id: 'tool'
  readonly secret: string
  readonly privateKey: CryptoKey
  /** A new assertion (RFC 7523) each time. */
  assertion(audience: string, claims?: Record<string, unknown>): Promise<string>
}

/** `narrow` introspects for another audience than the tokens of the tests have. */
export const NARROW_AUDIENCE = 'https://narrow.example'

const made = (async () => {
  const [secret, narrow, pair] = [makeKey(), makeKey(), await generateKeyPair('ES256')]
  const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), alg: 'ES256' }] }
  const tool: Tool = {
    id: 'tool',
    secret,
    privateKey: pair.privateKey,
    assertion: (aud, claims = {}) =>
      new SignJWT({ iss: 'tool', sub: 'tool', aud, jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(pair.privateKey),
  }
  const clients = [
    {
      id: 'tool',
      roles: ['revoke:own', 'introspect'],
      keys: [{ hash: await hashSecret(secret) }],
      jwks,
      audiences: [AUDIENCE],
    },
    {
      id: 'narrow',
      roles: ['introspect'],
      keys: [{ hash: await hashSecret(narrow) }],
      audiences: [NARROW_AUDIENCE],
    },
  ]
  return { tool, narrow, clients }
})()

/** The world of the other tests, with `tool` and `narrow`. */
export async function startOAuthWorld(
  options: WorldOptions = {},
): Promise<{ world: World; tool: Tool; narrow: string }> {
  const { tool, narrow, clients } = await made
  const issuer = options.issuer ?? (await makeIssuer())
  const config = await testConfig(issuer, options.config)
  const world = await startWorld({
    ...options,
    issuer,
    config: { ...options.config, clients: [...config.clients, ...clients] },
  })
  return { world, tool, narrow }
}

/** A world whose tokens need no `client_id`, no `iat` and no name. */
export async function startFreeWorld(issuer: Issuer): Promise<World> {
  const rules = { issuer: ISSUER, audience: AUDIENCE, requiredClaims: ['exp'] }
  const issuers = [{ ...rules, algorithms: [issuer.algorithm], jwks: { keys: [issuer.jwk] } }]
  return (await startOAuthWorld({ issuer, config: { issuers } })).world
}

export function basic(id: string, secret: string): string {
  const text = [id, secret].map((part) => encodeURIComponent(part)).join(':')
  return `Basic ${Buffer.from(text).toString('base64')}`
}

/** What a client can see of an answer, but for when it was made. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export async function answerOf(response: Response): Promise<Answer> {
  const { date: _, ...headers } = Object.fromEntries(response.headers)
  return { status: response.status, headers, body: await response.text() }
}

export async function askFor(world: World, path: string, ask: Ask): Promise<Answer> {
  return answerOf(await world.ask(path, ask))
}

/** What introspection says to a client that sees every token. */
export async function introspect(world: World, token: string): Promise<Record<string, unknown>> {
  const response = await world.ask('/introspect', { key: world.keys.api, form: { token } })
  return (await response.json()) as Record<string, unknown>
}

/** How many revocations the store holds. */
export async function countRevocations(world: World): Promise<number> {
  return (await world.service.parts.manager.list()).revocations.length
}

/** Of an expiry, a signature and a key: tokens that are like this one in what they claim, and no good. */
export async function bad(world: World, claims: Record<string, unknown>) {
  const { issuer } = world
  const genuine = await issuer.sign(claims)
  const [header, payload, signature] = genuine.split('.') as [string, string, string]
  const turned = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
  const past = Math.floor(Date.now() / 1000) - 4000
  const revoked = await issuer.sign(claims)
  await world.service.parts.manager.revokeToken(revoked)
  return {
    genuine,
    revoked,
    'with another signature': `${header}.${payload}.${turned}`,
    'of another key': await (await makeIssuer()).sign(claims),
    'of an unknown issuer': await issuer.sign({ ...claims, iss: 'https://nobody.example' }),
    'that has expired': await issuer.sign({ ...claims, iat: past - 600, exp: past }),
    'that is not yet valid': await issuer.sign({ ...claims, nbf: past + 8000 }),
    'that is too old': await issuer.sign({ ...claims, iat: past, exp: past + 8000 }),
    'that is unsigned': `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload}.AA`,
    'of another type': await issuer.sign(claims, { typ: 'id_token+jwt' }),
  }
}
