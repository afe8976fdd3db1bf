/**
 * `TokenManager`: revoke, restore, check, list, watch. The way of the application to a store, and to the replica
 * that answers most checks without it.
 */
import type { Digest } from './core/digest.js'
import {
  ANY_TIME,
  type Entry,
  findDeadly,
  latestEnd,
  type Revocation,
  type State,
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
  type Shape,
  type Subject,
  type Target,
  targetOf,
} from './core/target.js'
import type { Environment } from './config.js'
import { hasCode, RescindError } from './errors.js'
import { expOf, type LiveEnd, LiveTokens } from './live-tokens.js'
import { waitForNodes } from './receipts.js'
import { Replica } from './replica/replica.js'
import { type RevocationSettings, settingsFromEnv, settingsFromOptions } from './settings.js'
import {
  makeStatement,
  namesOneToken,
  type RevocationWarning,
  secondsOf,
  type StatementOptions,
  warnOnce,
} from './statement.js'
import type { Change, Held, LiveNode, Page, Store } from './stores/store.js'
import { MACHINE, type Surroundings } from './surroundings.js'
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
  /** Keep a replica of what is revoked in memory, and answer checks from it. Default true. */
  readonly replica?: boolean | undefined
  /** The name of this node in lists and receipts, 1 to 128 characters. Default: host name and process number. */
  readonly nodeName?: string | undefined
  /** Time and chance, for simulations. Default: the machine's, with `now` as its clock. */
  readonly surroundings?: Surroundings | undefined
}

/**
 * How sure a revocation is when the call returns. `accepted`: the store has it (Redis: the primary). `replicated`:
 * so have its replicas. `everywhere`: every live node has applied it.
 */
export type AckLevel = 'accepted' | 'replicated' | 'everywhere'

export interface RevokeOptions extends StatementOptions {
  /** How sure it must be when the call returns. Default `accepted`. */
  readonly ack?: AckLevel | undefined
  /** For `ack: 'everywhere'`: how long to wait for the nodes, in milliseconds. Default 5,000, 1 to 600,000. */
  readonly timeoutMs?: number | undefined
}

/** A revocation as it now stands, and how sure it is. */
export interface Receipt extends Revocation {
  /** The level reached: the one asked for. */
  readonly ack: AckLevel
  /** For `everywhere`: the nodes that have it, by name. */
  readonly nodes?: readonly string[]
}

export interface CheckOptions {
  /** `replica` (default): from memory while that is fresh, otherwise from the store. `strict`: from the store. */
  readonly consistency?: 'replica' | 'strict' | undefined
  /** How old an answer from memory may be, in milliseconds. Default: the setting of the manager. */
  readonly stalenessMaxMs?: number | undefined
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

const LIST_LIMIT_MAX = 1000
const WATCH_BATCH = 256
/** While the store is away, a watch asks again this often at the least. */
const WATCH_RETRY_MS = 1000

export class TokenManager {
  readonly store: Store
  readonly verifier: Verifier | undefined
  readonly settings: RevocationSettings
  readonly #surroundings: Surroundings
  readonly #warn: (warning: RevocationWarning) => void
  readonly #closing = new AbortController()
  /** This node's copy of what is revoked; undefined with `replica: false`. */
  readonly replica: Replica | undefined
  readonly #live: LiveTokens | undefined

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with the settings. */
  constructor(options: TokenManagerOptions, settings: RevocationSettings = settingsFromOptions(options)) {
    this.store = options.store
    this.verifier = options.verifier
    const tolerance = Math.max(settings.clockToleranceSeconds, options.verifier?.clockToleranceSeconds ?? 0)
    this.settings = { ...settings, clockToleranceSeconds: tolerance }
    const { now, surroundings = MACHINE } = options
    this.#surroundings = now === undefined ? surroundings : { ...surroundings, now }
    this.#warn = options.onWarning ?? warnOnce()
    if (options.replica === false) return
    const { stalenessMaxMs } = this.settings
    this.replica = new Replica(options.store, {
      stalenessMaxMs,
      name: options.nodeName,
      surroundings: this.#surroundings,
    })
    this.#live = new LiveTokens({
      replica: this.replica,
      now: () => this.now(),
      // As the gate sees it: no token is older than `lifetimeMaxSeconds`.
      endOf: (subject) => {
        const iat = own(subject.claims, 'iat')
        const oldest = typeof iat === 'number' ? iat + this.settings.lifetimeMaxSeconds : Infinity
        return Math.min(expOf(subject) ?? Infinity, oldest) + this.settings.clockToleranceSeconds
      },
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
    const exp = own(verified.claims, 'exp')
    const target = parseTarget(verified.target)
    return this.#put(target, { ...options, issuedBefore: null }, typeof exp === 'number' ? exp : undefined)
  }

  /**
   * Revokes every token that carries these claims and was issued until now: `{ sub: 'alice' }`. Returns the
   * revocation as it now stands; one that lives longer already stays as it is. Throws `ERR_TARGET_INVALID`,
   * `ERR_OPTION_INVALID`, `ERR_SHAPES_EXCEEDED`, `ERR_ACK_NOT_REACHED` and the store's failures.
   */
  async revoke(target: Target, options: RevokeOptions = {}): Promise<Receipt> {
    return this.#put(parseTarget(target), options)
  }

  /** Revokes every token that was issued until now, whoever carries it. */
  async revokeAll(options: RevokeOptions = {}): Promise<Receipt> {
    return this.#put(EVERYTHING, options)
  }

  /**
   * Voids what was revoked for exactly this target; `'everything'` takes back `revokeAll`. True when there was
   * something. A token stays dead when another target covers it too.
   */
  async restore(target: Target | VerifiedToken | 'everything'): Promise<boolean> {
    const parsed =
      target === 'everything'
        ? EVERYTHING
        : parseTarget(target instanceof VerifiedToken ? target.target : target)
    const known = this.replica?.stateOf(parsed)
    const { changed, restoredAt } = await this.store.restore(parsed, { now: Math.floor(this.now()), known })
    this.replica?.learnRestore(parsed, restoredAt)
    return changed
  }

  /**
   * Is it revoked? Takes a token as a string (verified first, which may throw as in `revokeToken`), the gate's
   * `auth`, or claims. Answers from the replica while that is fresh, and asks the store otherwise, or always with
   * `consistency: 'strict'`. A failure of the store is `unknown`, never `clear`. Throws `ERR_CLAIM_INVALID` for a
   * claim that cannot be compared in full.
   */
  async check(token: string | VerifiedToken | Claims, options: CheckOptions = {}): Promise<CheckResult> {
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
      subject = subjectOf(token)
    }
    if (options.consistency !== 'strict') {
      const result = this.#checkNow(subject, options.stalenessMaxMs)
      if (result !== undefined) return result
    }
    return this.#checkStore(subject)
  }

  /**
   * The same from this node's memory alone, at once and without a promise; `undefined` when the replica has not
   * heard from the store for `stalenessMaxMs` (default: the setting). What it knows to be revoked it says however
   * old that is: such an answer can only be too strict, by a restore that has not arrived. `revocation` has no
   * reason and no actor: those are in the store.
   */
  checkNow(token: VerifiedToken | Claims, stalenessMaxMs?: number): CheckResult | undefined {
    return this.#checkNow(subjectOf(token), stalenessMaxMs)
  }

  /** The same from the store itself, within its deadline. */
  checkStore(token: VerifiedToken | Claims): Promise<CheckResult> {
    return this.#checkStore(subjectOf(token))
  }

  #checkNow(subject: Subject, stalenessMaxMs = this.settings.stalenessMaxMs): CheckResult | undefined {
    const { replica } = this
    if (replica === undefined) return undefined
    replica.start()
    // A token is asked about again; claims are as good as new each time.
    if (subject instanceof VerifiedToken) replica.remember(subject)
    if (replica.mentions(subject)) {
      const revocation = replica.find(subject, this.now())
      if (revocation !== undefined) return { status: 'revoked', revocation }
    }
    if (replica.stalenessMs > stalenessMaxMs) return undefined
    return replica.isUnnamed(subject) ? { status: 'unknown', cause: unnamed() } : CLEAR
  }

  /**
   * Resolves when the replica is fresh. Throws why it is not, after `timeoutMs` (default 10,000), or at once when
   * the store says something that will not pass.
   */
  async ready(
    options: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const { timeoutMs = 10_000, signal } = options
    const { monotonic, sleep } = this.#surroundings
    const deadline = monotonic() + timeoutMs
    while (this.replica !== undefined) {
      signal?.throwIfAborted()
      try {
        await this.#within(this.replica.catchUp(), deadline - monotonic())
        return
      } catch (error) {
        const isPassing =
          error instanceof RescindError && (PASSING.has(error.code) || error.code === 'ERR_REPLICA_STALE')
        if (!isPassing || monotonic() + READY_RETRY_MS > deadline) throw error
        await sleep(READY_RETRY_MS)
      }
    }
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
    const entry = this.#statement(parsed, options, typeof exp === 'number' ? exp : undefined)
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
      if (waitMs > 0) await this.#surroundings.sleep(waitMs, { signal, isIdle: true }).catch(() => undefined)
    }
  }

  /** Ends every watch, the replica and the store. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#live?.close()
    await this.replica?.close()
    await this.store.close()
  }

  async #checkStore(subject: Subject): Promise<CheckResult> {
    let isNameless = false
    let held: readonly Held[]
    let probed: readonly Shape[] = []
    try {
      held = await this.store.find((shapes) => {
        probed = shapes
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
      if (entry === undefined) continue
      this.#learn(probed, subject, digest, state, entry)
      if (found !== undefined && found.expiresAt >= entry.end) continue
      found = toRevocation(digest, target, entry)
    }
    // What the store told this node once, it may have lost since: whoever was refused here is not let in again,
    // but for restores that the log has not told of yet.
    if (found === undefined && this.replica?.mentions(subject) === true) {
      found = this.replica.findStanding(
        subject,
        now,
        (digest) => held.find((other) => other.digest === digest)?.state.restoredAt ?? 0,
      )
    }
    if (found !== undefined) return { status: 'revoked', revocation: found }
    if (isNameless) {
      return { status: 'unknown', cause: unnamed() }
    }
    return CLEAR
  }

  /** Whoever was refused by the store is refused by this node from now on, though the store lose it at once. */
  #learn(shapes: readonly Shape[], subject: Subject, digest: Digest, state: State, entry: Entry): void {
    const { replica } = this
    const shape = shapes.find((other) => digestsOf(other, subject).includes(digest))
    if (replica === undefined || shape === undefined) return
    replica.learn({ digest, shape }, state, entry)
    replica.start()
  }

  async #put(target: ParsedTarget, options: RevokeOptions, exp?: number): Promise<Receipt> {
    const { ack = 'accepted', timeoutMs = 5000 } = options
    if (!ACK_LEVELS.has(ack)) {
      throw new RescindError('ERR_ACK_UNSUPPORTED', `ack must be one of: ${[...ACK_LEVELS].join(', ')}`)
    }
    if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 600_000) {
      throw new RescindError('ERR_OPTION_INVALID', 'timeoutMs must be a whole number from 1 to 600000')
    }
    const stated = this.#statement(target, options, exp)
    // Were a restore that this node knows lost to the store, the statement would be void before it was made.
    const restoredAt = this.replica?.stateOf(target).restoredAt ?? 0
    const entry = { ...stated, at: Math.max(stated.at, restoredAt + 1) }
    const { state, position, shortfall } = await this.store.put(target, entry, {
      ack: ack === 'replicated' ? 'replicated' : 'accepted',
      now: Math.floor(this.now()),
    })
    // This node refuses the token from now on, before the log tells it to.
    const made = strongest(state, entry)
    this.replica?.learn(target, state, made)
    // Whatever the store loses of it, this node shall notice.
    this.replica?.start()
    if (shortfall !== undefined) throw shortfall
    const revocation = toRevocation(target.digest, targetOf(target), made)
    if (ack !== 'everywhere') return { ...revocation, ack }
    const nodes = await waitForNodes(this.store, position, timeoutMs, this.#surroundings)
    // Nodes that have read so far have it, unless it was lost and another write took its place.
    const [held] = await this.store.find(() => [target.digest])
    if (held === undefined || !stillSays(held.state, made)) {
      throw new RescindError(
        'ERR_ACK_NOT_REACHED',
        'the store has lost the revocation; this node gives it back',
      )
    }
    return { ...revocation, ack, nodes }
  }

  #statement(target: ParsedTarget, options: StatementOptions, exp: number | undefined): Entry {
    return makeStatement(target, options, {
      now: this.now(),
      exp,
      settings: this.settings,
      warn: this.#warn,
    })
  }

  async #within(work: Promise<void>, ms: number): Promise<void> {
    const ended = new AbortController()
    const late = this.#surroundings.sleep(Math.max(0, ms), { signal: ended.signal }).then(() => {
      throw new RescindError('ERR_REPLICA_STALE', 'the log could not be read to its end in time')
    })
    late.catch(() => undefined)
    try {
      await Promise.race([work, late])
    } finally {
      ended.abort()
    }
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

const CLEAR: CheckResult = { status: 'clear' }
const ACK_LEVELS: ReadonlySet<string> = new Set<AckLevel>(['accepted', 'replicated', 'everywhere'])
/** How soon `ready` tries again, in milliseconds. */
const READY_RETRY_MS = 50

function subjectOf(token: VerifiedToken | Claims): Subject {
  if (token instanceof VerifiedToken) return token
  if (typeof token === 'object' && token !== null) return { claims: token }
  throw new RescindError(
    'ERR_OPTION_INVALID',
    'a check takes a token, the auth that the gate gave, or claims',
  )
}

function unnamed(): RescindError {
  return new RescindError(
    'ERR_TOKEN_UNNAMED',
    'these claims have no jti, and tokens without one are revoked by their digest: check the token itself',
  )
}

/** Failures that pass by themselves: a watch waits for their end. */
const PASSING: ReadonlySet<string> = new Set([
  'ERR_STORE_UNAVAILABLE',
  'ERR_STORE_TIMEOUT',
  'ERR_STORE_OVERLOADED',
  'ERR_STORE_REFUSED',
])

/** The statement of a state that says at least what was asked for. */
function strongest(state: State, wanted: Entry): Entry {
  const covering = state.entries.filter(
    ({ end, issuedBefore }) => end >= wanted.end && issuedBefore >= wanted.issuedBefore,
  )
  return covering.find(({ end }) => end === latestEnd({ restoredAt: 0, entries: covering })) ?? wanted
}

/** Does the state say as much, or has somebody restored it since? */
function stillSays({ restoredAt, entries }: State, made: Entry): boolean {
  if (restoredAt >= made.at) return true
  return entries.some(
    ({ at, end, issuedBefore }) => at >= made.at && end >= made.end && issuedBefore >= made.issuedBefore,
  )
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
