/**
 * Tokens that are in use by a connection that lives on (WebSocket, SSE): tells the moment at which one of them
 * is revoked or ends. An index by the first word of each digest makes an arriving revocation cost one look-up,
 * however many connections there are.
 */
import { DIGEST_WORDS } from './core/probe.js'
import { own, type Subject } from './core/target.js'
import type { Replica } from './replica/replica.js'

/** Why a connection has to end; `undefined` when nobody waits for it any more. */
export type LiveEnd = 'revoked' | 'expired' | undefined

export interface LiveTokensOptions {
  readonly replica: Replica
  /** Seconds since 1970. */
  readonly now: () => number
  /** When a token ends, in seconds since 1970. */
  readonly endOf: (subject: Subject) => number
}

interface Watcher {
  readonly subject: Subject
  /** Where it stands in the index. */
  keys: readonly number[]
  end(reason: LiveEnd): void
}

/** The longest delay that a timer takes, in milliseconds. */
const TIMER_MAX_MS = 2 ** 31 - 1

export class LiveTokens {
  readonly #options: LiveTokensOptions
  readonly #watchers = new Set<Watcher>()
  readonly #byWord = new Map<number, Set<Watcher>>()
  readonly #stop: () => void

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

  /** Resolves with why the token is no longer good; with `undefined` when the signal was aborted first. */
  watch(subject: Subject, signal?: AbortSignal): Promise<LiveEnd> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined
      const onAbort = () => watcher.end(undefined)
      const watcher: Watcher = {
        subject,
        keys: [],
        end: (reason) => {
          if (!this.#watchers.delete(watcher)) return
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          this.#unindex(watcher)
          resolve(reason)
        },
      }
      const arm = () => {
        const leftMs = (this.#options.endOf(subject) - this.#options.now()) * 1000
        if (leftMs <= 0) return watcher.end('expired')
        timer = setTimeout(arm, Math.min(Math.ceil(leftMs), TIMER_MAX_MS))
        timer.unref()
      }
      this.#watchers.add(watcher)
      if (signal?.aborted === true) return watcher.end(undefined)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#index(watcher)
      // Whatever arrived before the index knew of it.
      if (this.#isDead(subject)) return watcher.end('revoked')
      arm()
    })
  }

  /** Ends all with `undefined`. */
  close(): void {
    this.#stop()
    for (const watcher of this.#watchers) watcher.end(undefined)
  }

  #look(word: number): void {
    const watchers = this.#byWord.get(word)
    if (watchers === undefined) return
    for (const watcher of [...watchers]) if (this.#isDead(watcher.subject)) watcher.end('revoked')
  }

  #isDead(subject: Subject): boolean {
    try {
      return this.#options.replica.isRevoked(subject, this.#options.now())
    } catch {
      // A claim that cannot be compared: the gate let nobody in with it.
      return true
    }
  }

  /** A shape came into use: every token has other digests than before, and may be dead under one of them. */
  #reindex(): void {
    for (const watcher of [...this.#watchers]) {
      this.#unindex(watcher)
      this.#index(watcher)
      if (this.#isDead(watcher.subject)) watcher.end('revoked')
    }
  }

  #index(watcher: Watcher): void {
    let words: Int32Array
    try {
      words = this.#options.replica.digestsOf(watcher.subject)
    } catch {
      return
    }
    watcher.keys = Array.from(
      { length: words.length / DIGEST_WORDS },
      (_, i) => words[i * DIGEST_WORDS] as number,
    )
    for (const key of watcher.keys) {
      const watchers = this.#byWord.get(key)
      if (watchers === undefined) this.#byWord.set(key, new Set([watcher]))
      else watchers.add(watcher)
    }
  }

  #unindex(watcher: Watcher): void {
    for (const key of watcher.keys) {
      const watchers = this.#byWord.get(key)
      watchers?.delete(watcher)
      if (watchers?.size === 0) this.#byWord.delete(key)
    }
    watcher.keys = []
  }
}

/** `exp` of a subject, or undefined. */
export function expOf(subject: Subject): number | undefined {
  const exp = own(subject.claims, 'exp')
  return typeof exp === 'number' && Number.isFinite(exp) ? exp : undefined
}
