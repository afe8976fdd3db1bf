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
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  type KeyObject,
} from 'jose'
import { throwProblems } from '../config.js'
import { RescindError } from '../errors.js'
import { TOKEN_LENGTH_MAX } from './credentials.js'
import { KeysUnavailable, type RemoteKeysOptions, remoteKeys } from './remote-keys.js'
import { type InvalidTokenCode, type Verification, VerifiedToken, type Verifier } from './verifier.js'

/** The algorithms that may be allowed. */
export const ALGORITHMS = [
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const

export interface JwtVerifierOptions extends RemoteKeysOptions {
  /** The `iss` that tokens must bear, exactly (RFC 9068 §4). `null` accepts any: only with keys of one issuer. */
  readonly issuer: string | null
  /** The `aud` that names this service, or several. `null` accepts any. */
  readonly audience: string | readonly string[] | null
  /** The allowed signature algorithms (RFC 8725 §3.1): a list of HS/RS/PS/ES 256–512, `EdDSA`. */
  readonly algorithms: readonly string[]
  /** The shared secret for HS256/384/512: at least as long as the hash (32, 48, 64 bytes; RFC 7518 §3.2). */
  readonly secret?: string | Uint8Array | undefined
  /** One public key: PEM (SPKI), JWK, `CryptoKey` or `KeyObject`. */
  readonly publicKey?: string | JWK | CryptoKey | KeyObject | undefined
  /** A fixed key set (RFC 7517 §5). */
  readonly jwks?: JSONWebKeySet | undefined
  /** Where the issuer publishes its key set. */
  readonly jwksUrl?: string | URL | undefined
  /** The `typ` that tokens must bear, or several. Default `at+jwt` (RFC 9068 §4); `null` accepts any. */
  readonly typ?: string | readonly string[] | null | undefined
  /** Seconds by which clocks may differ. Default 5, 0 to 300. */
  readonly clockToleranceSeconds?: number | undefined
  /** Claims that must be present. Default for `at+jwt`: those of RFC 9068 §2.2; otherwise none. */
  readonly requiredClaims?: readonly string[] | undefined
  /** Refuses tokens issued longer ago, in seconds. Default: no limit of its own (the gate has one). */
  readonly maxAgeSeconds?: number | undefined
}

const CLAIMS_OF_RFC_9068 = ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']
const SECRET_BYTES_MIN: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }
/** RFC 7515 §7.1: three parts of base64url, nothing else. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** How many keys without a `kid` are tried. */
const CANDIDATES_MAX = 8

export class JwtVerifier implements Verifier {
  readonly clockToleranceSeconds: number
  readonly #options: JWTVerifyOptions
  readonly #typs: readonly string[] | null
  readonly #getKey: JWTVerifyGetKey
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
    this.#getKey = keySource(options, () => (this.#keysVersion += 1))
  }

  /** Counts the key sets that were fetched. */
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
      return { status: 'valid', token: new VerifiedToken(payload, token.slice(0, token.lastIndexOf('.'))) }
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

function problemsOf(options: JwtVerifierOptions): string[] {
  const problems: string[] = []
  const { issuer, audience, algorithms, typ, clockToleranceSeconds, maxAgeSeconds } = options
  const sources = [options.secret, options.publicKey, options.jwks, options.jwksUrl].filter(
    (key) => key !== undefined,
  )
  if (sources.length !== 1) problems.push('exactly one of secret, publicKey, jwks, jwksUrl must be given')
  if (issuer !== null && (typeof issuer !== 'string' || issuer === '')) {
    problems.push('issuer must be a text, or null to accept any')
  }
  const audiences = typeof audience === 'string' ? [audience] : audience
  if (
    audience !== null &&
    (!Array.isArray(audiences) || audiences.length === 0 || !audiences.every(isText))
  ) {
    problems.push('audience must be a text or a list of texts, or null to accept any')
  }
  const typs = typeof typ === 'string' ? [typ] : typ
  if (typs !== undefined && typs !== null && (typs.length === 0 || !typs.every(isText))) {
    problems.push('typ must be a text or a list of texts, or null to accept any')
  }
  if (!Array.isArray(algorithms) || algorithms.length === 0) {
    problems.push(`algorithms must list at least one of ${ALGORITHMS.join(', ')}`)
  } else {
    const unknown = algorithms.filter((name) => !(ALGORITHMS as readonly unknown[]).includes(name))
    if (unknown.length > 0) problems.push(`algorithms may only list ${ALGORITHMS.join(', ')}`)
    const isShared = (name: string) => name.startsWith('HS')
    if (options.secret === undefined ? algorithms.some(isShared) : !algorithms.every(isShared)) {
      problems.push('a secret goes with HS256, HS384 and HS512, and public keys with all others')
    }
    const bytesMin = Math.max(...algorithms.map((name) => SECRET_BYTES_MIN[name as string] ?? 0))
    if (options.secret !== undefined && secretBytes(options.secret).length < bytesMin) {
      problems.push(`secret must be at least ${bytesMin} bytes long for these algorithms`)
    }
  }
  if (options.jwksUrl !== undefined && !isKeySetUrl(options.jwksUrl, options.jwksAllowHttp === true)) {
    problems.push('jwksUrl must be an https URL (http on loopback, or with jwksAllowHttp)')
  }
  if (clockToleranceSeconds !== undefined && !(clockToleranceSeconds >= 0 && clockToleranceSeconds <= 300)) {
    problems.push('clockToleranceSeconds must be 0 to 300')
  }
  if (maxAgeSeconds !== undefined && !(maxAgeSeconds >= 1)) problems.push('maxAgeSeconds must be at least 1')
  return problems
}

function isKeySetUrl(value: string | URL, allowHttp: boolean): boolean {
  if (!URL.canParse(String(value))) return false
  const { protocol, hostname } = new URL(value)
  if (protocol === 'https:') return true
  return protocol === 'http:' && (allowHttp || ['localhost', '127.0.0.1', '[::1]'].includes(hostname))
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isJwk(value: unknown): value is JWK {
  return typeof value === 'object' && value !== null && typeof (value as JWK).kty === 'string'
}

function secretBytes(secret: string | Uint8Array): Uint8Array {
  return typeof secret === 'string' ? new TextEncoder().encode(secret) : secret
}

/** RFC 7515 §4.1.9: `application/` may be left out, and case does not matter. */
function mediaType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}

function invalid(code: InvalidTokenCode, reason: string): Verification {
  return { status: 'invalid', code, reason }
}
