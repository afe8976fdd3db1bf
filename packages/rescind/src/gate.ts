/**
 * The gate: headers in, verdict out. It reads the credentials, verifies the token, looks whether it is
 * revoked and compares scopes, in this order, so that a forged token costs no store access.
 *
 * A token that was verified before and a fresh replica make it answer at once: no promise, no I/O, nothing made
 * that grows with the token. It never throws for a request: whatever fails is a denial.
 */
import type { Claims } from './core/target.js'
import { own } from './core/target.js'
import { throwProblems } from './config.js'
import { type Denial, type DenialCode, type DenialContext, makeDenial } from './denial.js'
import { hasCode, RescindError } from './errors.js'
import { expOf, type LiveEnd } from './live-tokens.js'
import {
  type Freshness,
  freshnessProblems,
  type FreshnessPlan,
  type FreshnessPolicy,
  planFreshness,
  wrongFreshnessOption,
} from './freshness.js'
import type { TokenManager } from './token-manager.js'
import { TokenCache, type TokenCacheOptions } from './token/cache.js'
import { readCredentials, type RequestHead, type TokenSource } from './token/credentials.js'
import { type InvalidTokenCode, VerifiedToken, type Verifier } from './token/verifier.js'

export interface GateOptions extends FreshnessPolicy {
  /** Looks up revocations; its verifier is the gate's. */
  readonly manager: TokenManager
  /** The protection space named in challenges. Default `api`. */
  readonly realm?: string | undefined
  /** The URL of the resource's metadata (RFC 9728), named in challenges. Default: none. */
  readonly resourceMetadata?: string | undefined
  /** What `Retry-After` says when a check could not be made, in seconds. Default 1. */
  readonly retryAfterSeconds?: number | undefined
  /** Told of every check that could not be made, with its cause and what became of it. Default: nobody. */
  readonly onUncertain?: ((cause: RescindError, decision: 'closed' | 'stale' | 'open') => void) | undefined
  /** Tokens that verified, so that a signature is verified once; `false`: none. */
  readonly cache?: GateCacheOptions | false | undefined
}

export interface GateCacheOptions extends TokenCacheOptions {
  /** A token is verified again after so many seconds. Default 300; never past its `exp`, nor after keys changed. */
  readonly maxAgeSeconds?: number | undefined
}

/** What a route asks for. */
export interface Policy extends FreshnessPolicy {
  /** Scopes that the token must have, all of them: a list, or text with spaces. Default: none. */
  readonly scope?: string | readonly string[] | undefined
  /** Where tokens are taken from. Default: only the `Authorization` header. */
  readonly tokenFrom?: readonly TokenSource[] | undefined
}

/**
 * What an allowed request carries: the verified token with its claims and scopes. Requests with the same token
 * share it, so it is frozen.
 */
export class Auth<C extends Claims = Claims> extends VerifiedToken {
  declare readonly claims: C
  readonly scopes: readonly string[]

  constructor(token: VerifiedToken) {
    super(token.claims, '', token.target)
    this.scopes = Object.freeze(scopesOf(token.claims))
  }
}

export type Verdict =
  | { readonly allowed: true; readonly auth: Auth; readonly headers: Readonly<Record<string, string>> }
  | { readonly allowed: false; readonly denial: Denial; readonly cause?: RescindError }

/** A policy that was checked, with what the gate's own options add. */
interface Plan extends FreshnessPlan {
  readonly scopes: readonly string[]
  readonly sources: readonly TokenSource[]
  readonly isHeaderOnly: boolean
}

type Allowed = Verdict & { allowed: true }

const HEADER_ONLY: readonly TokenSource[] = ['header']
const SOURCES: readonly TokenSource[] = ['header', 'form', 'query']
const POLICY_OPTIONS = ['scope', 'tokenFrom', 'consistency', 'stalenessMaxMs', 'onUnknown', 'staleMaxSeconds']
const NO_POLICY: Policy = {}
const NO_HEADERS = {}
/** RFC 6750 §2.3: a 2xx answer to a token in the query must not be cached by others. */
const PRIVATE = { 'cache-control': 'private' }
const CACHE_MAX_AGE_SECONDS = 300
const SCHEME = 'Bearer '

const DENIAL_OF_INVALID: Readonly<Record<InvalidTokenCode, DenialCode>> = {
  ERR_TOKEN_MALFORMED: 'token_malformed',
  ERR_TOKEN_INVALID: 'token_invalid',
  ERR_TOKEN_EXPIRED: 'token_expired',
}

export class Gate {
  readonly manager: TokenManager
  /**
   * How checks were decided: `fresh` from the replica, `strict` by the store because the route asked for it,
   * `store` by the store because the replica was not fresh; and when nobody could tell: `stale` by what the
   * replica knew last, `open` let through, `closed` refused.
   */
  readonly counts: Readonly<Record<Freshness, number>>
  readonly #counts: Record<Freshness, number> = {
    fresh: 0,
    strict: 0,
    store: 0,
    stale: 0,
    open: 0,
    closed: 0,
  }
  readonly #verifier: Verifier
  readonly #context: DenialContext
  readonly #defaults: FreshnessPolicy
  readonly #onUncertain: (cause: RescindError, decision: 'closed' | 'stale' | 'open') => void
  readonly #cache: TokenCache<Allowed> | undefined
  readonly #cacheMaxAge: number
  #keysVersion: number | undefined
  /** Those found to be in order, so that each is checked once. */
  readonly #plans = new WeakMap<Policy, Plan>()
  #lastPolicy: Policy | undefined
  #lastPlan: Plan | undefined

  /** Throws `ERR_CONFIG_INVALID` when the manager has no verifier or an option cannot be used. */
  constructor(options: GateOptions) {
    const { manager, realm = 'api', resourceMetadata, retryAfterSeconds = 1, cache = {} } = options
    const problems: string[] = []
    if (manager.verifier === undefined)
      problems.push('the manager has no verifier; give the TokenManager one')
    if (realm === '') problems.push('realm must not be empty')
    if (!Number.isInteger(retryAfterSeconds) || retryAfterSeconds < 0) {
      problems.push('retryAfterSeconds must be a whole number of at least 0')
    }
    const {
      maxAgeSeconds = CACHE_MAX_AGE_SECONDS,
      entriesMax = 0,
      bytesMax = 0,
    } = cache === false ? {} : cache
    for (const [name, value] of Object.entries({ maxAgeSeconds, entriesMax, bytesMax })) {
      if (!Number.isSafeInteger(value) || value < 0)
        problems.push(`cache.${name} must be a whole number of at least 0`)
    }
    problems.push(...freshnessProblems(options))
    throwProblems(problems)
    this.manager = manager
    this.counts = this.#counts
    this.#verifier = manager.verifier as Verifier
    this.#context = { realm, resourceMetadata, retryAfterSeconds }
    this.#defaults = options
    this.#onUncertain = options.onUncertain ?? (() => undefined)
    this.#cache = cache === false ? undefined : new TokenCache(cache)
    this.#cacheMaxAge = maxAgeSeconds
    this.#keysVersion = this.#verifier.keysVersion
  }

  /**
   * Decides about one request: at once where it can, else by a promise (`await` takes both). A policy that cannot
   * be understood (`{ scopes: … }` for `{ scope: … }`) lets nobody in: 503, and `onUncertain` is told
   * `ERR_OPTION_INVALID`.
   */
  check(head: RequestHead, policy: Policy = NO_POLICY): Verdict | Promise<Verdict> {
    try {
      const plan = policy === this.#lastPolicy ? (this.#lastPlan as Plan) : this.#planOf(policy)
      const now = this.manager.now()
      const known = this.#lookUp(head, plan, now)
      const verdict = known === undefined ? undefined : this.#decideNow(known, plan, now)
      return verdict ?? this.#checkLater(head, plan, known)
    } catch (error) {
      return this.#unavailable(asFailure(error))
    }
  }

  /**
   * Resolves when a token that was let through is revoked or ends: the moment to close a connection that lives on.
   * With `undefined` when the signal is aborted or the manager closed. Takes the gate's `auth`, or claims.
   */
  onRevoked(
    token: VerifiedToken | Claims,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<LiveEnd> {
    return this.manager.onRevoked(token, options.signal)
  }

  /** What was verified before under exactly these credentials. */
  #lookUp(head: RequestHead, plan: Plan, now: number): Allowed | undefined {
    if (this.#cache === undefined || !plan.isHeaderOnly || head.authorization.length !== 1) return undefined
    if (this.#verifier.keysVersion !== this.#keysVersion) {
      this.#cache.clear()
      this.#keysVersion = this.#verifier.keysVersion
    }
    return this.#cache.get(head.authorization[0] as string, now)
  }

  /** The verdict on a genuine token from memory alone; undefined when the store has to be asked. */
  #decideNow(known: Allowed, plan: Plan, now: number): Verdict | undefined {
    const { replica } = this.manager
    if (plan.consistency === 'strict' || replica === undefined) return undefined
    replica.start()
    replica.remember(known.auth)
    if (replica.isRevoked(known.auth, now)) {
      this.#counts.fresh += 1
      return this.#deny('token_revoked')
    }
    if (replica.stalenessMs > (plan.stalenessMaxMs ?? replica.stalenessMaxMs)) return undefined
    this.#counts.fresh += 1
    return this.#pass(known, plan)
  }

  async #checkLater(head: RequestHead, plan: Plan, known: Allowed | undefined): Promise<Verdict> {
    try {
      return known === undefined ? await this.#checkAnew(head, plan) : await this.#askStore(known, plan)
    } catch (error) {
      return this.#unavailable(asFailure(error))
    }
  }

  async #checkAnew(head: RequestHead, plan: Plan): Promise<Verdict> {
    const credentials = readCredentials(head, plan.sources)
    switch (credentials.status) {
      case 'missing':
        return this.#deny('token_missing')
      case 'request-invalid':
        return this.#deny('request_invalid', credentials.reason)
      case 'token-malformed':
        return this.#deny('token_malformed', credentials.reason)
    }
    const now = this.manager.now()
    const { keysVersion } = this.#verifier
    const verification = await this.#verifier.verify(credentials.token, now)
    if (verification.status === 'unknown') return this.#unavailable(verification.cause)
    if (verification.status === 'invalid')
      return this.#deny(DENIAL_OF_INVALID[verification.code], verification.reason)
    const { token } = verification
    const tooOld = this.#refuseAge(token, now)
    if (tooOld !== undefined) return tooOld

    deepFreeze(token.claims)
    const headers = credentials.source === 'query' ? PRIVATE : NO_HEADERS
    const allowed: Allowed = Object.freeze({ allowed: true, auth: new Auth(token), headers })
    const field = head.authorization[0]
    // In one spelling of the scheme: a token shall not fill the cache with itself.
    const isCacheable = plan.isHeaderOnly && keysVersion !== undefined && field === SCHEME + credentials.token
    if (isCacheable && keysVersion === this.#verifier.keysVersion) {
      this.#cache?.set(field, allowed, this.#cachedUntil(token, now))
    }
    return this.#decideNow(allowed, plan, this.manager.now()) ?? this.#askStore(allowed, plan)
  }

  /** The store decides, and where it cannot, the policy. */
  async #askStore(known: Allowed, plan: Plan): Promise<Verdict> {
    const result = await this.manager.checkStore(known.auth)
    if (result.status === 'revoked') return this.#deny('token_revoked')
    if (result.status === 'clear') {
      this.#counts[plan.consistency === 'strict' ? 'strict' : 'store'] += 1
      return this.#pass(known, plan)
    }
    const { replica } = this.manager
    // What the replica knows to be dead is dead under every policy.
    if (replica?.isRevoked(known.auth, this.manager.now()) === true) return this.#deny('token_revoked')
    const isRecent = replica !== undefined && replica.stalenessMs <= plan.staleMaxSeconds * 1000
    if (plan.onUnknown === 'closed' || (plan.onUnknown === 'stale' && !isRecent)) {
      return this.#unavailable(result.cause)
    }
    this.#counts[plan.onUnknown] += 1
    this.#tell(result.cause, plan.onUnknown)
    return this.#pass(known, plan)
  }

  #pass(known: Allowed, plan: Plan): Verdict {
    for (const scope of plan.scopes) {
      if (known.auth.scopes.includes(scope)) continue
      return {
        allowed: false,
        denial: makeDenial('scope_insufficient', this.#context, { scope: plan.scopes }),
      }
    }
    return known
  }

  #cachedUntil(token: VerifiedToken, now: number): number {
    const { lifetimeMaxSeconds, clockToleranceSeconds } = this.manager.settings
    const iat = own(token.claims, 'iat') as number
    return Math.min(
      (expOf(token) ?? Infinity) + this.#verifier.clockToleranceSeconds,
      iat + lifetimeMaxSeconds + clockToleranceSeconds,
      now + this.#cacheMaxAge,
    )
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

  #planOf(policy: Policy): Plan {
    let plan = this.#plans.get(policy)
    if (plan === undefined) {
      checkPolicy(policy)
      const sources = policy.tokenFrom ?? HEADER_ONLY
      plan = {
        ...planFreshness(policy, this.#defaults),
        scopes: scopeList(policy.scope),
        sources,
        isHeaderOnly: sources.length === 1 && sources[0] === 'header',
      }
      this.#plans.set(policy, plan)
    }
    this.#lastPolicy = policy
    this.#lastPlan = plan
    return plan
  }

  #unavailable(cause: RescindError): Verdict {
    // A claim that cannot be compared in full is the token's fault, and no outage.
    if (hasCode(cause, 'ERR_CLAIM_INVALID'))
      return this.#deny('token_invalid', 'The token has a claim that cannot be checked')
    this.#counts.closed += 1
    this.#tell(cause, 'closed')
    return { allowed: false, denial: makeDenial('check_unavailable', this.#context), cause }
  }

  #tell(cause: RescindError, decision: 'closed' | 'stale' | 'open'): void {
    try {
      this.#onUncertain(cause, decision)
    } catch {
      // An application's own failure to log changes no answer.
    }
  }

  #deny(code: DenialCode, detail?: string): Verdict {
    return { allowed: false, denial: makeDenial(code, this.#context, { detail }) }
  }
}

function asFailure(error: unknown): RescindError {
  if (error instanceof RescindError) return error
  return new RescindError('ERR_VERIFY_UNAVAILABLE', 'the check failed unexpectedly', { cause: error })
}

/** Claims are JSON: a tree. */
function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
}

/** Throws for what a typed caller cannot write: a misspelt option must not open a route. */
function checkPolicy(policy: Policy): void {
  const { scope, tokenFrom } = policy
  const isText = (value: unknown) => typeof value === 'string'
  const isList = (value: unknown) => Array.isArray(value) && value.every(isText)
  const wrong =
    Object.keys(policy).find((name) => !POLICY_OPTIONS.includes(name)) ??
    (scope === undefined || isText(scope) || isList(scope) ? undefined : 'scope') ??
    (tokenFrom === undefined || (isList(tokenFrom) && tokenFrom.every((source) => SOURCES.includes(source)))
      ? undefined
      : 'tokenFrom') ??
    wrongFreshnessOption(policy)
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
