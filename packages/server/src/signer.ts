/**
 * The key that signs answers (RFC 9701), and its public half as a key set (RFC 7517). From a file of the configuration,
 * or made at the first start and kept in the data folder, readable for its owner only.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  errors,
  type JWK,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
  SignJWT,
} from 'jose'
import { invalid, readNamedFile } from './config/load.js'
import type { Config } from './config/schema.js'
import { PrivateFile } from './private-file.js'

type Algorithm = Config['signing']['algorithm']

const FILE = 'signing-key.pem'
const RSA_BITS = 3072
const TYPE_OF: Readonly<Record<Algorithm, string>> = {
  RS256: 'rsa',
  PS256: 'rsa',
  ES256: 'ec',
  EdDSA: 'ed25519',
}

/** What a JWT must be to be taken as one of ours. */
export interface Expected {
  readonly typ: string
  /** Issuer and audience: this service speaks to itself. */
  readonly party: string
  readonly requiredClaims: readonly string[]
  /** In milliseconds since 1970. */
  readonly now: number
}

export class Signer {
  readonly #keySet: JWTVerifyGetKey

  private constructor(
    readonly algorithm: Algorithm,
    private readonly key: KeyObject,
    private readonly publicJwk: JWK,
  ) {
    this.#keySet = createLocalJWKSet(this.jwks)
  }

  /** `keepsFiles`: false for a service that keeps nothing; then it makes a key that ends with it. */
  static async open({ signing, dataDir }: Config, keepsFiles: boolean): Promise<Signer> {
    const { algorithm, keyFile } = signing
    const path = join(dataDir, FILE)
    const key =
      keyFile !== undefined
        ? privateKeyIn('signing.keyFile', readNamedFile('signing.keyFile', keyFile))
        : keepsFiles
          ? keptKey(path, algorithm)
          : makeKey(algorithm)
    if (key.asymmetricKeyType !== TYPE_OF[algorithm])
      throw invalid([
        `signing: the key is of another kind than ${algorithm} needs${keyFile === undefined ? ` (${path})` : ''}`,
      ])
    const jwk = publicJwkOf(key)
    const kid = await calculateJwkThumbprint(jwk)
    return new Signer(algorithm, key, { ...jwk, kid, alg: algorithm, use: 'sig' })
  }

  get jwks(): { keys: JWK[] } {
    return { keys: [this.publicJwk] }
  }

  /** A signed JWT of this type. */
  sign(payload: JWTPayload, typ: string): Promise<string> {
    return new SignJWT(payload)
      .setProtectedHeader({ alg: this.algorithm, typ, kid: this.publicJwk.kid as string })
      .sign(this.key)
  }

  /** What a JWT says that was signed here, by this service for itself; undefined for any other, and when it has ended. */
  async verify(jwt: string, { typ, party, requiredClaims, now }: Expected): Promise<JWTPayload | undefined> {
    try {
      const { payload } = await jwtVerify(jwt, this.#keySet, {
        typ,
        issuer: party,
        audience: party,
        algorithms: [this.algorithm],
        requiredClaims: [...requiredClaims],
        currentDate: new Date(now),
      })
      return payload
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }
}

function publicJwkOf(key: KeyObject): JWK {
  const { kty, n, e, crv, x, y } = key.export({ format: 'jwk' })
  const jwk = { kty, n, e, crv, x, y }
  return Object.fromEntries(Object.entries(jwk).filter(([, value]) => value !== undefined))
}

function privateKeyIn(setting: string, text: string): KeyObject {
  try {
    return text.trimStart().startsWith('{')
      ? createPrivateKey({ key: JSON.parse(text) as object as never, format: 'jwk' })
      : createPrivateKey(text)
  } catch (cause) {
    throw invalid([`${setting} holds no private key (PKCS#8 in PEM, or a JWK)`], cause)
  }
}

function keptKey(path: string, algorithm: Algorithm): KeyObject {
  // Of several processes that start at once, one makes it.
  if (!existsSync(path))
    new PrivateFile(path, makeKey(algorithm).export({ format: 'pem', type: 'pkcs8' })).add()
  return privateKeyIn(path, readFileSync(path, 'utf8'))
}

function makeKey(algorithm: Algorithm): KeyObject {
  switch (algorithm) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    case 'EdDSA':
      return generateKeyPairSync('ed25519').privateKey
    default:
      return generateKeyPairSync('rsa', { modulusLength: RSA_BITS }).privateKey
  }
}
