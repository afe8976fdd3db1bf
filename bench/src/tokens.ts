/** Tokens as an issuer makes them: the claims of RFC 9068 and some more, about 700 characters when signed. */
import { createHash, type KeyObject, randomBytes, randomUUID, sign } from 'node:crypto'

export const ISSUER = 'https://login.example.com/realms/shop'
export const AUDIENCE = 'https://api.example.com'
const LIFETIME_SECONDS = 1800
const HEADER = { alg: 'ES256', typ: 'at+jwt', kid: 'key-2026-01' }

export type TokenClaims = Record<string, unknown> & { readonly iss: string; readonly jti: string }

/** The claims of a token that nobody has seen before. */
export function freshClaims(nowSeconds: number): TokenClaims {
  return {
    iss: ISSUER,
    sub: randomUUID(),
    aud: AUDIENCE,
    client_id: `web-${randomBytes(6).toString('hex')}`,
    iat: nowSeconds,
    exp: nowSeconds + LIFETIME_SECONDS,
    jti: randomUUID(),
    auth_time: nowSeconds - 60,
    sid: randomBytes(16).toString('base64url'),
    scope: 'openid profile orders:read orders:write',
    roles: ['customer', 'reviewer'],
    email: `${randomBytes(5).toString('hex')}@example.com`,
  }
}

/** The claims as a verifier hands them over: parsed from the text of the payload. */
export function parsedClaims(claims: TokenClaims): TokenClaims {
  return JSON.parse(flat(JSON.stringify(claims))) as TokenClaims
}

/** A token signed with ES256. */
export function signedToken(claims: TokenClaims, key: KeyObject): string {
  const input = `${encoded(HEADER)}.${encoded(claims)}`
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return flat(`${input}.${signature.toString('base64url')}`)
}

/** What looks like a token to whoever only stores it: the signature is random. */
export function unsignedToken(nowSeconds: number): string {
  const input = `${encoded(HEADER)}.${encoded(freshClaims(nowSeconds))}`
  return flat(`${input}.${randomBytes(64).toString('base64url')}`)
}

/** The jti of the revocation with this number: every process knows what was revoked without being told. */
export function revokedJti(index: number): string {
  const hex = createHash('sha256').update(`revoked ${index}`).digest('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`]
  return [...parts, hex.slice(20, 32)].join('-')
}

/** The same text as one piece of memory, as it arrives from a socket, and not as a chain of parts. */
export function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

export function secondsNow(): number {
  return Math.floor(Date.now() / 1000)
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
