/** What a `JwtVerifier` is made of, and everything that can be wrong with it before the first token comes. */
import { createPublicKey, KeyObject } from 'node:crypto'
import { createLocalJWKSet, type CryptoKey, type JSONWebKeySet, type JWK } from 'jose'
import type { RemoteKeysOptions } from './remote-keys.js'

/** The algorithms that may be allowed. */
export const ALGORITHMS = [
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const

/** Whose tokens are genuine: exactly one source of keys, and what tokens must say. */
export interface JwtVerifierOptions extends RemoteKeysOptions {
  /** The `iss` that tokens must bear, exactly (RFC 9068 §4). `null` accepts any: only with keys of one issuer. */
  readonly issuer: string | null
  /** The `aud` that names this service, or several. `null` accepts any. */
  readonly audience: string | readonly string[] | null
  /** The allowed signature algorithms (RFC 8725 §3.1): a list of HS/RS/PS/ES 256–512, `EdDSA`. */
  readonly algorithms: readonly string[]
  /** The shared secret for HS256/384/512: at least as long as the hash (32, 48, 64 bytes; RFC 7518 §3.2). */
  readonly secret?: string | Uint8Array | undefined
  /** One public key: PEM (SPKI, `-----BEGIN PUBLIC KEY-----`), JWK, `CryptoKey` or `KeyObject`. */
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
  /**
   * Refuses tokens issued longer ago, in seconds, also those that a gate remembers. Default: no limit of its own
   * (the gate has one).
   */
  readonly maxAgeSeconds?: number | undefined
}

const SECRET_BYTES_MIN: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }
const CURVES: Readonly<Record<string, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
}

/** Everything that is wrong with them; no value is shown. */
export function problemsOf(options: JwtVerifierOptions): string[] {
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
  if (options.publicKey !== undefined) problems.push(...publicKeyProblems(options.publicKey, algorithms))
  if (options.jwks !== undefined && !isKeySet(options.jwks)) {
    problems.push('jwks must be a JSON Web Key Set (RFC 7517 §5)')
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

/** What is no key, or fits no algorithm, would be found at the first token, and log everybody out. */
function publicKeyProblems(
  publicKey: NonNullable<JwtVerifierOptions['publicKey']>,
  algorithms: readonly string[],
): string[] {
  const key = readPublicKey(publicKey)
  if (key === undefined) {
    return [
      'publicKey cannot be read: it must be a public key as PEM (SPKI, with line breaks), JWK, CryptoKey or KeyObject',
    ]
  }
  if (
    !Array.isArray(algorithms) ||
    algorithms.length === 0 ||
    algorithms.some((name) => fits(key, String(name)))
  )
    return []
  return [`publicKey (${key.asymmetricKeyType}) is for none of the algorithms`]
}

function readPublicKey(key: NonNullable<JwtVerifierOptions['publicKey']>): KeyObject | undefined {
  try {
    const read = asKeyObject(key)
    return read.type === 'public' ? read : undefined
  } catch {
    return undefined
  }
}

function asKeyObject(key: NonNullable<JwtVerifierOptions['publicKey']>): KeyObject {
  if (key instanceof KeyObject) return key
  // Node would make a public key of a certificate or a private key too, which `jose` does not take.
  if (typeof key === 'string') {
    if (!key.startsWith('-----BEGIN PUBLIC KEY-----')) throw new TypeError('no SPKI')
    return createPublicKey(key)
  }
  if (!isJwk(key)) return KeyObject.from(key)
  if (key.d !== undefined) throw new TypeError('a private key')
  return createPublicKey({ key: key as Record<string, unknown>, format: 'jwk' })
}

/** RFC 7518 §3.1, RFC 8037 §3.1: which type of key, and which curve, an algorithm needs. */
function fits(
  { asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject,
  algorithm: string,
): boolean {
  if (/^[RP]S/.test(algorithm)) return type === 'rsa' || type === 'rsa-pss'
  if (/^Ed/.test(algorithm)) return type === 'ed25519'
  return type === 'ec' && details?.namedCurve === CURVES[algorithm]
}

function isKeySet(value: JSONWebKeySet): boolean {
  try {
    createLocalJWKSet(value)
    return true
  } catch {
    return false
  }
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

export function isJwk(value: unknown): value is JWK {
  return typeof value === 'object' && value !== null && typeof (value as JWK).kty === 'string'
}

export function secretBytes(secret: string | Uint8Array): Uint8Array {
  return typeof secret === 'string' ? new TextEncoder().encode(secret) : secret
}
