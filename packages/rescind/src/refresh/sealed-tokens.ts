/**
 * Refresh tokens that their client cannot read: the claims, encrypted and authenticated as a JWE (RFC 7516) with a key
 * that only the issuer has, `dir` and `A256GCM` (RFC 7518 §4.5 and §5.3). It makes them, and it is the verifier of what
 * it made.
 */
import { EncryptJWT, errors, jwtDecrypt, type JWTDecryptOptions } from 'jose'
import { throwProblems } from '../config.js'
import type { Claims } from '../core/target.js'
import { RescindError } from '../errors.js'
import { TOKEN_LENGTH_MAX } from '../token/credentials.js'
import { invalid, type Verification, VerifiedToken, type Verifier } from '../token/verifier.js'

/** The keys, and for whom the tokens are. */
export interface SealedTokensOptions {
  /**
   * The first seals, all of them open: to change keys put a new one first, and drop the old one when its last token has
   * expired. 1 to 16. Nonces are random: one key is good for 2^32 tokens (NIST SP 800-38D §8.3).
   */
  readonly keys: readonly SealingKey[]
  /** The `typ` of the tokens: those of another are refused (RFC 8725 §3.11). Default `rt+jwe`. */
  readonly typ?: string | undefined
  /** Seconds by which clocks may differ. Default 5, 0 to 300. */
  readonly clockToleranceSeconds?: number | undefined
}

/** A key that seals and opens tokens. */
export interface SealingKey {
  /** Names the key in the header of a token, for all to see: 1 to 64 letters, digits, "-", "_" or ".". */
  readonly kid: string
  /** 32 random bytes. */
  readonly secret: Uint8Array
}

const KEYS_MAX = 16
const SECRET_BYTES = 32
const TOLERANCE_SECONDS_MAX = 300
const KID = /^[\w.-]{1,64}$/
/** RFC 7516 §7.1, with nothing for the encrypted key: `dir` has none. */
const COMPACT = /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/

/** Refresh tokens that a client cannot read: JWEs with a shared key (RFC 7516, `dir` and `A256GCM`). */
export class SealedTokens implements Verifier {
  readonly clockToleranceSeconds: number
  readonly #typ: string
  readonly #first: SealingKey
  readonly #secrets: ReadonlyMap<string, Uint8Array>
  readonly #options: JWTDecryptOptions

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with the options. */
  constructor(options: SealedTokensOptions) {
    const { keys, typ = 'rt+jwe', clockToleranceSeconds = 5 } = options
    throwProblems(problemsOf(keys, typ, clockToleranceSeconds))
    this.clockToleranceSeconds = clockToleranceSeconds
    this.#typ = typ
    this.#first = keys[0] as SealingKey
    this.#secrets = new Map(keys.map(({ kid, secret }) => [kid, Uint8Array.from(secret)]))
    this.#options = {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
      requiredClaims: ['exp', 'jti'],
      typ,
      clockTolerance: clockToleranceSeconds,
    }
  }

  /** Makes a token of these claims. Throws `ERR_OPTION_INVALID` when it would be longer than a verifier reads. */
  async seal(claims: Claims): Promise<string> {
    const { kid } = this.#first
    const token = await new EncryptJWT({ ...claims })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid, typ: this.#typ })
      .encrypt(this.#secrets.get(kid) as Uint8Array)
    if (token.length <= TOKEN_LENGTH_MAX) return token
    throw new RescindError(
      'ERR_OPTION_INVALID',
      `the claims are too large: a token has at most ${TOKEN_LENGTH_MAX} characters`,
    )
  }

  /** `now`: seconds since 1970. */
  async verify(token: string, now: number): Promise<Verification> {
    if (token.length > TOKEN_LENGTH_MAX || !COMPACT.test(token))
      return invalid('ERR_TOKEN_MALFORMED', 'The token is not an encrypted JWT')
    try {
      const keyOf = ({ kid }: { kid?: string }) => this.#secretOf(kid)
      const options = { ...this.#options, currentDate: new Date(now * 1000) }
      const { payload } = await jwtDecrypt(token, keyOf, options)
      if (typeof payload.jti !== 'string' || payload.jti === '')
        return invalid('ERR_TOKEN_INVALID', 'The claim jti is not acceptable')
      return { status: 'valid', token: new VerifiedToken(payload, token) }
    } catch (error) {
      if (error instanceof errors.JWTExpired) return invalid('ERR_TOKEN_EXPIRED', 'The token has expired')
      return invalid(
        'ERR_TOKEN_INVALID',
        'The token was not made with one of the keys, or is of another kind',
      )
    }
  }

  #secretOf(kid: string | undefined): Uint8Array {
    const secret = this.#secrets.get(kid ?? '')
    if (secret === undefined) throw new errors.JWEDecryptionFailed()
    return secret
  }
}

function problemsOf(keys: readonly SealingKey[], typ: string, tolerance: number): string[] {
  const problems: string[] = []
  const isList = Array.isArray(keys) && keys.length >= 1 && keys.length <= KEYS_MAX
  if (!isList) problems.push(`keys must list 1 to ${KEYS_MAX} keys`)
  const listed: readonly SealingKey[] = isList ? keys : []
  if (listed.some(({ kid }) => !KID.test(kid)))
    problems.push('each kid must be 1 to 64 letters, digits, "-", "_" or "."')
  if (new Set(listed.map(({ kid }) => kid)).size !== listed.length) problems.push('each kid must stand once')
  if (listed.some(({ secret }) => !(secret instanceof Uint8Array) || secret.length !== SECRET_BYTES))
    problems.push(`each secret must be ${SECRET_BYTES} bytes`)
  if (typeof typ !== 'string' || typ === '') problems.push('typ must be a text')
  if (!(tolerance >= 0 && tolerance <= TOLERANCE_SECONDS_MAX))
    problems.push(`clockToleranceSeconds must be 0 to ${TOLERANCE_SECONDS_MAX}`)
  return problems
}
