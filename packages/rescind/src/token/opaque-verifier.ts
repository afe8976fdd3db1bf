/**
 * Verifies opaque tokens by a function of the application: a look-up in its own sessions, or introspection.
 * An opaque token is named by the SHA-256 of itself, and matches targets by the claims that were returned.
 */
import { textDigest } from '../core/digest.js'
import { type Claims, TOKEN_DIGEST } from '../core/target.js'
import { RescindError } from '../errors.js'
import { TOKEN_LENGTH_MAX } from './credentials.js'
import { type Verification, VerifiedToken, type Verifier } from './verifier.js'

export interface OpaqueVerifierOptions {
  /**
   * Returns the claims of a genuine token (`iat` in seconds is needed by the gate, `exp` is respected), or
   * `null` for any other. A throw means "cannot tell" (503), never "not genuine".
   */
  readonly verify: (token: string) => Claims | null | Promise<Claims | null>
  /** Wait for it no longer than this many milliseconds. Default 1,000. */
  readonly timeoutMs?: number | undefined
  /** Seconds by which clocks may differ. Default 5. */
  readonly clockToleranceSeconds?: number | undefined
}

export class OpaqueVerifier implements Verifier {
  readonly clockToleranceSeconds: number
  readonly #verify: OpaqueVerifierOptions['verify']
  readonly #timeoutMs: number

  constructor(options: OpaqueVerifierOptions) {
    this.#verify = options.verify
    this.#timeoutMs = options.timeoutMs ?? 1000
    this.clockToleranceSeconds = options.clockToleranceSeconds ?? 5
  }

  async verify(token: string, now: number): Promise<Verification> {
    if (token === '' || token.length > TOKEN_LENGTH_MAX) {
      return { status: 'invalid', code: 'ERR_TOKEN_MALFORMED', reason: 'The token is empty or too long' }
    }
    try {
      const claims = await this.#claimsOf(token)
      if (claims === null || typeof claims !== 'object') {
        return { status: 'invalid', code: 'ERR_TOKEN_INVALID', reason: 'The token is not known' }
      }
      const { exp } = claims
      if (exp !== undefined && !(typeof exp === 'number' && exp + this.clockToleranceSeconds > now)) {
        return { status: 'invalid', code: 'ERR_TOKEN_EXPIRED', reason: 'The token has expired' }
      }
      const target = { [TOKEN_DIGEST]: textDigest(token) }
      return { status: 'valid', token: new VerifiedToken(claims, token, target) }
    } catch (error) {
      // An accessor of the claims may throw as well.
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

/** An error of ours, or the name of another: nothing that could hold the token. */
function causeOf(error: unknown): Error {
  try {
    return error instanceof RescindError ? error : new Error((error as Error | undefined)?.name ?? 'Error')
  } catch {
    return new Error('Error')
  }
}
