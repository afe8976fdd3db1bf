/**
 * `TokenManager`: revoke, restore, check, list, watch. The way of the application to a store, and to the replica
 * that answers most checks without it.
 */
import type { Digest } from './core/digest.js'
import { type Claims, EVERYTHING, parseTarget, type Subject, type Target } from './core/target.js'
import { type CheckResult, Checks } from './checks.js'
import { type Environment, throwProblems } from './config.js'
import { hasCode, RescindError } from './errors.js'
import { type LiveEnd, LiveTokens } from './live-tokens.js'
import { filterOf, isFiltered, type ListQuery, pageOf } from './list-query.js'
import { type ReadyOptions, waitUntilReady } from './readiness.js'
import { listInOrder } from './replica/ordered-list.js'
import { NODE_NAME_LENGTH_MAX, Replica } from './replica/replica.js'
import { type RevocationSettings, settingsFromEnv, settingsFromOptions } from './settings.js'
import { type Preview, previewOf, type Standing, standingUnder } from './standing.js'
import { type RevocationWarning, warnOnce } from './statement.js'
import type { Change, LiveNode, Page, Store } from './stores/store.js'
import { MACHINE, type Surroundings } from './surroundings.js'
import { ageProblem, endOfToken, expOf } from './token-life.js'
import { VerifiedToken, type Verifier } from './token/verifier.js'
import { watchChanges, type WatchOptions } from './watch.js'
import { type AckLevel, type Receipt, type RevokeOptions, Writes } from './writes.js'

export type { AckLevel, CheckResult, Preview, ReadyOptions, Receipt, RevokeOptions, Standing, WatchOptions }

/** What a `TokenManager` is made of; what is left out has the defaults of the settings. */
export interface TokenManagerOptions extends Partial<RevocationSettings> {
  /** Where revocations live. */
  readonly store: Store
  /** Needed for tokens given as strings: nothing of an unverified token is ever written or believed. */
  readonly verifier?: Verifier | undefined
  /** The clock, in milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined
  /** Told when a revocation ends before its token does (`ttl: 'fixed'`). Default `process.emitWarning`. */
  readonly onWarning?: ((warning: RevocationWarning) => void) | undefined
  /** Keep a replica of what is revoked in memory, and answer checks from it. Default true. */
  readonly replica?: boolean | undefined
  /**
   * The name of this node in lists and receipts, well-formed text of 1 to 128 characters. Default: host name and process
   * number.
   */
  readonly nodeName?: string | undefined
  /** Time and chance, for simulations. Default: the machine's, with `now` as its clock. */
  readonly surroundings?: Surroundings | undefined
}

/** Who may answer a check. */
export interface CheckOptions {
  /** `replica` (default): from memory while that is fresh, otherwise from the store. `strict`: from the store. */
  readonly consistency?: 'replica' | 'strict' | undefined
  /**
   * How old an answer from memory may be, in milliseconds; of `NaN` none will do. Default: the setting of the manager.
   */
  readonly stalenessMaxMs?: number | undefined
}

/** How long a list in an order of the replica waits for it, in milliseconds. */
const LIST_READY_MS = 5000

/** Revokes, restores, checks, lists and watches. One a process, for all its gates. */
export class TokenManager {
  readonly store: Store
  readonly verifier: Verifier | undefined
  readonly settings: RevocationSettings
  readonly #surroundings: Surroundings
  readonly #closing = new AbortController()
  /** This node's copy of what is revoked; undefined with `replica: false`. */
  readonly replica: Replica | undefined
  readonly #checks: Checks
  readonly #writes: Writes
  readonly #live: LiveTokens | undefined

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with the settings. */
  constructor(options: TokenManagerOptions, settings: RevocationSettings = settingsFromOptions(options)) {
    if (options.nodeName !== undefined && !isNodeName(options.nodeName))
      throwProblems([`nodeName must be well-formed text of 1 to ${NODE_NAME_LENGTH_MAX} characters`])
    this.store = options.store
    this.verifier = options.verifier
    const tolerance = Math.max(settings.clockToleranceSeconds, options.verifier?.clockToleranceSeconds ?? 0)
    this.settings = { ...settings, clockToleranceSeconds: tolerance }
    const { now, surroundings = MACHINE } = options
    this.#surroundings = now === undefined ? surroundings : { ...surroundings, now }
    const { stalenessMaxMs } = this.settings
    if (options.replica !== false) {
      this.replica = new Replica(options.store, {
        stalenessMaxMs,
        name: options.nodeName,
        surroundings: this.#surroundings,
      })
    }
    this.#checks = new Checks({
      store: options.store,
      replica: this.replica,
      stalenessMaxMs,
      now: () => this.now(),
    })
    this.#writes = new Writes({
      store: options.store,
      replica: this.replica,
      settings: this.settings,
      warn: options.onWarning ?? warnOnce(),
      surroundings: this.#surroundings,
    })
    if (this.replica === undefined) return
    this.#live = new LiveTokens({
      replica: this.replica,
      now: () => this.now(),
      endOf: ({ claims }) => endOfToken(claims, this.settings),
    })
  }

  /**
   * With settings from `RESCIND_LIFETIME_MAX_SECONDS`, `RESCIND_TTL`, `RESCIND_CLOCK_TOLERANCE_SECONDS`,
   * `RESCIND_SKEW_MARGIN_SECONDS` and `RESCIND_STALENESS_MAX_MS`.
   */
  static fromEnv(
    env: Environment,
    options: Omit<TokenManagerOptions, keyof RevocationSettings>,
  ): TokenManager {
    return new TokenManager(options, settingsFromEnv(env))
  }

  /** The clock, in seconds since 1970. */
  now(): number {
    return this.#surroundings.now() / 1000
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
  ): Promise<Receipt> {
    const verified = typeof token === 'string' ? await this.#verified(token) : token
    if (!(verified instanceof VerifiedToken)) {
      throw new RescindError(
        'ERR_OPTION_INVALID',
        'revokeToken takes a token, or the auth that the gate gave; for claims, call revoke(target)',
      )
    }
    const target = parseTarget(verified.target)
    return this.#writes.put(target, { ...options, issuedBefore: null }, expOf(verified.claims))
  }

  /**
   * Revokes every token that carries these claims and was issued until now: `{ sub: 'alice' }`. Returns the
   * revocation as it now stands; one that lives longer already stays as it is. Throws `ERR_TARGET_INVALID`,
   * `ERR_OPTION_INVALID`, `ERR_SHAPES_EXCEEDED`, `ERR_ACK_NOT_REACHED` and the store's failures.
   */
  async revoke(target: Target, options: RevokeOptions = {}): Promise<Receipt> {
    return this.#writes.put(parseTarget(target), options)
  }

  /** Revokes every token that was issued until now, whoever carries it. */
  async revokeAll(options: RevokeOptions = {}): Promise<Receipt> {
    return this.#writes.put(EVERYTHING, options)
  }

  /**
   * Voids what was revoked for exactly this target; `'everything'` takes back `revokeAll`. True when there was
   * something. A token stays dead when another target covers it too.
   */
  async restore(target: Target | VerifiedToken | 'everything'): Promise<boolean> {
    const named = target instanceof VerifiedToken ? target.target : target
    return this.#writes.restore(named === 'everything' ? EVERYTHING : parseTarget(named))
  }

  /**
   * Is it revoked? Takes a token as a string (verified first, and refused for its age as a gate does, which may throw as
   * in `revokeToken`), the gate's `auth`, or claims, whose age is the caller's business. Answers from the replica while
   * that is fresh, and asks the store otherwise, or always with `consistency: 'strict'`. A failure of the store is
   * `unknown`, never `clear`. Throws `ERR_CLAIM_INVALID` for a claim that cannot be compared in full.
   */
  async check(token: string | VerifiedToken | Claims, options: CheckOptions = {}): Promise<CheckResult> {
    let subject: Subject
    if (typeof token === 'string') {
      try {
        subject = await this.#verified(token)
        // What has outlived every revocation of it is no more alive for that, and no gate accepts it.
        const problem = ageProblem(subject.claims, this.now(), this.settings)
        if (problem !== undefined)
          throw new RescindError(
            problem.code === 'token_expired' ? 'ERR_TOKEN_EXPIRED' : 'ERR_TOKEN_INVALID',
            problem.detail,
          )
      } catch (cause) {
        if (hasCode(cause, 'ERR_KEYS_UNAVAILABLE') || hasCode(cause, 'ERR_VERIFY_UNAVAILABLE'))
          return { status: 'unknown', cause }
        throw cause
      }
    } else {
      subject = subjectOf(token)
    }
    if (options.consistency !== 'strict') {
      const result = this.#checks.now(subject, options.stalenessMaxMs)
      if (result !== undefined) return result
    }
    return this.#checks.strict(subject)
  }

  /**
   * The same from this node's memory alone, at once and without a promise; `undefined` when the replica has not
   * heard from the store for `stalenessMaxMs` (default: the setting). What it knows to be revoked it says however
   * old that is: such an answer can only be too strict, by a restore that has not arrived. `revocation` has no
   * reason and no actor: those are in the store.
   */
  checkNow(token: VerifiedToken | Claims, stalenessMaxMs?: number): CheckResult | undefined {
    return this.#checks.now(subjectOf(token), stalenessMaxMs)
  }

  /** The same from the store itself, within its deadline. */
  checkStore(token: VerifiedToken | Claims): Promise<CheckResult> {
    return this.#checks.strict(subjectOf(token))
  }

  /**
   * Resolves when the replica is fresh and the store knows of this node, so that receipts wait for it; without a replica, when
   * the store has answered. Throws why not, after `timeoutMs`
   * (default 10,000), or at once when the store says something that will not pass.
   */
  ready(options: ReadyOptions = {}): Promise<void> {
    // Connected is what a node without a replica can be, so that its first check need not.
    // Whoever is told that it is ready is one of the nodes from then on, for which receipts wait.
    const attempt = () =>
      this.replica?.catchUp().then(() => this.replica?.whenAnnounced()) ?? this.store.ping()
    return waitUntilReady(attempt, options, this.#surroundings)
  }

  /** The nodes that live, by name: how far each has read the log, and how stale it is. */
  nodes(): Promise<readonly LiveNode[]> {
    return this.store.nodes()
  }

  /**
   * Resolves when the token is revoked or has ended, for connections that outlive a request; with `undefined` when
   * the signal is aborted or the manager closed. Throws `ERR_OPTION_INVALID` without a replica.
   */
  async onRevoked(token: VerifiedToken | Claims, signal?: AbortSignal): Promise<LiveEnd> {
    if (this.#live === undefined || this.replica === undefined) {
      throw new RescindError('ERR_OPTION_INVALID', 'onRevoked needs the replica: do not set replica to false')
    }
    this.replica.start()
    return this.#live.watch(subjectOf(token), signal)
  }

  /** True when revoked, false when clear. Throws the cause when it cannot be told: never `false` for a failure. */
  async isRevoked(token: string | VerifiedToken | Claims, options: CheckOptions = {}): Promise<boolean> {
    const result = await this.check(token, options)
    if (result.status === 'unknown') throw result.cause
    return result.status === 'revoked'
  }

  /**
   * A page of the revocations that stand, newest first or in another order. A page may be short before the last one.
   * Throws `ERR_OPTION_INVALID`, `ERR_TARGET_INVALID`, `ERR_LOG_CHANGED` for a cursor that is too old, and the store's
   * failures.
   */
  async list(query: ListQuery = {}): Promise<Page> {
    const { limit, order } = pageOf(query)
    const { cursor } = query
    const filter = filterOf(query)
    if (order === 'newest') return this.store.list({ now: this.now(), limit, cursor, filter })
    const { replica, store } = this
    if (replica === undefined) {
      throw new RescindError('ERR_OPTION_INVALID', `order ${order} needs the replica: do not set it to false`)
    }
    // Whatever was acknowledged is in the list.
    await this.ready({ timeoutMs: LIST_READY_MS })
    return listInOrder(
      { replica, store, surroundings: this.#surroundings },
      { order, now: this.now(), limit, cursor, filter: isFiltered(query) ? filter : undefined },
    )
  }

  /** What stands under the id of a revocation, the longest first; undefined where nothing does. */
  find(id: Digest): Promise<Standing | undefined> {
    return standingUnder(this.store, id, () => this.now())
  }

  /** What `revoke` with these arguments would do; writes nothing. `'everything'` stands for `revokeAll`. */
  async preview(
    target: Target | VerifiedToken | 'everything',
    options: RevokeOptions = {},
  ): Promise<Preview> {
    const token = target instanceof VerifiedToken ? target : undefined
    const parsed = target === 'everything' ? EVERYTHING : parseTarget(token?.target ?? target)
    const entry = this.#writes.statement(parsed, options, token && expOf(token.claims))
    return previewOf(this.store, parsed, entry, () => this.now())
  }

  /**
   * Every change from this call on, or after a position, in order and without a gap, until the signal or `close`.
   * While the store is away it waits. Throws `ERR_OPTION_INVALID`, and while it runs `ERR_LOG_CHANGED` when the log no
   * longer holds the position.
   */
  watch(options: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    const { signal = this.#closing.signal } = options
    const either = AbortSignal.any([this.#closing.signal, signal])
    return watchChanges(this.store, { ...options, signal: either }, this.#surroundings)
  }

  /** Ends every watch, the replica and the store. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#live?.close()
    await this.replica?.close()
    await this.store.close()
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

function isNodeName(name: unknown): boolean {
  if (typeof name !== 'string' || !name.isWellFormed()) return false
  return name.length >= 1 && name.length <= NODE_NAME_LENGTH_MAX
}

function subjectOf(token: VerifiedToken | Claims): Subject {
  if (token instanceof VerifiedToken) return token
  if (typeof token === 'object' && token !== null) return { claims: token }
  throw new RescindError(
    'ERR_OPTION_INVALID',
    'a check takes a token, the auth that the gate gave, or claims',
  )
}
