/**
 * Follows the log of a store: reads it from the beginning, goes on polling, and knows at every moment how long
 * ago it last had all of it.
 *
 * The doorbell only makes it poll at once. Staleness counts, on a monotonic clock, from the moment at which the
 * last read that reached the end was sent: whatever was acknowledged before is known here. When the log does not
 * continue what was read (emptied, forked, rolled back), freshness is withdrawn, the whole log is read again and
 * merged into what is known: nothing that was learned is forgotten.
 */
import { RECORD_BYTES } from '../core/record.js'
import type { Shape } from '../core/target.js'
import { hasCode, RescindError } from '../errors.js'
import type { Surroundings } from '../surroundings.js'
import { type Bell, ANNOUNCE_MS, logChanged, type NodeStatus, type Store } from '../stores/store.js'

/** Where the log goes. */
export interface FollowerSink {
  useShapes(shapes: readonly Shape[]): void
  /** So many records may come. */
  reserve(count: number): void
  /** Takes whole records; what is a pause for requests is divided by the follower. */
  apply(records: Buffer, start: number, end: number): void
  /** Marks what this node has written so far. */
  awaited(): number
  /** Was something up to the mark not told of by the log? Asked once for each. */
  isMissing(mark: number): boolean
  /** The log does not continue what was read: all of it comes again. */
  reread(): void
  /** All of it has come. `isWhole`: and this node knows all that earlier ones said. */
  complete(isWhole: boolean): void
  /** What that has shown to be missing is still being given back. */
  isGivingBack(): boolean
  /** After each round that was answered. */
  tidy(elapsedMs: number): void
  /** What the node tells of itself. */
  describe(): Omit<NodeStatus, 'position' | 'stalenessMs'>
  tell(event: ReplicaEvent): void
}

/** What a replica has to say while it works. */
export interface ReplicaEvent {
  /**
   * `fresh`: it follows the log. `stale`: the store does not answer. `reread`: the log did not continue what was
   * read, and is read again. `reseeded`: what the store had lost was given back, so many `entries`; `reseed-failed`:
   * the store does not take it back (this node may lack the right; another may have it). `gap`: a part of the log
   * was lost before it was read: a node that starts with it is not fresh until another has given the part back. `silent`: the node cannot announce itself (it may lack the right), so no receipt
   * waits for it.
   */
  readonly type: 'fresh' | 'stale' | 'reread' | 'reseeded' | 'reseed-failed' | 'gap' | 'silent'
  readonly cause?: RescindError
  /** Of `reseeded`. */
  readonly entries?: number
}

export interface FollowerOptions {
  /** Poll this often, in milliseconds. */
  readonly periodMs: number
  readonly surroundings: Surroundings
}

/** 8,192 records. */
const PAGE_BYTES = 256 * 1024
/** About half a millisecond of work: no request waits longer for the replica. */
const SLICE_BYTES = 2048 * RECORD_BYTES
/**
 * What the doorbell left out in its pause is read after one and a half of it: a ring that comes as soon as it may
 * takes the place of that poll, so that many changes cost one poll a pause and not two.
 */
const SOON_PAUSES = 1.5
/** Until a ring has told of its pause, in milliseconds. */
const BELL_PAUSE_MS = 100
const RETRY_MS = 100
const REREAD_PAUSE_MAX_MS = 2000
/** For each millisecond that it takes to read all of the log, so many without: whoever reads again and again reads a fifth of the time. */
const REREAD_REST = 4
/** A node that had all of the log so recently knows what it has lost, but for what its own writers know. */
const WHOLE_PERIODS = 8
/** A gap that nobody can fill is met again and again. */
const GAP_PERIOD_MS = 10_000
/** How often a log that lacked a part is read again from its beginning. */
const TORN_REREAD_MS = 1000
const TORN_REREAD_MAX_MS = 60_000
/** After so long without one, the next reread is the first again. */
const REREAD_CALM_MS = 5000

function torn(): RescindError {
  return new RescindError(
    'ERR_REPLICA_STALE',
    'the log has lost a part that this node never read; until a node that has read it gives it back, the store is asked',
  )
}

interface Waiter {
  /** A log that lacks a part will not do. */
  readonly isTrusted: boolean
  resolve(): void
  reject(cause: RescindError): void
}

export class Follower {
  readonly #store: Store
  readonly #sink: FollowerSink
  readonly #options: FollowerOptions
  #position: string | undefined
  /** When the last read that reached the end was sent; -Infinity: not trusted. */
  #trustedAt = -Infinity
  #wasFresh = false
  #isRereading = false
  /** It had read all that the log ever said since, and may give it back. */
  #isWhole = false
  /** When the read was sent that last had all of the log, trusted or not. */
  #completeAt = -Infinity
  /** Read from its beginning, the log lacked a part that is still in force. */
  #isTorn = false
  #gapAt = -Infinity
  #tornRereadAt = -Infinity
  #tornRereadMs = TORN_REREAD_MS
  /** How often in a row the whole log had to be read again, and when last. */
  #rereads = 0
  #rereadAt = -Infinity
  /** How long it took to read all of the log the last time, in milliseconds. */
  #rereadMs = 0
  #announcedAt = -Infinity
  #announcing: Promise<void> | undefined
  #isSilent = false
  #tidiedAt: number
  #isReceiptWanted = false
  #bellPauseMs = BELL_PAUSE_MS
  /** Wakes the loop from its pause. */
  #wake: (() => void) | undefined
  #isRung = false
  #waiters: Waiter[] = []
  #running: Promise<void> | undefined
  #stopListening: (() => void) | undefined
  #isClosed = false

  constructor(store: Store, sink: FollowerSink, options: FollowerOptions) {
    this.#store = store
    this.#sink = sink
    this.#options = options
    this.#tidiedAt = options.surroundings.monotonic()
  }

  get #wholeMs(): number {
    return WHOLE_PERIODS * this.#options.periodMs
  }

  get position(): string {
    return this.#position ?? ''
  }

  /** Milliseconds since it last had the whole log; Infinity when it never had, or lost the trust. */
  get stalenessMs(): number {
    return this.#options.surroundings.monotonic() - this.#trustedAt
  }

  get isStarted(): boolean {
    return this.#running !== undefined
  }

  /** Begins to follow. Idempotent. */
  start(): void {
    if (this.#running !== undefined || this.#isClosed) return
    this.#stopListening = this.#store.onBell((bell, pauseMs) => this.#onBell(bell, pauseMs))
    this.#running = this.#run()
  }

  /** Resolves when a read that began after this call has reached the end of the log. Rejects with why not. */
  catchUp(): Promise<void> {
    return this.#nextRead(true)
  }

  /** The same, also where the log that was read lacks a part: for what is given back. */
  readToEnd(): Promise<void> {
    return this.#nextRead(false)
  }

  #nextRead(isTrusted: boolean): Promise<void> {
    if (this.#isClosed) return Promise.reject(new RescindError('ERR_CLOSED', 'the replica was closed'))
    this.start()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject, isTrusted })
      this.#ring()
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopListening?.()
    this.#wake?.()
    for (const waiter of this.#waiters.splice(0))
      waiter.reject(new RescindError('ERR_CLOSED', 'the replica was closed'))
    await this.#running
    await this.#announcing
    if (this.#announcedAt !== -Infinity)
      await this.#store.retire(this.#sink.describe().id).catch(() => undefined)
  }

  #settle(waiter: Waiter, cause: RescindError): void {
    const hasRead = hasCode(cause, 'ERR_REPLICA_STALE')
    if (hasRead && !waiter.isTrusted) waiter.resolve()
    else waiter.reject(cause)
  }

  #onBell(bell: Bell, pauseMs = BELL_PAUSE_MS): void {
    // Whoever may publish could say anything.
    if (bell === 'change') this.#bellPauseMs = pauseMs >= BELL_PAUSE_MS ? pauseMs : BELL_PAUSE_MS
    if (bell === 'receipt') this.#isReceiptWanted = true
    this.#ring()
  }

  #ring(): void {
    this.#isRung = true
    this.#wake?.()
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      this.#isRung = false
      const waiters = this.#waiters.splice(0)
      let pauseMs: number
      try {
        pauseMs = (await this.#round()) ? this.#soonMs() : this.#options.periodMs
        for (const { resolve } of waiters) resolve()
        this.#announce()
      } catch (error) {
        const cause = error as RescindError
        // A log that changed is read again at once: that may answer those who wait.
        if (hasCode(cause, 'ERR_LOG_CHANGED') && this.#position !== undefined)
          this.#waiters.unshift(...waiters)
        else for (const waiter of waiters) this.#settle(waiter, cause)
        pauseMs = this.#fail(cause)
      }
      await this.#pause(pauseMs)
    }
  }

  /** Reads to the end of the log. True when there was something new. */
  async #round(): Promise<boolean> {
    const { surroundings } = this.#options
    const mark = this.#sink.awaited()
    const startedAt = surroundings.monotonic()
    let sentAt = startedAt
    // Who has read the lost part may have given it back.
    if (this.#isTorn && sentAt - this.#tornRereadAt >= this.#tornRereadMs) {
      this.#tornRereadMs = Math.min(this.#tornRereadMs * 2, TORN_REREAD_MAX_MS)
      this.#beginAgain()
    }
    if (this.#position === undefined) {
      this.#isTorn = false
      this.#tornRereadAt = sentAt
    }
    let page = await this.#store.readLog(this.#position, PAGE_BYTES)
    let found = false
    for (;;) {
      // Who was away may have missed what was said and lost meanwhile.
      if (page.hasGap && !this.#isRereading && startedAt - this.#completeAt > this.#wholeMs) {
        this.#isWhole = false
      }
      // Who knew all that was lost meets the gap again and again while nothing stands behind it.
      if (page.hasGap && (!this.#isWhole || page.position !== this.#position)) {
        if (!this.#isTorn) this.#sink.tell({ type: 'gap' })
        // The whole log tells what has to be given back; until that is done, the gap is no news.
        const isNews = !this.#isRereading && !this.#sink.isGivingBack()
        if (!isNews) this.#gapAt = sentAt
        else if (this.#isWhole && sentAt - this.#gapAt > GAP_PERIOD_MS) throw logChanged()
        this.#isTorn = !this.#isWhole
      }
      // The next page is on its way while this one is applied.
      const nextAt = surroundings.monotonic()
      const next = page.isEnd ? undefined : this.#store.readLog(page.position, PAGE_BYTES)
      next?.catch(() => undefined)
      this.#sink.useShapes(page.shapes)
      if (page.recordsMax !== undefined && page.recordsMax > 0) this.#sink.reserve(page.recordsMax)
      await this.#apply(page.records)
      found ||= page.records.length > 0
      this.#position = page.position
      if (next === undefined) break
      if (this.#isClosed) return found
      page = await next
      sentAt = nextAt
    }
    // Acknowledged before this was sent, and not there: read again and compared, it is given back. A log that lacks a
    // part is read again anyhow.
    if (this.#sink.isMissing(mark) && !this.#isRereading && !this.#isTorn) throw logChanged()
    if (!this.#isTorn) {
      this.#isWhole = true
      this.#completeAt = sentAt
      this.#tornRereadMs = TORN_REREAD_MS
    }
    if (this.#isRereading) {
      this.#isRereading = false
      this.#rereadMs = surroundings.monotonic() - startedAt
      this.#sink.complete(this.#isWhole)
    }
    // What it lacks nobody here can know: the records in the store are asked.
    if (this.#isTorn) throw torn()
    this.#trustedAt = sentAt
    if (!this.#wasFresh) {
      this.#wasFresh = true
      this.#sink.tell({ type: 'fresh' })
    }
    const now = surroundings.monotonic()
    this.#sink.tidy(now - this.#tidiedAt)
    this.#tidiedAt = now
    return found
  }

  async #apply(records: Buffer): Promise<void> {
    for (let start = 0; start < records.length; start += SLICE_BYTES) {
      if (start > 0) await this.#options.surroundings.turn()
      this.#sink.apply(records, start, Math.min(start + SLICE_BYTES, records.length))
    }
  }

  /** All of the log is read once more, and what it does not say is given back to it. */
  #beginAgain(): void {
    this.#position = undefined
    this.#isRereading = true
    this.#sink.reread()
  }

  /** What a failed round means. Returns the pause before the next, in milliseconds. */
  #fail(cause: RescindError): number {
    if (hasCode(cause, 'ERR_LOG_CHANGED')) {
      // Who was away may have missed what was said and lost meanwhile.
      if (this.#options.surroundings.monotonic() - this.#completeAt > this.#wholeMs) this.#isWhole = false
      this.#trustedAt = -Infinity
      this.#wasFresh = false
      const now = this.#options.surroundings.monotonic()
      this.#rereads = now - this.#rereadAt > REREAD_CALM_MS ? 0 : this.#rereads + 1
      this.#rereadAt = now
      this.#beginAgain()
      this.#sink.tell({ type: 'reread', cause })
      // At once, and when that does not help, less and less often: all of the log is much to read.
      if (this.#rereads === 0) return 0
      const restMs = Math.max(RETRY_MS, REREAD_REST * this.#rereadMs)
      return Math.min(RETRY_MS * 2 ** this.#rereads, restMs, REREAD_PAUSE_MAX_MS)
    }
    if (this.#wasFresh) {
      this.#wasFresh = false
      this.#sink.tell({ type: 'stale', cause })
    }
    return hasCode(cause, 'ERR_REPLICA_STALE')
      ? this.#options.periodMs
      : Math.min(RETRY_MS, this.#options.periodMs)
  }

  /** When to read again after a poll that found something, in milliseconds. */
  #soonMs(): number {
    const { periodMs } = this.#options
    return this.#bellPauseMs <= periodMs ? SOON_PAUSES * this.#bellPauseMs : periodMs
  }

  /** Tells the store that this node lives, now and then, and at once when a receipt waits for it. */
  #announce(): void {
    const now = this.#options.surroundings.monotonic()
    const isDue = now - this.#announcedAt >= ANNOUNCE_MS
    if (this.#announcing !== undefined || (!isDue && !this.#isReceiptWanted)) return
    this.#isReceiptWanted = false
    this.#announcedAt = now
    const stalenessMs = Math.round(this.stalenessMs)
    this.#announcing = this.#store
      .announce({ ...this.#sink.describe(), position: this.position, stalenessMs })
      .then(
        () => (this.#isSilent = false),
        (cause: RescindError) => {
          if (!this.#isSilent) this.#sink.tell({ type: 'silent', cause })
          this.#isSilent = true
        },
      )
      .then(() => {
        this.#announcing = undefined
        // Somebody asked for a receipt meanwhile.
        if (this.#isReceiptWanted) this.#ring()
      })
  }

  async #pause(ms: number): Promise<void> {
    if (this.#isRung || this.#isClosed) return
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await this.#options.surroundings.sleep(ms, { signal: woken.signal, isIdle: true }).catch(() => undefined)
    this.#wake = undefined
  }
}
