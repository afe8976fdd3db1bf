/**
 * The contract of a verifier: is this token genuine? It answers valid, invalid or unknown, never throws, and
 * names the token so that no re-encoding of it escapes its name.
 */
import { KnownDigests } from '../core/probe.js'
import { type Claims, nameToken, type Subject, type Target, TOKEN_DIGEST } from '../core/target.js'
import type { RescindError } from '../errors.js'

/** A genuine token: what the gate hands to a route, and what `revokeToken` and `check` take. */
export class VerifiedToken extends KnownDigests implements Subject {
  readonly claims: Claims
  /** The target that names exactly this token: `(iss, jti)`, or the digest of what was signed. */
  readonly target: Target
  readonly tokenDigest: string | undefined

  /** `signed`: the signing input `header.payload` of a JWT, or the whole of an opaque token. */
  constructor(claims: Claims, signed: string, target: Target = nameToken(claims, signed)) {
    super()
    this.claims = claims
    this.target = target
    this.tokenDigest = target[TOKEN_DIGEST] as string | undefined
  }
}

export type InvalidTokenCode = 'ERR_TOKEN_MALFORMED' | 'ERR_TOKEN_INVALID' | 'ERR_TOKEN_EXPIRED'

export type Verification =
  | { readonly status: 'valid'; readonly token: VerifiedToken }
  /** `reason` is a sentence for the client; it holds no part of the token. */
  | { readonly status: 'invalid'; readonly code: InvalidTokenCode; readonly reason: string }
  | { readonly status: 'unknown'; readonly cause: RescindError }

export interface Verifier {
  /** How far clocks may be apart: a token is accepted for so long after its `exp`. In seconds. */
  readonly clockToleranceSeconds: number
  /** `now`: seconds since 1970. */
  verify(token: string, now: number): Promise<Verification>
  /** Changes when keys do: what was verified with others is verified again. Absent: nothing may be remembered. */
  readonly keysVersion?: number
}
