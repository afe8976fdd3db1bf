/** What a gate says of a request: allowed, with what is known of the token, or a denial as data. */
import type { Claims } from './core/target.js'
import type { Denial } from './denial.js'
import type { RescindError } from './errors.js'
import { scopesOf } from './policy.js'
import { VerifiedToken } from './token/verifier.js'

/**
 * What an allowed request carries: the verified token with its claims and scopes. Requests with the same token
 * share it, so it is frozen.
 */
export class Auth<C extends Claims = Claims> extends VerifiedToken {
  declare readonly claims: C
  readonly scopes: readonly string[]

  constructor(token: VerifiedToken) {
    super(token.claims, '', Object.freeze(token.target))
    this.scopes = Object.freeze(scopesOf(token.claims))
    // Frozen but for the digests that are kept with it.
    for (const name of ['claims', 'target', 'tokenDigest', 'scopes'])
      Object.defineProperty(this, name, { writable: false, configurable: false })
    Object.preventExtensions(this)
  }
}

/** Allowed, with the auth and headers for the response; or a denial as data. */
export type Verdict =
  | { readonly allowed: true; readonly auth: Auth; readonly headers: Readonly<Record<string, string>> }
  | { readonly allowed: false; readonly denial: Denial; readonly cause?: RescindError }
