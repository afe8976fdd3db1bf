/**
 * The gate: headers in, verdict out. It reads the credentials, verifies the token, looks whether it is
 * revoked and compares scopes, in this order, so that a forged token costs no store access.
 *
 * It never throws for a request: whatever fails is a denial.
 */
import type { Claims } from './core/target.js'
import { own } from './core/target.js'
import { throwProblems } from './config.js'
import { type Denial, type DenialCode, type DenialContext, makeDenial } from './denial.js'
import { hasCode, RescindError } from './errors.js'
import type { TokenManager } from './token-manager.js'
import { readCredentials, type RequestHead, type TokenSource } from './token/credentials.js'
import { type InvalidTokenCode, VerifiedToken, type Verifier } from './token/verifier.js'

export interface GateOptions {
  /** Looks up revocations; its verifier is the gate's. */
  readonly manager: TokenManager
  /** The protection space named in challenges. Default `api`. */
  readonly realm?: string | undefined
  /** The URL of the resource's metadata (RFC 9728), named in challenges. Default: none. */
  readonly resourceMetadata?: string | undefined
  /** What `Retry-After` says when a check could not be made, in seconds. Default 1. */
  readonly retryAfterSeconds?: number | undefined
  /** Told of every check that could not be made, with its cause. Default: nobody. */
  readonly onUnknown?: ((cause: RescindError) => void) | undefined
}

/** What a route asks for. */
export interface Policy {
  /** Scopes that the token must have, all of them: a list, or text with spaces. Default: none. */
  readonly scope?: string | readonly string[] | undefined
  /** Where tokens are taken from. Default: only the `Authorization` header. */
  readonly tokenFrom?: readonly TokenSource[] | undefined
}

/** What an allowed request carries: the verified token with its claims and scopes. */
export class Auth<C extends Claims = Claims> extends VerifiedToken {
  declare readonly claims: C
  readonly scopes: readonly string[]

  constructor(token: VerifiedToken) {
    super(token.claims, '', token.target)
    this.scopes = scopesOf(token.claims)
  }
}

export type Verdict =
  | { readonly allowed: true; readonly auth: Auth; readonly headers: Readonly<Record<string, string>> }
  | { readonly allowed: false; readonly denial: Denial; readonly cause?: RescindError }

const HEADER_ONLY: readonly TokenSource[] = ['header']
const SOURCES: readonly TokenSource[] = ['header', 'form', 'query']
const NO_POLICY: Policy = {}
const NO_HEADERS = {}
/** RFC 6750 §2.3: a 2xx answer to a token in the query must not be cached by others. */
const PRIVATE = { 'cache-control': 'private' }

const DENIAL_OF_INVALID: Readonly<Record<InvalidTokenCode, DenialCode>> = {
  ERR_TOKEN_MALFORMED: 'token_malformed',
  ERR_TOKEN_INVALID: 'token_invalid',
  ERR_TOKEN_EXPIRED: 'token_expired',
}

export class Gate {
  readonly manager: TokenManager
  readonly #verifier: Verifier
  readonly #context: DenialContext
  readonly #onUnknown: (cause: RescindError) => void
  /** Those found to be in order, so that each is checked once. */
  readonly #policies = new WeakSet<Policy>()

  /** Throws `ERR_CONFIG_INVALID` when the manager has no verifier or an option cannot be used. */
  constructor(options: GateOptions) {
    const { manager, realm = 'api', resourceMetadata, retryAfterSeconds = 1 } = options
    const problems: string[] = []
    if (manager.verifier === undefined)
      problems.push('the manager has no verifier; give the TokenManager one')
    if (realm === '') problems.push('realm must not be empty')
    if (!Number.isInteger(retryAfterSeconds) || retryAfterSeconds < 0) {
      problems.push('retryAfterSeconds must be a whole number of at least 0')
    }
    throwProblems(problems)
    this.manager = manager
    this.#verifier = manager.verifier as Verifier
    this.#context = { realm, resourceMetadata, retryAfterSeconds }
    this.#onUnknown = options.onUnknown ?? (() => undefined)
  }

  /**
   * Decides about one request. A policy that cannot be understood (`{ scopes: … }` for `{ scope: … }`) lets
   * nobody in: 503, and `onUnknown` is told `ERR_OPTION_INVALID`.
   */
  async check(head: RequestHead, policy: Policy = NO_POLICY): Promise<Verdict> {
    try {
      return await this.#check(head, policy)
    } catch (error) {
      return this.#unavailable(
        error instanceof RescindError
          ? error
          : new RescindError('ERR_VERIFY_UNAVAILABLE', 'the check failed unexpectedly', { cause: error }),
      )
    }
  }

  async #check(head: RequestHead, policy: Policy): Promise<Verdict> {
    if (!this.#policies.has(policy)) {
      checkPolicy(policy)
      this.#policies.add(policy)
    }
    const credentials = readCredentials(head, policy.tokenFrom ?? HEADER_ONLY)
    switch (credentials.status) {
      case 'missing':
        return this.#deny('token_missing')
      case 'request-invalid':
        return this.#deny('request_invalid', credentials.reason)
      case 'token-malformed':
        return this.#deny('token_malformed', credentials.reason)
    }
    const now = this.manager.now()
    const verification = await this.#verifier.verify(credentials.token, now)
    if (verification.status === 'unknown') return this.#unavailable(verification.cause)
    if (verification.status === 'invalid')
      return this.#deny(DENIAL_OF_INVALID[verification.code], verification.reason)
    const { token } = verification

    const tooOld = this.#refuseAge(token, now)
    if (tooOld !== undefined) return tooOld
    const revoked = await this.#refuseRevoked(token)
    if (revoked !== undefined) return revoked
    const auth = new Auth(token)
    const wanted = scopeList(policy.scope)
    if (!wanted.every((scope) => auth.scopes.includes(scope))) {
      return { allowed: false, denial: makeDenial('scope_insufficient', this.#context, { scope: wanted }) }
    }
    return { allowed: true, auth, headers: credentials.source === 'query' ? PRIVATE : NO_HEADERS }
  }

  /**
   * Revocations by claims live for `lifetimeMaxSeconds`: a token that could be older would come back to life,
   * so it is refused here, and one whose age cannot be told as well.
   */
  #refuseAge(token: VerifiedToken, now: number): Verdict | undefined {
    const { lifetimeMaxSeconds, clockToleranceSeconds, skewMarginSeconds } = this.manager.settings
    const iat = own(token.claims, 'iat')
    if (typeof iat !== 'number' || !Number.isFinite(iat)) {
      return this.#deny('token_invalid', 'The token does not say when it was issued')
    }
    if (iat - clockToleranceSeconds - skewMarginSeconds > now)
      return this.#deny('token_invalid', 'The token was issued in the future')
    if (now - iat <= lifetimeMaxSeconds + clockToleranceSeconds) return undefined
    return this.#deny(
      'token_expired',
      `The token is older than the ${lifetimeMaxSeconds} seconds that are accepted here`,
    )
  }

  async #refuseRevoked(token: VerifiedToken): Promise<Verdict | undefined> {
    try {
      const result = await this.manager.check(token)
      if (result.status === 'clear') return undefined
      return result.status === 'revoked' ? this.#deny('token_revoked') : this.#unavailable(result.cause)
    } catch (error) {
      if (hasCode(error, 'ERR_CLAIM_INVALID'))
        return this.#deny('token_invalid', 'The token has a claim that cannot be checked')
      throw error
    }
  }

  #unavailable(cause: RescindError): Verdict {
    try {
      this.#onUnknown(cause)
    } catch {
      // An application's own failure to log changes no answer: the request is denied all the same.
    }
    return { allowed: false, denial: makeDenial('check_unavailable', this.#context), cause }
  }

  #deny(code: DenialCode, detail?: string): Verdict {
    return { allowed: false, denial: makeDenial(code, this.#context, { detail }) }
  }
}

/** Throws for what a typed caller cannot write: a misspelt option must not open a route. */
function checkPolicy(policy: Policy): void {
  const { scope, tokenFrom } = policy
  const isText = (value: unknown) => typeof value === 'string'
  const isList = (value: unknown) => Array.isArray(value) && value.every(isText)
  const wrong =
    Object.keys(policy).find((name) => name !== 'scope' && name !== 'tokenFrom') ??
    (scope === undefined || isText(scope) || isList(scope) ? undefined : 'scope') ??
    (tokenFrom === undefined || (isList(tokenFrom) && tokenFrom.every((source) => SOURCES.includes(source)))
      ? undefined
      : 'tokenFrom')
  if (wrong === undefined) return
  throw new RescindError(
    'ERR_OPTION_INVALID',
    `the policy of a route has an option "${wrong}" that cannot be used`,
  )
}

/** The scopes of a token: `scope` as text with spaces (RFC 9068 §2.2.3), or a list; else `scp`, as some issuers name it. */
export function scopesOf(claims: Claims): readonly string[] {
  const value = own(claims, 'scope') ?? own(claims, 'scp')
  if (Array.isArray(value)) return value.filter((scope): scope is string => typeof scope === 'string')
  return typeof value === 'string' ? scopeList(value) : []
}

function scopeList(scope: string | readonly string[] | undefined): readonly string[] {
  if (scope === undefined) return []
  return typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : scope
}
