/** Tokens as an issuer makes them: the claims of RFC 9068 and some more, about 700 characters when signed. */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  randomBytes,
  randomUUID,
  sign,
} from 'node:crypto'

export const ISSUER = 'https://login.example.com/realms/shop'
export const AUDIENCE = 'https://api.example.com'
const LIFETIME_SECONDS = 1800
export const KEY_ID = 'key-2026-01'
const RSA_BITS = 2048
const SECRET_BYTES = 32

export const ALGORITHMS = ['HS256', 'RS256', 'ES256', 'EdDSA'] as const
export type Algorithm = (typeof ALGORITHMS)[number]

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

/** What an issuer signs with: a PEM (PKCS #8), or for HS256 a secret, as text. */
export function newSigningKey(algorithm: Algorithm): string {
  if (algorithm === 'HS256') return randomBytes(SECRET_BYTES).toString('base64url')
  const { privateKey } = {
    RS256: () => generateKeyPairSync('rsa', { modulusLength: RSA_BITS }),
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  }[algorithm]()
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** What verifies what this key signs: a PEM (SPKI), or for HS256 the same secret. */
export function verifyingKey(algorithm: Algorithm, signingKey: string): string {
  if (algorithm === 'HS256') return signingKey
  return createPublicKey(signingKey).export({ type: 'spki', format: 'pem' }) as string
}

/** Signs tokens with claims that nobody has seen before. */
export function tokenMaker(algorithm: Algorithm, signingKey: string): () => string {
  const signature = signer(algorithm, signingKey)
  return () => {
    const input = `${encoded(header(algorithm))}.${encoded(freshClaims(secondsNow()))}`
    return flat(`${input}.${signature(Buffer.from(input)).toString('base64url')}`)
  }
}

function signer(algorithm: Algorithm, signingKey: string): (input: Buffer) => Buffer {
  if (algorithm === 'HS256') return (input) => createHmac('sha256', signingKey).update(input).digest()
  const key = createPrivateKey(signingKey)
  if (algorithm === 'EdDSA') return (input) => sign(null, input, key)
  return (input) => sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
}

function header(algorithm: Algorithm): object {
  return { alg: algorithm, typ: 'at+jwt', kid: KEY_ID }
}

/** What looks like a token to whoever only stores it: the signature is random. */
export function unsignedToken(nowSeconds: number): string {
  const input = `${encoded(header('ES256'))}.${encoded(freshClaims(nowSeconds))}`
  return flat(`${input}.${randomBytes(64).toString('base64url')}`)
}

/** The jti of the revocation with this number: every process knows what was revoked without being told. */
export function revokedJti(index: number): string {
  const hex = hash('sha256', `revoked ${index}`, 'hex')
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
