/**
 * Verifies opaque tokens by a function of the application: a look-up in its own sessions, or introspection.
 * An opaque token is named as every other, by `(iss, jti)` of the claims that were returned, and without a `jti` by the
 * SHA-256 of itself, so that whoever has only the claims finds what was revoked by the token. It matches targets by them.
 */
import type { Claims } from '../core/target.js'
import { throwProblems } from '../config.js'
import { RescindError } from '../errors.js'
import { TOKEN_LENGTH_MAX } from './credentials.js'
import { invalid, type Verification, VerifiedToken, type Verifier } from './verifier.js'

/** How opaque tokens are verified. */
export interface OpaqueVerifierOptions {
  /**
   * Returns the claims of a genuine token (`iat` in seconds is needed by the gate, `exp` is respected), or
   * `null` for any other. They are copied as JSON carries them; large whole numbers (bigint) become text. With a
   * `jti`, which no other token of this `iss` may have, that names the token. Without one its text does, so compare the
   * text itself, or a hash of it: what you decode leniently has other spellings, which stay allowed when one is
   * revoked. A throw means "cannot tell" (503), never "not genuine".
   */
  readonly verify: (token: string) => Claims | null | Promise<Claims | null>
  /** Wait for it no longer than this many milliseconds. Default 1,000, 1 to 600,000. */
  readonly timeoutMs?: number | undefined
  /** Seconds by which clocks may differ. Default 5, 0 to 300. */
  readonly clockToleranceSeconds?: number | undefined
}

const TIMEOUT_MS_MAX = 600_000
const TOLERANCE_SECONDS_MAX = 300

/**
 * Verifies tokens without a format of their own, by a function of the application, such as a look-up in its
 * database.
 */
export class OpaqueVerifier implements Verifier {
  readonly clockToleranceSeconds: number
  readonly #verify: OpaqueVerifierOptions['verify']
  readonly #timeoutMs: number

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with the options. */
  constructor(options: OpaqueVerifierOptions) {
    const { verify, timeoutMs = 1000, clockToleranceSeconds = 5 } = options
    throwProblems(problemsOf(verify, timeoutMs, clockToleranceSeconds))
    this.#verify = verify
    this.#timeoutMs = timeoutMs
    this.clockToleranceSeconds = clockToleranceSeconds
  }

  async verify(token: string, now: number): Promise<Verification> {
    if (token === '' || token.length > TOKEN_LENGTH_MAX) {
      return invalid('ERR_TOKEN_MALFORMED', 'The token is empty or too long')
    }
    try {
      const claims = asJson(await this.#claimsOf(token))
      if (claims === null || typeof claims !== 'object') {
        return invalid('ERR_TOKEN_INVALID', 'The token is not known')
      }
      const { exp } = claims
      if (exp !== undefined && !(typeof exp === 'number' && exp + this.clockToleranceSeconds > now)) {
        return invalid('ERR_TOKEN_EXPIRED', 'The token has expired')
      }
      return { status: 'valid', token: new VerifiedToken(claims, token) }
    } catch (error) {
      // An accessor of the claims may throw as well, and what refers to itself is no JSON.
      const cause = new RescindError('ERR_VERIFY_UNAVAILABLE', "the application's verify function failed", {
        cause: causeOf(error),
      })
      return { status: 'unknown', cause }
    }
  }

  async #claimsOf(token: string): Promise<Claims | null> {
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new RescindError('ERR_VERIFY_UNAVAILABLE', `verify took longer than ${this.#timeoutMs} ms`))
      }, this.#timeoutMs)
    })
    try {
      return await Promise.race([this.#verify(token), deadline])
    } finally {
      clearTimeout(timer)
    }
  }
}

function problemsOf(verify: unknown, timeoutMs: number, clockToleranceSeconds: number): string[] {
  const problems: string[] = []
  if (typeof verify !== 'function') problems.push('verify must be a function')
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX)
    problems.push(`timeoutMs must be a whole number from 1 to ${TIMEOUT_MS_MAX}`)
  if (!(clockToleranceSeconds >= 0 && clockToleranceSeconds <= TOLERANCE_SECONDS_MAX))
    problems.push(`clockToleranceSeconds must be 0 to ${TOLERANCE_SECONDS_MAX}`)
  return problems
}

/**
 * Claims as the payload of a JWT would carry them. What the application returns is often its own session or row, which is
 * nothing to freeze or to read twice, and may hold what is no claim: bytes, dates, objects of a database.
 */
function asJson(claims: Claims | null): Claims | null {
  if (typeof claims !== 'object' || claims === null) return null
  const text = JSON.stringify(claims, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )
  return JSON.parse(text) as Claims | null
}

/** An error of ours, or the name of another: nothing that could hold the token. */
function causeOf(error: unknown): Error {
  try {
    return error instanceof RescindError ? error : new Error((error as Error | undefined)?.name ?? 'Error')
  } catch {
    return new Error('Error')
  }
}
