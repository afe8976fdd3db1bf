/**
 * `TokenManager`: revoke, restore, check, list, watch. The way of the application to a store.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  ANY_TIME,
  type Entry,
  findDeadly,
  latestEnd,
  type Revocation,
  type State,
  TIME_MAX,
  toRevocation,
} from './core/revocation.js'
import {
  type Claims,
  digestsOf,
  EVERYTHING,
  isUnnamed,
  own,
  type ParsedTarget,
  parseTarget,
  type Subject,
  type Target,
  targetOf,
  TOKEN_DIGEST,
} from './core/target.js'
import type { Environment } from './config.js'
import { hasCode, RescindError } from './errors.js'
import { type RevocationSettings, settingsFromEnv, settingsFromOptions } from './settings.js'
import type { Ack, Change, Held, Page, Store } from './stores/store.js'
import { VerifiedToken, type Verifier } from './token/verifier.js'

export interface TokenManagerOptions extends Partial<RevocationSettings> {
  /** Where revocations live. */
  readonly store: Store
  /** Needed for tokens given as strings: nothing of an unverified token is ever written or believed. */
  readonly verifier?: Verifier | undefined
  /** The clock, in milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined
  /** Told when a revocation ends before its token does (`ttl: 'fixed'`). Default `process.emitWarning`. */
  readonly onWarning?: ((warning: RevocationWarning) => void) | undefined
}

export interface RevocationWarning {
  readonly code: 'REVOCATION_ENDS_EARLY'
  readonly message: string
}

export interface RevokeOptions {
  /**
   * Tokens issued up to and in this second die: a `Date` or seconds since 1970. Default: now, so that the next
   * log-in works; for a target that names one token, and with `null`, whenever they were issued (a ban).
   */
  readonly issuedBefore?: Date | number | null | undefined
  /** The revocation ends then: a `Date` or seconds since 1970. Default: when the last such token has ended. */
  readonly expiresAt?: Date | number | undefined
  /** Why, for people; at most 512 characters. Never put a token into it. */
  readonly reason?: string | undefined
  /** Who did it; at most 256 characters. */
  readonly actor?: string | undefined
  /** How sure it must be when the call returns. Default `accepted`. */
  readonly ack?: Ack | undefined
}

/** `revoked`: dead, with the revocation. `clear`: not revoked. `unknown`: cannot be told, and why. */
export type CheckResult =
  | { readonly status: 'revoked'; readonly revocation: Revocation }
  | { readonly status: 'clear' }
  | { readonly status: 'unknown'; readonly cause: RescindError }

export interface ListQuery {
  /** Revocations per page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined
  /** `cursor` of the page before. */
  readonly cursor?: string | undefined
  /** Only targets that contain these claims. */
  readonly target?: Target | undefined
  readonly actor?: string | undefined
  /** Only those revoked at or after this time. */
  readonly revokedSince?: Date | number | undefined
}

/** What a revocation would do, before it is done. */
export interface Preview {
  readonly target: Target
  /** One token, every token that carries the claims, or every token. */
  readonly scope: 'token' | 'claims' | 'everything'
  readonly issuedBefore: number | null
  readonly expiresAt: number
  /** `new`, or `extends` a revocation that stands, or `none`: it says as much already. */
  readonly effect: 'new' | 'extends' | 'none'
  /** What stands already under this target. */
  readonly standing: readonly Revocation[]
}

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined
  /** Begin after this position (of a change seen before). Default: now. */
  readonly after?: string | undefined
  /** Ask the store so often, in milliseconds. Default 250, at least 10. */
  readonly pollMs?: number | undefined
}

const REASON_LENGTH_MAX = 512
const ACTOR_LENGTH_MAX = 256
const LIST_LIMIT_MAX = 1000
const WATCH_BATCH = 256
/** While the store is away, a watch asks again this often at the least. */
const WATCH_RETRY_MS = 1000

export class TokenManager {
  readonly store: Store
  readonly verifier: Verifier | undefined
  readonly settings: RevocationSettings
  readonly #now: () => number
  readonly #warn: (warning: RevocationWarning) => void
  readonly #closing = new AbortController()

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with the settings. */
  constructor(options: TokenManagerOptions, settings: RevocationSettings = settingsFromOptions(options)) {
    this.store = options.store
    this.verifier = options.verifier
    const tolerance = Math.max(settings.clockToleranceSeconds, options.verifier?.clockToleranceSeconds ?? 0)
    this.settings = { ...settings, clockToleranceSeconds: tolerance }
    this.#now = options.now ?? Date.now
    this.#warn = options.onWarning ?? warnOnce()
  }

  /**
   * With settings from `RESCIND_LIFETIME_MAX_SECONDS`, `RESCIND_TTL`, `RESCIND_CLOCK_TOLERANCE_SECONDS` and
   * `RESCIND_SKEW_MARGIN_SECONDS`.
   */
  static fromEnv(
    env: Environment,
    options: Omit<TokenManagerOptions, keyof RevocationSettings>,
  ): TokenManager {
    return new TokenManager(options, settingsFromEnv(env))
  }

  /** The clock, in seconds since 1970. */
  now(): number {
    return this.#now() / 1000
  }

  /**
   * Revokes one token, given as a string (it is verified first) or as the gate's `auth`. The revocation lives
   * until the token's `exp`, plus clock tolerance and margin; without an `exp`, for `lifetimeMaxSeconds`.
   * Throws `ERR_TOKEN_EXPIRED`, `ERR_TOKEN_INVALID` or `ERR_TOKEN_MALFORMED` for a token that is dead anyway,
   * `ERR_KEYS_UNAVAILABLE` when that cannot be told, `ERR_VERIFIER_MISSING`, and the store's failures.
   */
  async revokeToken(
    token: string | VerifiedToken,
    options: Omit<RevokeOptions, 'issuedBefore'> = {},
  ): Promise<Revocation> {
    const verified = typeof token === 'string' ? await this.#verified(token) : token
    if (!(verified instanceof VerifiedToken)) {
      throw new RescindError(
        'ERR_OPTION_INVALID',
        'revokeToken takes a token, or the auth that the gate gave; for claims, call revoke(target)',
      )
    }
    const exp = own(verified.claims, 'exp')
    const target = parseTarget(verified.target)
    return this.#put(target, { ...options, issuedBefore: null }, typeof exp === 'number' ? exp : undefined)
  }

  /**
   * Revokes every token that carries these claims and was issued until now: `{ sub: 'alice' }`. Returns the
   * revocation as it now stands; one that lives longer already stays as it is. Throws `ERR_TARGET_INVALID`,
   * `ERR_OPTION_INVALID`, `ERR_SHAPES_EXCEEDED`, `ERR_ACK_NOT_REACHED` and the store's failures.
   */
  async revoke(target: Target, options: RevokeOptions = {}): Promise<Revocation> {
    return this.#put(parseTarget(target), options)
  }

  /** Revokes every token that was issued until now, whoever carries it. */
  async revokeAll(options: RevokeOptions = {}): Promise<Revocation> {
    return this.#put(EVERYTHING, options)
  }

  /**
   * Voids what was revoked for exactly this target; `'everything'` takes back `revokeAll`. True when there was
   * something. A token stays dead when another target covers it too.
   */
  async restore(target: Target | VerifiedToken | 'everything'): Promise<boolean> {
    const now = Math.floor(this.now())
    if (target === 'everything') return this.store.restore(EVERYTHING, { now })
    return this.store.restore(parseTarget(target instanceof VerifiedToken ? target.target : target), { now })
  }

  /**
   * Is it revoked? Takes a token as a string (verified first, which may throw as in `revokeToken`), the gate's
   * `auth`, or claims. A failure of the store is `unknown`, never `clear`. Throws `ERR_CLAIM_INVALID` for a
   * claim that cannot be compared in full.
   */
  async check(token: string | Subject | Claims): Promise<CheckResult> {
    let subject: Subject
    if (typeof token === 'string') {
      try {
        subject = await this.#verified(token)
      } catch (cause) {
        if (hasCode(cause, 'ERR_KEYS_UNAVAILABLE') || hasCode(cause, 'ERR_VERIFY_UNAVAILABLE'))
          return { status: 'unknown', cause }
        throw cause
      }
    } else {
      subject = token instanceof VerifiedToken ? token : { claims: token as Claims }
    }
    if (typeof subject.claims !== 'object' || subject.claims === null) {
      throw new RescindError(
        'ERR_OPTION_INVALID',
        'check takes a token, the auth that the gate gave, or claims',
      )
    }
    return this.#check(subject)
  }

  /** True when revoked, false when clear. Throws the cause when it cannot be told: never `false` for a failure. */
  async isRevoked(token: string | Subject | Claims): Promise<boolean> {
    const result = await this.check(token)
    if (result.status === 'unknown') throw result.cause
    return result.status === 'revoked'
  }

  /** A page of the revocations that stand, newest first. A page may be short before the last one. */
  async list(query: ListQuery = {}): Promise<Page> {
    const { limit = 100, cursor } = query
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX) {
      throw new RescindError('ERR_OPTION_INVALID', `limit must be a whole number from 1 to ${LIST_LIMIT_MAX}`)
    }
    return this.store.list({ now: this.now(), limit, cursor, filter: filterOf(query) })
  }

  /** What `revoke` with these arguments would do; writes nothing. `'everything'` stands for `revokeAll`. */
  async preview(
    target: Target | VerifiedToken | 'everything',
    options: RevokeOptions = {},
  ): Promise<Preview> {
    const token = target instanceof VerifiedToken ? target : undefined
    const parsed = target === 'everything' ? EVERYTHING : parseTarget(token?.target ?? target)
    const exp = token === undefined ? undefined : own(token.claims, 'exp')
    const entry = this.#entry(parsed, options, typeof exp === 'number' ? exp : undefined)
    const held = await this.store.find(() => [parsed.digest])
    const now = this.now()
    const standing = (held[0]?.state.entries ?? []).filter(({ end }) => now < end)
    const says = (other: Entry) => other.end >= entry.end && other.issuedBefore >= entry.issuedBefore
    return {
      target: targetOf(parsed),
      scope: parsed.shape.length === 0 ? 'everything' : namesOneToken(parsed) ? 'token' : 'claims',
      issuedBefore: entry.issuedBefore === ANY_TIME ? null : entry.issuedBefore,
      expiresAt: entry.end,
      effect: standing.some(says) ? 'none' : standing.length > 0 ? 'extends' : 'new',
      standing: standing.map((other) => toRevocation(parsed.digest, targetOf(parsed), other)),
    }
  }

  /**
   * Every change from now on, or after a position, in order and without a gap, until the signal or `close`.
   * While the store is away it waits. Throws `ERR_LOG_CHANGED` when the log no longer holds the position.
   */
  async *watch(options: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    const pollMs = Math.max(10, options.pollMs ?? 250)
    const signal = AbortSignal.any([
      this.#closing.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ])
    let position = options.after
    while (!signal.aborted) {
      let waitMs = pollMs
      try {
        position ??= await this.store.position()
        const read = await this.store.changes(position, WATCH_BATCH)
        for (const change of read.changes) {
          if (signal.aborted) return
          yield change
          position = change.position
        }
        position = read.position
        if (read.changes.length === WATCH_BATCH) waitMs = 0
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof RescindError) || !PASSING.has(error.code)) throw error
        waitMs = Math.max(pollMs, WATCH_RETRY_MS)
      }
      if (waitMs > 0) await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** Ends every watch and the store. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.store.close()
  }

  async #check(subject: Subject): Promise<CheckResult> {
    let isNameless = false
    let held: readonly Held[]
    try {
      held = await this.store.find((shapes) => {
        isNameless = isUnnamed(shapes, subject)
        return shapes.flatMap((shape) => digestsOf(shape, subject))
      })
    } catch (error) {
      if (hasCode(error, 'ERR_CLAIM_INVALID') || !(error instanceof RescindError)) throw error
      return { status: 'unknown', cause: error }
    }
    const now = this.now()
    const iat = own(subject.claims, 'iat')
    let found: Revocation | undefined
    for (const { digest, target, state } of held) {
      const entry = findDeadly(state, iat, now)
      if (entry === undefined || (found !== undefined && found.expiresAt >= entry.end)) continue
      found = toRevocation(digest, target, entry)
    }
    if (found !== undefined) return { status: 'revoked', revocation: found }
    if (isNameless) {
      return {
        status: 'unknown',
        cause: new RescindError(
          'ERR_TOKEN_UNNAMED',
          'these claims have no jti, and tokens without one are revoked by their digest: check the token itself',
        ),
      }
    }
    return { status: 'clear' }
  }

  async #put(target: ParsedTarget, options: RevokeOptions, exp?: number): Promise<Revocation> {
    const { ack = 'accepted' } = options
    if (ack !== 'accepted' && ack !== 'replicated') {
      throw new RescindError('ERR_ACK_UNSUPPORTED', 'ack must be "accepted" or "replicated"')
    }
    const entry = this.#entry(target, options, exp)
    const { state } = await this.store.put(target, entry, {
      ack,
      now: Math.floor(this.now()),
    })
    const stands = strongest(state, entry)
    return toRevocation(target.digest, targetOf(target), stands)
  }

  #entry(target: ParsedTarget, options: RevokeOptions, exp: number | undefined): Entry {
    const now = this.now()
    const issuedBefore = this.#issuedBefore(target, options.issuedBefore, now)
    const end = this.#end(options, exp, now)
    if (end <= now) throw new RescindError('ERR_OPTION_INVALID', 'expiresAt lies in the past')
    return {
      at: Math.floor(now),
      end,
      issuedBefore,
      ...textOption('reason', options.reason, REASON_LENGTH_MAX),
      ...textOption('actor', options.actor, ACTOR_LENGTH_MAX),
    }
  }

  #issuedBefore(target: ParsedTarget, wanted: RevokeOptions['issuedBefore'], now: number): number {
    if (wanted === null || (wanted === undefined && namesOneToken(target))) return ANY_TIME
    if (wanted === undefined) return Math.floor(now)
    return Math.max(0, Math.floor(secondsOf('issuedBefore', wanted)))
  }

  /** Invariant: no revocation ends before its token does, unless a fixed time was asked for by name. */
  #end(options: RevokeOptions, exp: number | undefined, now: number): number {
    const { lifetimeMaxSeconds, ttl, clockToleranceSeconds, skewMarginSeconds } = this.settings
    if (options.expiresAt !== undefined)
      return Math.min(Math.ceil(secondsOf('expiresAt', options.expiresAt)), TIME_MAX)
    if (ttl === 'fixed') {
      const end = Math.ceil(now + lifetimeMaxSeconds)
      if (exp !== undefined && exp + clockToleranceSeconds > end) {
        this.#warn({
          code: 'REVOCATION_ENDS_EARLY',
          message: `a token lives ${Math.ceil(exp - now)} s longer, but its revocation ends after ${lifetimeMaxSeconds} s (ttl "fixed"): then it is accepted again`,
        })
      }
      return end
    }
    const tokenEnd = exp ?? now + lifetimeMaxSeconds
    return Math.min(Math.ceil(tokenEnd + clockToleranceSeconds + skewMarginSeconds), TIME_MAX)
  }

  async #verified(token: string): Promise<VerifiedToken> {
    if (this.verifier === undefined) {
      throw new RescindError(
        'ERR_VERIFIER_MISSING',
        'a token as a string is verified first: give the TokenManager a verifier, or pass verified claims',
      )
    }
    const result = await this.verifier.verify(token, this.now())
    if (result.status === 'unknown') throw result.cause
    if (result.status === 'invalid') throw new RescindError(result.code, result.reason)
    return result.token
  }
}

/** Failures that pass by themselves: a watch waits for their end. */
const PASSING: ReadonlySet<string> = new Set([
  'ERR_STORE_UNAVAILABLE',
  'ERR_STORE_TIMEOUT',
  'ERR_STORE_OVERLOADED',
  'ERR_STORE_REFUSED',
])

function namesOneToken(target: ParsedTarget): boolean {
  return target.shape.includes('jti') || target.shape.includes(TOKEN_DIGEST)
}

/** The statement of a state that says at least what was asked for. */
function strongest(state: State, wanted: Entry): Entry {
  const covering = state.entries.filter(
    ({ end, issuedBefore }) => end >= wanted.end && issuedBefore >= wanted.issuedBefore,
  )
  return covering.find(({ end }) => end === latestEnd({ restoredAt: 0, entries: covering })) ?? wanted
}

function secondsOf(name: string, value: Date | number): number {
  const seconds = value instanceof Date ? value.getTime() / 1000 : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) {
    throw new RescindError('ERR_OPTION_INVALID', `${name} must be a Date, or seconds since 1970`)
  }
  if (seconds > 100_000_000_000) {
    throw new RescindError('ERR_OPTION_INVALID', `${name} is in seconds since 1970, not in milliseconds`)
  }
  return seconds
}

function textOption(name: 'reason' | 'actor', value: string | undefined, lengthMax: number): Partial<Entry> {
  if (value === undefined) return {}
  if (typeof value !== 'string' || value.length > lengthMax || !value.isWellFormed()) {
    throw new RescindError(
      'ERR_OPTION_INVALID',
      `${name} must be well-formed text of at most ${lengthMax} characters`,
    )
  }
  return { [name]: value }
}

function filterOf(query: ListQuery): (revocation: Revocation) => boolean {
  const wanted = query.target === undefined ? undefined : targetOf(parseTarget(query.target))
  const since = query.revokedSince === undefined ? 0 : secondsOf('revokedSince', query.revokedSince)
  return ({ target, actor, revokedAt }) => {
    if (revokedAt < since || (query.actor !== undefined && actor !== query.actor)) return false
    return (
      wanted === undefined ||
      Object.entries(wanted).every(([name, value]) => Object.hasOwn(target, name) && target[name] === value)
    )
  }
}

/** One warning a process is enough for a setting that will not change while it runs. */
function warnOnce(): (warning: RevocationWarning) => void {
  let warned = false
  return ({ code, message }) => {
    if (warned) return
    warned = true
    process.emitWarning(message, { code })
  }
}
