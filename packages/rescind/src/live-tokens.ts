/**
 * Tokens that are in use by a connection that lives on (WebSocket, SSE): tells the moment at which one of them
 * is revoked or ends. An index by the first word of each digest makes an arriving revocation cost one look-up,
 * however many connections there are; one timer serves them all.
 */
import { DIGEST_WORDS } from './core/probe.js'
import type { Subject } from './core/target.js'
import type { Replica } from './replica/replica.js'

/** Why a connection has to end; `undefined` when nobody waits for it any more. */
export type LiveEnd = 'revoked' | 'expired' | undefined

export interface LiveTokensOptions {
  readonly replica: Replica
  /** Seconds since 1970. */
  readonly now: () => number
  /** When a token ends, in seconds since 1970; Infinity: never. */
  readonly endOf: (subject: Subject) => number
}

interface Watcher {
  readonly subject: Subject
  readonly signal: AbortSignal | undefined
  /** Rounded up to a second, so that those that end together are found together. */
  readonly endsAt: number
  /** Where it stands in `#byWord`. */
  words: readonly number[]
  resolve(reason: LiveEnd): void
}

/** The clock is looked at this often at the least: it may be set, and a machine may sleep. */
const LOOK_MS = 60_000

export class LiveTokens {
  readonly #options: LiveTokensOptions
  readonly #watchers = new Set<Watcher>()
  readonly #byWord = new Map<number, Set<Watcher>>()
  readonly #byEnd = new Map<number, Set<Watcher>>()
  /** A signal that many share gets one listener. */
  readonly #bySignal = new Map<AbortSignal, Set<Watcher>>()
  readonly #stop: () => void
  #timer: NodeJS.Timeout | undefined
  /** What the timer waits for; Infinity: nothing. */
  #nextEnd = Infinity
  #isClosed = false

  constructor(options: LiveTokensOptions) {
    this.#options = options
    this.#stop = options.replica.onRevoked(
      (words, offset) => this.#look(words[offset] as number),
      () => this.#reindex(),
    )
  }

  /** How many are watched. */
  get size(): number {
    return this.#watchers.size
  }

  /**
   * Resolves with why the token is no longer good; with `undefined` when the signal is aborted, or all is closed.
   */
  watch(subject: Subject, signal?: AbortSignal): Promise<LiveEnd> {
    if (this.#isClosed || signal?.aborted === true) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const endsAt = Math.ceil(this.#options.endOf(subject))
      const watcher: Watcher = { subject, signal, endsAt, words: [], resolve }
      this.#add(watcher)
      // Whatever arrived before the index knew of it.
      if (this.#isDead(subject)) this.#end(watcher, 'revoked')
      else if (endsAt <= this.#options.now()) this.#end(watcher, 'expired')
    })
  }

  /** Ends all with `undefined`, and every later watch as well. */
  close(): void {
    this.#isClosed = true
    this.#stop()
    for (const watcher of this.#watchers) this.#end(watcher, undefined)
  }

  #add(watcher: Watcher): void {
    const { signal, endsAt } = watcher
    this.#watchers.add(watcher)
    this.#index(watcher)
    if (signal !== undefined && put(this.#bySignal, signal, watcher))
      signal.addEventListener('abort', this.#onAbort)
    if (endsAt === Infinity) return
    put(this.#byEnd, endsAt, watcher)
    if (endsAt < this.#nextEnd) this.#waitFor(endsAt)
  }

  #end(watcher: Watcher, reason: LiveEnd): void {
    const { signal, endsAt } = watcher
    if (!this.#watchers.delete(watcher)) return
    this.#unindex(watcher)
    if (signal !== undefined && drop(this.#bySignal, signal, watcher))
      signal.removeEventListener('abort', this.#onAbort)
    if (drop(this.#byEnd, endsAt, watcher) && this.#byEnd.size === 0) this.#waitFor(Infinity)
    watcher.resolve(reason)
  }

  readonly #onAbort = ({ target }: Event): void => {
    for (const watcher of this.#bySignal.get(target as AbortSignal) ?? []) this.#end(watcher, undefined)
  }

  #look(word: number): void {
    for (const watcher of this.#byWord.get(word) ?? [])
      if (this.#isDead(watcher.subject)) this.#end(watcher, 'revoked')
  }

  #isDead(subject: Subject): boolean {
    const { replica, now } = this.#options
    try {
      // Claims without a name may be of a token that was revoked by its digest: nobody can tell.
      return replica.isRevoked(subject, now()) || replica.isUnnamed(subject)
    } catch {
      // A claim that cannot be compared: the gate let nobody in with it.
      return true
    }
  }

  /** A shape came into use: every token has other digests than before, and may be dead under one of them. */
  #reindex(): void {
    for (const watcher of this.#watchers) {
      this.#unindex(watcher)
      this.#index(watcher)
      if (this.#isDead(watcher.subject)) this.#end(watcher, 'revoked')
    }
  }

  #index(watcher: Watcher): void {
    let digests: Int32Array
    try {
      digests = this.#options.replica.digestsOf(watcher.subject)
    } catch {
      return
    }
    watcher.words = Array.from(digests.filter((_, i) => i % DIGEST_WORDS === 0))
    for (const word of watcher.words) put(this.#byWord, word, watcher)
  }

  #unindex(watcher: Watcher): void {
    for (const word of watcher.words) drop(this.#byWord, word, watcher)
    watcher.words = []
  }

  #waitFor(end: number): void {
    clearTimeout(this.#timer)
    this.#nextEnd = end
    if (end === Infinity) return
    const leftMs = Math.max(1, Math.ceil((end - this.#options.now()) * 1000))
    this.#timer = setTimeout(() => this.#expire(), Math.min(leftMs, LOOK_MS))
    this.#timer.unref()
  }

  #expire(): void {
    const now = this.#options.now()
    let next = Infinity
    for (const [end, watchers] of this.#byEnd) {
      if (end > now) next = Math.min(next, end)
      else for (const watcher of watchers) this.#end(watcher, 'expired')
    }
    this.#waitFor(next)
  }
}

/** True when it is the first under its key. */
function put<K>(index: Map<K, Set<Watcher>>, key: K, watcher: Watcher): boolean {
  const watchers = index.get(key)
  if (watchers === undefined) index.set(key, new Set([watcher]))
  else watchers.add(watcher)
  return watchers === undefined
}

/** True when it was the last under its key. */
function drop<K>(index: Map<K, Set<Watcher>>, key: K, watcher: Watcher): boolean {
  const watchers = index.get(key)
  if (watchers?.delete(watcher) !== true || watchers.size > 0) return false
  return index.delete(key)
}
