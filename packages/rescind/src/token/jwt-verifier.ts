/**
 * Verifies signed JWTs with `jose`: RFC 7519, RFC 8725 (allow-list of algorithms, issuer bound to its keys,
 * audience, explicit type) and by default the access token profile of RFC 9068.
 */
import {
  createLocalJWKSet,
  type CryptoKey,
  errors,
  importJWK,
  importSPKI,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  type KeyObject,
} from 'jose'
import { throwProblems } from '../config.js'
import { RescindError } from '../errors.js'
import { TOKEN_LENGTH_MAX } from './credentials.js'
import { ALGORITHMS, isJwk, type JwtVerifierOptions, problemsOf, secretBytes } from './jwt-options.js'
import { KeysUnavailable, remoteKeys } from './remote-keys.js'
import { invalid, type Verification, VerifiedToken, type Verifier } from './verifier.js'

export { ALGORITHMS, type JwtVerifierOptions }

const CLAIMS_OF_RFC_9068 = ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']
/** RFC 7515 §7.1: three parts of base64url, nothing else. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** How many keys without a `kid` are tried. */
const CANDIDATES_MAX = 8

/** Verifies signed JWTs as RFC 8725 and RFC 9068 ask. */
export class JwtVerifier implements Verifier {
  readonly clockToleranceSeconds: number
  readonly #options: JWTVerifyOptions
  readonly #typs: readonly string[] | null
  readonly #getKey: JWTVerifyGetKey
  readonly #maxAge: number | undefined
  #keysVersion = 0

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with the options. */
  constructor(options: JwtVerifierOptions) {
    throwProblems(problemsOf(options))
    const { issuer, audience, algorithms, typ = 'at+jwt' } = options
    this.clockToleranceSeconds = options.clockToleranceSeconds ?? 5
    this.#typs = typ === null ? null : (typeof typ === 'string' ? [typ] : typ).map(mediaType)
    const isAccessToken = this.#typs?.every((name) => name === 'at+jwt') === true
    const requiredClaims = options.requiredClaims ?? (isAccessToken ? CLAIMS_OF_RFC_9068 : [])
    this.#options = {
      algorithms: [...algorithms],
      clockTolerance: this.clockToleranceSeconds,
      requiredClaims: [...requiredClaims],
      ...(issuer === null ? {} : { issuer }),
      ...(audience === null ? {} : { audience: typeof audience === 'string' ? audience : [...audience] }),
      ...(options.maxAgeSeconds === undefined ? {} : { maxTokenAge: options.maxAgeSeconds }),
    }
    this.#maxAge = options.maxAgeSeconds
    this.#getKey = keySource(options, () => (this.#keysVersion += 1))
  }

  /** Another number when another key set was fetched than the one before, and once more when that is in use. */
  get keysVersion(): number {
    return this.#keysVersion
  }

  async verify(token: string, now: number): Promise<Verification> {
    if (token.length > TOKEN_LENGTH_MAX || !COMPACT.test(token)) {
      return invalid('ERR_TOKEN_MALFORMED', 'The token is not a signed JWT')
    }
    try {
      const { payload, protectedHeader } = await this.#verify(token, new Date(now * 1000))
      const { typ } = protectedHeader
      if (this.#typs !== null && (typeof typ !== 'string' || !this.#typs.includes(mediaType(typ)))) {
        return invalid('ERR_TOKEN_INVALID', 'The token is of another type')
      }
      const isNull = this.#options.requiredClaims?.some((name) => payload[name] === null) === true
      if (isNull) return invalid('ERR_TOKEN_INVALID', 'A claim that is needed is null')
      const verified = new VerifiedToken(payload, token.slice(0, token.lastIndexOf('.')))
      if (this.#maxAge === undefined) return { status: 'valid', token: verified }
      // `jose` has seen to it that there is an `iat`.
      const until = (payload.iat as number) + this.#maxAge + this.clockToleranceSeconds
      return { status: 'valid', token: verified, until }
    } catch (error) {
      return failureOf(error)
    }
  }

  async #verify(
    token: string,
    currentDate: Date,
  ): Promise<{ payload: JWTPayload; protectedHeader: { typ?: unknown } }> {
    const options = { ...this.#options, currentDate }
    try {
      return await jwtVerify(token, this.#getKey, options)
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      return verifyWithAny(token, error, options)
    }
  }
}

/** Several keys fit the header: each is tried, up to a bound. */
async function verifyWithAny(
  token: string,
  candidates: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
) {
  let tried = 0
  for await (const key of candidates) {
    if (++tried > CANDIDATES_MAX) break
    try {
      return await jwtVerify(token, key, options)
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
    }
  }
  throw new errors.JWSSignatureVerificationFailed()
}

/** What `jose` threw, as a verdict. Reasons are sentences of ours: nothing of the token is repeated. */
function failureOf(error: unknown): Verification {
  if (error instanceof KeysUnavailable) {
    return {
      status: 'unknown',
      cause: new RescindError('ERR_KEYS_UNAVAILABLE', 'the key set of the issuer cannot be reached', {
        cause: new Error((error.cause as Error | undefined)?.name ?? 'Error'),
      }),
    }
  }
  if (error instanceof errors.JWTExpired) return invalid('ERR_TOKEN_EXPIRED', 'The token has expired')
  if (error instanceof errors.JWTClaimValidationFailed) {
    const claim = /^[A-Za-z0-9_]{1,40}$/.test(error.claim) ? error.claim : 'unspecified'
    return invalid(
      'ERR_TOKEN_INVALID',
      `The claim ${claim} is ${error.reason === 'missing' ? 'missing' : 'not acceptable'}`,
    )
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return invalid('ERR_TOKEN_MALFORMED', 'The token is not a signed JWT')
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return invalid('ERR_TOKEN_INVALID', 'The token is signed with an unknown key')
  }
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return invalid('ERR_TOKEN_INVALID', 'The token is signed in a way that is not allowed')
  }
  // Anything else (a key of another type than the algorithm, a signature of a wrong length) is no proof.
  return invalid('ERR_TOKEN_INVALID', 'The signature of the token does not verify')
}

function keySource(options: JwtVerifierOptions, onChanged: () => void): JWTVerifyGetKey {
  const { secret, publicKey, jwks, jwksUrl } = options
  if (jwksUrl !== undefined) return remoteKeys(new URL(jwksUrl), options, onChanged)
  if (jwks !== undefined) return createLocalJWKSet(jwks)
  if (secret !== undefined) {
    const bytes = secretBytes(secret)
    return async () => bytes
  }
  if (typeof publicKey === 'string') {
    // Imported once for each algorithm that a token names; the list is bounded by the allow-list.
    const imported = new Map<string, Promise<CryptoKey>>()
    return (header) => {
      const alg = header.alg
      let key = imported.get(alg)
      if (key === undefined) imported.set(alg, (key = importSPKI(publicKey, alg)))
      return key
    }
  }
  if (isJwk(publicKey)) {
    const imported = new Map<string, Promise<CryptoKey | Uint8Array>>()
    return (header) => {
      const alg = header.alg
      let key = imported.get(alg)
      if (key === undefined) imported.set(alg, (key = importJWK(publicKey, alg)))
      return key
    }
  }
  return async () => publicKey as CryptoKey | KeyObject
}

/** RFC 7515 §4.1.9: `application/` may be left out, and case does not matter. */
function mediaType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}
