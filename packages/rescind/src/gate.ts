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
import type { LiveEnd } from './live-tokens.js'
import { type Freshness, freshnessProblems, type FreshnessPolicy } from './freshness.js'
import { isOneOf, type Plan, planPolicy, type Policy } from './policy.js'
import { ageProblem, endOfToken, expOf } from './token-life.js'
import type { TokenManager } from './token-manager.js'
import { TokenCache, type TokenCacheOptions } from './token/cache.js'
import { readCredentials, type RequestHead } from './token/credentials.js'
import type { InvalidTokenCode, VerifiedToken, Verifier } from './token/verifier.js'
import { Auth, type Verdict } from './verdict.js'

export type { Policy } from './policy.js'
export { Auth, type Verdict } from './verdict.js'

/** What a gate is made of, and the policy of routes that say nothing else. */
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

/** Bounds of the memory of tokens that were verified. */
export interface GateCacheOptions extends TokenCacheOptions {
  /** A token is verified again after so many seconds. Default 300; never past its `exp`, nor after keys changed. */
  readonly maxAgeSeconds?: number | undefined
}

type Allowed = Verdict & { allowed: true }

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

/** Headers in, verdict out: the verifier first, then the revocations. */
export class Gate {
  readonly manager: TokenManager
  /**
   * How checks were decided: `fresh` from the replica, `strict` by the store because the route asked for it,
   * `store` by the store because the replica was not fresh; and when the store could not tell: `stale` by what the
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

  /** A denial in the words of this gate, for what is refused before it is asked. `detail`: a sentence of its own. */
  denial(code: DenialCode, detail?: string): Denial {
    return makeDenial(code, this.#context, { detail })
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
    if (!replica.isFreshWithin(plan.stalenessMaxMs ?? replica.stalenessMaxMs)) return undefined
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
    const problem = ageProblem(token.claims, now, this.manager.settings)
    if (problem !== undefined) return this.#deny(problem.code, problem.detail)

    deepFreeze(token.claims)
    const headers = credentials.source === 'query' ? PRIVATE : NO_HEADERS
    const allowed: Allowed = Object.freeze({ allowed: true, auth: new Auth(token), headers })
    const field = head.authorization[0]
    // In one spelling of the scheme: a token shall not fill the cache with itself.
    const isCacheable = plan.isHeaderOnly && keysVersion !== undefined && field === SCHEME + credentials.token
    if (isCacheable && keysVersion === this.#verifier.keysVersion) {
      this.#cache?.set(
        field,
        allowed,
        Math.min(this.#cachedUntil(token, now), verification.until ?? Infinity),
      )
    }
    return this.#decideNow(allowed, plan, this.manager.now()) ?? this.#askStore(allowed, plan)
  }

  /** The store decides, and where it cannot, the policy. */
  async #askStore(known: Allowed, plan: Plan): Promise<Verdict> {
    const result = await this.manager.checkStore(known.auth)
    if (result.status !== 'unknown') {
      this.#counts[plan.consistency === 'strict' ? 'strict' : 'store'] += 1
      return result.status === 'revoked' ? this.#deny('token_revoked') : this.#pass(known, plan)
    }
    const { replica } = this.manager
    // What the replica knows to be dead is dead under every policy.
    if (replica?.isRevoked(known.auth, this.manager.now()) === true) {
      this.#counts.stale += 1
      return this.#deny('token_revoked')
    }
    const isRecent = replica?.isFreshWithin(plan.staleMaxSeconds * 1000) === true
    if (plan.onUnknown === 'closed' || (plan.onUnknown === 'stale' && !isRecent)) {
      return this.#unavailable(result.cause)
    }
    this.#counts[plan.onUnknown] += 1
    this.#tell(result.cause, plan.onUnknown)
    return this.#pass(known, plan)
  }

  #pass(known: Allowed, plan: Plan): Verdict {
    const { audiences, issuers } = plan
    if (audiences !== undefined && !isOneOf(own(known.auth.claims, 'aud'), audiences))
      return this.#deny('token_invalid', 'The token is meant for others')
    if (issuers !== undefined && !issuers.includes(own(known.auth.claims, 'iss') as string))
      return this.#deny('token_invalid', 'The token is of an issuer that is not accepted here')
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
    return Math.min(
      // The verifier's tolerance may be less than the manager's.
      (expOf(token.claims) ?? Infinity) + this.#verifier.clockToleranceSeconds,
      endOfToken(token.claims, this.manager.settings),
      now + this.#cacheMaxAge,
    )
  }

  #planOf(policy: Policy): Plan {
    let plan = this.#plans.get(policy)
    if (plan === undefined) {
      plan = planPolicy(policy, this.#defaults)
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
    return { allowed: false, denial: this.denial(code, detail) }
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
