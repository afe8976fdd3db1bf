/**
 * The contract of a verifier: is this token genuine? It answers valid, invalid or unknown, never throws, and
 * names the token so that no re-encoding of it escapes its name.
 */
import { KnownDigests } from '../core/probe.js'
import { type Claims, nameToken, type Subject, type Target, TOKEN_DIGEST } from '../core/target.js'
import type { RescindError } from '../errors.js'

/** A genuine token: what the gate hands to a route, and what `revokeToken` and `check` take. */
export class VerifiedToken extends KnownDigests implements Subject {
  /** JSON that belongs to the token alone: the gate freezes it. */
  readonly claims: Claims
  /** The target that names exactly this token: `(iss, jti)`, or the digest of what was signed. */
  readonly target: Target
  readonly tokenDigest: string | undefined

  /** `signed`: the signing input `header.payload` of a JWT, or the whole of any other token. */
  constructor(claims: Claims, signed: string, target: Target = nameToken(claims, signed)) {
    super()
    this.claims = claims
    this.target = target
    this.tokenDigest = target[TOKEN_DIGEST] as string | undefined
  }
}

export type InvalidTokenCode = 'ERR_TOKEN_MALFORMED' | 'ERR_TOKEN_INVALID' | 'ERR_TOKEN_EXPIRED'

/** What a verifier says: genuine, with the claims; or not, with a code. */
export type Verification =
  /** `until`: it must not be remembered longer, in seconds since 1970. Default: its `exp` alone bounds that. */
  | { readonly status: 'valid'; readonly token: VerifiedToken; readonly until?: number }
  /** `reason` is a sentence for the client; it holds no part of the token. */
  | { readonly status: 'invalid'; readonly code: InvalidTokenCode; readonly reason: string }
  | { readonly status: 'unknown'; readonly cause: RescindError }

/** The contract of verifiers: is this token genuine? It knows nothing of revocations. */
export interface Verifier {
  /** How far clocks may be apart: a token is accepted for so long after its `exp`. In seconds. */
  readonly clockToleranceSeconds: number
  /** `now`: seconds since 1970. */
  verify(token: string, now: number): Promise<Verification>
  /** Changes when keys do: what was verified with others is verified again. Absent: nothing may be remembered. */
  readonly keysVersion?: number
}

/** `reason`: a sentence for the client that holds no part of the token. */
export function invalid(code: InvalidTokenCode, reason: string): Verification {
  return { status: 'invalid', code, reason }
}
