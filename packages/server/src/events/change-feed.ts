/**
 * Every change of the store, for any number of followers: one reader, who makes the text of each change once. Whoever
 * comes back reads on from where they were, from memory or from the store, and joins without a gap and without a
 * change told twice. Where the log does not hold their place, they are told to begin anew (`reset`).
 */
import { hasCode, hasReached, RescindError, type Store } from 'rescind'
import { setTimeout as sleep } from 'node:timers/promises'
import { failureFields, type Logger } from '../log.js'
import { changeText, COMMENT, eventText } from './event-text.js'
import { type Clock, type Moment, msBetween } from './moment.js'
import { PastChanges } from './past-changes.js'
import { isReadAt, type RecentChange, RecentChanges } from './recent-changes.js'
import type { Stream } from './streams.js'

/** Changes of one read. */
const BATCH = 64
/** How often the store is asked when no bell rings; and again after a change, for those that the bell left out. */
const POLL_MS = 500
const SOON_MS = 150
const RETRY_MS = 250
/** So much at once for who catches up: more might not fit into what may wait for a client. */
const PIECE_BYTES_MAX = 256 * 1024

/** So long it reads on for who comes back, after the last has left. */
const REST_AFTER_MS = 60_000

export interface ChangeFeedOptions {
  readonly store: Store
  /** Told of failures that are not the store's. */
  readonly log: Logger
  readonly clock: Clock
  readonly stopping: AbortSignal
}

interface Follower {
  readonly stream: Stream
  /** Ahead of the feed: what it has read already. */
  readTo: string | undefined
}

export class ChangeFeed {
  readonly #options: ChangeFeedOptions
  /** All that follow, and those of them who have been told all up to now. */
  readonly #streams = new Set<Stream>()
  readonly #followers = new Map<Stream, Follower>()
  readonly #past: PastChanges
  #recent: RecentChanges | undefined
  /** When the store was asked for what is known. */
  #askedAt: Moment | undefined
  #isRunning = false
  #leftAt = 0
  #wake: (() => void) | undefined
  #isRung = false
  /** Those who wait for the next read that reaches the end. */
  #waiters: (() => void)[] = []

  constructor(options: ChangeFeedOptions) {
    this.#options = options
    this.#past = new PastChanges(options.store)
    options.stopping.addEventListener('abort', () => this.#ring(), { once: true })
  }

  /** Since when the service has heard nothing of the store, in milliseconds; null before it has heard anything. */
  get stalenessMs(): number | null {
    return this.#askedAt === undefined ? null : Math.round(msBetween(this.#askedAt, this.#options.clock()))
  }

  /** Tells the stream every change after a position, without one from now on, until it ends. */
  async follow(stream: Stream, after: string | undefined): Promise<void> {
    this.#streams.add(stream)
    if (!this.#isRunning) void this.#run()
    let at = after
    while (!stream.isEnded) {
      if (at === undefined || this.#recent === undefined) await this.#nextRead()
      at ??= this.#recent?.end
      try {
        if (at === undefined || this.#recent === undefined) await sleep(RETRY_MS)
        else if ((at = await this.#tellMore(stream, at)) === undefined) return
      } catch (error) {
        if (!(error instanceof RescindError)) throw error
        if (hasCode(error, 'ERR_LOG_CHANGED')) at = await this.#reset(stream)
        else await sleep(RETRY_MS)
      }
      await stream.drained()
    }
  }

  leave(stream: Stream): void {
    this.#streams.delete(stream)
    this.#followers.delete(stream)
    this.#leftAt = performance.now()
  }

  /** A sign of life that says how fresh the service is, and from where to go on. */
  heartbeat(stream: Stream): Uint8Array {
    const follower = this.#followers.get(stream)
    if (follower === undefined || follower.readTo !== undefined || this.#recent === undefined) return COMMENT
    const data = { stalenessMs: this.stalenessMs }
    return Buffer.from(eventText({ event: 'heartbeat', id: this.#recent.end, data }))
  }

  /**
   * A piece of what a stream has not been told that was told all up to `at`. Returns up to where it is told now; undefined
   * when it has joined. What fails has told nothing.
   */
  async #tellMore(stream: Stream, at: string): Promise<string | undefined> {
    const missed = this.#recent?.after(at)
    if (missed !== undefined) {
      const piece = within(missed, PIECE_BYTES_MAX)
      if (piece.length === missed.length) return this.#join(stream, missed)
      stream.write(bytesOf(piece))
      return piece.at(-1)?.position ?? at
    }
    const { bytes, position, isEnd } = await this.#past.after(at)
    stream.write(bytes)
    const others = this.#recent?.notReadAt(position)
    if (others !== undefined && within(others, PIECE_BYTES_MAX).length === others.length)
      return this.#join(stream, others, position)
    // At the end of the log, and ahead of the feed, or behind it.
    if (isEnd) await this.#nextRead()
    return position
  }

  #join(stream: Stream, missed: readonly RecentChange[], readTo?: string): undefined {
    if (stream.isEnded) return
    stream.write(bytesOf(missed))
    this.#followers.set(stream, { stream, readTo: this.#isAt(readTo) ? undefined : readTo })
    stream.write(this.heartbeat(stream))
  }

  #isAt(readTo: string | undefined): boolean {
    return readTo === undefined || (this.#recent !== undefined && hasReached(this.#recent.end, readTo))
  }

  async #reset(stream: Stream): Promise<string | undefined> {
    try {
      const position = await this.#options.store.position()
      stream.write(resetText(position))
      return position
    } catch (error) {
      if (!(error instanceof RescindError)) throw error
      await sleep(RETRY_MS)
      return ''
    }
  }

  /** While somebody follows, and a little longer. */
  async #run(): Promise<void> {
    const { store, stopping } = this.#options
    this.#isRunning = true
    const stopListening = store.onBell((bell) => bell === 'change' && this.#ring())
    while (!stopping.aborted && this.#isWanted) {
      this.#isRung = false
      const waiters = this.#waiters.splice(0)
      const pauseMs = await this.#round().catch((error: unknown) => this.#failed(error))
      for (const waiter of waiters) waiter()
      await this.#pause(pauseMs)
    }
    for (const waiter of this.#waiters.splice(0)) waiter()
    stopListening()
    // Whoever comes next is told of what was missed from the store, and not by reading all of it here.
    this.#recent = undefined
    this.#askedAt = undefined
    this.#isRunning = false
  }

  get #isWanted(): boolean {
    return this.#streams.size > 0 || performance.now() - this.#leftAt < REST_AFTER_MS
  }

  /** The store is away: it is asked again. What is no failure of the store is a mistake of ours, and written down. */
  #failed(error: unknown): number {
    if (!(error instanceof RescindError))
      this.#options.log.error(failureFields(error), 'changes could not be read')
    return RETRY_MS
  }

  /** Reads on, and tells the followers. Returns the pause before the next, in milliseconds. */
  async #round(): Promise<number> {
    const { store, clock } = this.#options
    const askedAt = clock()
    if (this.#recent === undefined) this.#recent = new RecentChanges(await store.position())
    const recent = this.#recent
    try {
      const { changes, position } = await store.changes(recent.end, BATCH)
      const told = changes.map((change) => recent.add(change.position, Buffer.from(changeText(change))))
      recent.moveTo(position)
      if (told.length > 0) this.#tell(told)
      if (changes.length === BATCH) return 0
      this.#askedAt = askedAt
      return changes.length > 0 ? SOON_MS : POLL_MS
    } catch (error) {
      if (!hasCode(error, 'ERR_LOG_CHANGED')) throw error
      const position = await store.position()
      this.#recent = new RecentChanges(position)
      for (const follower of this.#followers.values()) {
        follower.readTo = undefined
        follower.stream.write(resetText(position))
      }
      return 0
    }
  }

  #tell(told: readonly RecentChange[]): void {
    const bytes = bytesOf(told)
    for (const follower of [...this.#followers.values()]) {
      const { stream, readTo } = follower
      if (readTo === undefined) stream.write(bytes)
      else {
        for (const change of told) if (!isReadAt(readTo, change)) stream.write(change.bytes)
        if (this.#isAt(readTo)) follower.readTo = undefined
      }
    }
  }

  /** Resolves after a read that began after this call, whether it was answered or not. */
  #nextRead(): Promise<void> {
    if (this.#options.stopping.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      this.#ring()
    })
  }

  #ring(): void {
    this.#isRung = true
    this.#wake?.()
  }

  async #pause(ms: number): Promise<void> {
    if (this.#isRung || this.#options.stopping.aborted) return
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(ms, undefined, { signal: woken.signal, ref: false }).catch(() => undefined)
    this.#wake = undefined
  }
}

/** The first of them, one at least, that take so much. */
function within(changes: readonly RecentChange[], bytesMax: number): readonly RecentChange[] {
  let bytes = 0
  const end = changes.findIndex((change) => (bytes += change.bytes.length) > bytesMax)
  return end === -1 ? changes : changes.slice(0, Math.max(1, end))
}

function bytesOf(changes: readonly RecentChange[]): Buffer {
  return Buffer.concat(changes.map(({ bytes }) => bytes))
}

/** The log does not hold the place: what stands is to be listed anew, and from here on every change is told. */
function resetText(position: string): Buffer {
  return Buffer.from(eventText({ event: 'reset', id: position, data: { reason: 'log_changed' } }))
}
