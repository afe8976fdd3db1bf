/** An issuer for tests: keys and signed tokens of every algorithm. */
import { randomUUID } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { rememberToken } from './canary.js'
import { JwtVerifier, type JwtVerifierOptions } from '../../src/token/jwt-verifier.js'

export const ISSUER = 'https://as.example'
export const AUDIENCE = 'https://api.example'

export interface Issuer {
  readonly algorithm: string
  readonly key: CryptoKey | Uint8Array
  readonly publicKey: CryptoKey | Uint8Array
  readonly jwk: JWK
  readonly verifier: JwtVerifier
  /** A signed access token (RFC 9068). Claims set to `undefined` are left out. */
  sign(claims?: Record<string, unknown>, header?: { typ?: string; kid?: string }): Promise<string>
}

export async function makeIssuer(
  algorithm = 'ES256',
  options: Partial<JwtVerifierOptions> = {},
): Promise<Issuer> {
  const isShared = algorithm.startsWith('HS')
  const secret = crypto.getRandomValues(new Uint8Array(64))
  const pair = isShared ? undefined : await generateKeyPair(algorithm, { extractable: true })
  const key = pair?.privateKey ?? secret
  const publicKey = pair?.publicKey ?? secret
  const verifier = new JwtVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: [algorithm],
    ...(pair === undefined ? { secret } : { publicKey: pair.publicKey }),
    ...options,
  })
  return {
    algorithm,
    key,
    publicKey,
    jwk: { ...(await exportJWK(publicKey)), alg: algorithm },
    verifier,
    sign: async (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const all: Record<string, unknown> = {
        ...{
          iss: ISSUER,
          aud: AUDIENCE,
          sub: 'alice',
          client_id: 'app',
          jti: randomUUID(),
          iat: now,
          exp: now + 600,
        },
        ...claims,
      }
      const token = await new SignJWT(
        Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
      )
        .setProtectedHeader({ alg: algorithm, typ: 'at+jwt', ...header })
        .sign(key)
      rememberToken(token)
      return token
    },
  }
}
