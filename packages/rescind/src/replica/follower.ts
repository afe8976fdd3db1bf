/**
 * Follows the log of a store: reads it from the beginning, goes on polling, and knows at every moment how long
 * ago it last had all of it.
 *
 * The doorbell only makes it poll at once. Staleness counts, on a monotonic clock, from the moment at which the
 * last read that reached the end was sent, and where a memory between answered, from so much earlier as that had
 * asked the store: whatever was acknowledged before is known here. When the log does not continue what was read
 * (emptied, forked, rolled back), freshness is withdrawn, the whole log is read again and merged into what is known:
 * nothing that was learned is forgotten.
 */
import { RECORD_BYTES } from '../core/record.js'
import type { Shape } from '../core/target.js'
import { hasCode, RescindError } from '../errors.js'
import type { Surroundings } from '../surroundings.js'
import { type Bell, logChanged, type NodeStatus, type Store } from '../stores/store.js'
import { Announcer } from './announcer.js'
import type { ReplicaEvent } from './event.js'
import { Gap } from './gap.js'
import { Rereads } from './rereads.js'

/** Where the log goes. */
export interface FollowerSink {
  useShapes(shapes: readonly Shape[]): void
  /** So many records may come. */
  reserve(count: number): void
  /** Takes whole records; what is a pause for requests is divided by the follower. */
  apply(records: Buffer, start: number, end: number): void
  /** After each round that was answered. */
  tidy(elapsedMs: number): void
  /** What the node tells of itself. */
  describe(): Omit<NodeStatus, 'position' | 'stalenessMs'>
  tell(event: ReplicaEvent): void
}

/** What the store may have lost, and who gives it back. */
export interface FollowerLosses {
  /** Marks what this node has written so far. */
  mark(): number
  /** Is there anything that this node has written, and the log has yet to tell of? */
  isAwaiting(): boolean
  /** Was something up to the mark not told of by the log? Asked once for each. */
  isMissing(mark: number): boolean
  /** The log does not continue what was read: all of it comes again. */
  expectAll(): void
  /** All of it has come. `isWhole`: and this node knows all that earlier ones said. */
  giveBack(isWhole: boolean): void
  /** What that has shown to be missing is still being given back. */
  isGivingBack(): boolean
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
function torn(): RescindError {
  return new RescindError(
    'ERR_REPLICA_STALE',
    'the log has lost a part that this node never read; until a node that has read it gives it back, the store is asked',
  )
}

function closed(): RescindError {
  return new RescindError('ERR_CLOSED', 'the replica was closed')
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
  readonly #losses: FollowerLosses
  readonly #options: FollowerOptions
  #position: string | undefined
  /** When the store was asked for what the last read that reached the end has told; -Infinity: not trusted. */
  #trustedAt = -Infinity
  #wasFresh = false
  #isRereading = false
  readonly #rereads = new Rereads()
  readonly #gap: Gap
  readonly #announcer: Announcer
  #tidiedAt: number
  #bellPauseMs = BELL_PAUSE_MS
  /** Wakes the loop from its pause. */
  #wake: (() => void) | undefined
  #isRung = false
  #waiters: Waiter[] = []
  #running: Promise<void> | undefined
  #stopListening: (() => void) | undefined
  #isClosed = false

  constructor(store: Store, sink: FollowerSink, losses: FollowerLosses, options: FollowerOptions) {
    this.#store = store
    this.#sink = sink
    this.#losses = losses
    this.#options = options
    this.#tidiedAt = options.surroundings.monotonic()
    this.#gap = new Gap(options.periodMs, () => sink.tell({ type: 'gap' }))
    this.#announcer = new Announcer({
      store,
      surroundings: options.surroundings,
      describe: () => ({
        ...sink.describe(),
        position: this.position,
        stalenessMs: Math.round(this.stalenessMs),
      }),
      tell: (event) => sink.tell(event),
      onLate: () => this.#ring(),
    })
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

  /** Resolves when the store has been told that this node lives, or will not be. */
  whenAnnounced(): Promise<void> {
    return this.#announcer.first
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
    if (this.#isClosed) return Promise.reject(closed())
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
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed())
    await this.#running
    await this.#announcer.retire()
  }

  #settle(waiter: Waiter, cause: RescindError): void {
    const hasRead = hasCode(cause, 'ERR_REPLICA_STALE')
    if (hasRead && !waiter.isTrusted) waiter.resolve()
    else waiter.reject(cause)
  }

  #onBell(bell: Bell, pauseMs = BELL_PAUSE_MS): void {
    // Whoever may publish could say anything.
    if (bell === 'change') this.#bellPauseMs = pauseMs >= BELL_PAUSE_MS ? pauseMs : BELL_PAUSE_MS
    if (bell === 'receipt') this.#announcer.wantReceipt()
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
      let isRest = false
      try {
        pauseMs = (await this.#round(waiters.length > 0)) ? this.#soonMs() : this.#options.periodMs
        for (const { resolve } of waiters) resolve()
        this.#announcer.announce()
      } catch (error) {
        const cause = this.#isClosed ? closed() : (error as RescindError)
        // A log that changed is read again at once: that may answer those who wait.
        if (hasCode(cause, 'ERR_LOG_CHANGED') && this.#position !== undefined)
          this.#waiters.unshift(...waiters)
        else for (const waiter of waiters) this.#settle(waiter, cause)
        if (this.#isClosed) break
        pauseMs = this.#fail(cause)
        isRest = hasCode(cause, 'ERR_LOG_CHANGED')
      }
      await this.#pause(pauseMs, isRest)
    }
  }

  /** Reads to the end of the log. True when there was something new. `isWaitedFor`: no older answer will do. */
  async #round(isWaitedFor: boolean): Promise<boolean> {
    const { surroundings, periodMs } = this.#options
    const mark = this.#losses.mark()
    const startedAt = surroundings.monotonic()
    let sentAt = startedAt
    if (this.#gap.isLookDue(sentAt)) this.#beginAgain()
    if (this.#position === undefined) {
      this.#gap.begin(sentAt)
      if (this.#isRereading) this.#rereads.begin(sentAt)
    }
    const isNow = isWaitedFor || this.#isRereading || this.#losses.isAwaiting()
    const options = { maxAgeMs: isNow ? 0 : periodMs, reader: this }
    let page = await this.#store.readLog(this.#position, PAGE_BYTES, options)
    let found = false
    for (;;) {
      if (page.hasGap) {
        const isRereading = this.#isRereading
        const isFollowed = page.position !== this.#position
        const isGivingBack = this.#losses.isGivingBack()
        if (this.#gap.meet({ startedAt, sentAt, isRereading, isGivingBack, isFollowed })) throw logChanged()
      }
      // The next page is on its way while this one is applied.
      const nextAt = surroundings.monotonic()
      const next = page.isEnd ? undefined : this.#store.readLog(page.position, PAGE_BYTES, options)
      next?.catch(() => undefined)
      this.#sink.useShapes(page.shapes)
      if (page.recordsMax !== undefined && page.recordsMax > 0) this.#sink.reserve(page.recordsMax)
      await this.#apply(page.records)
      found ||= page.records.length > 0
      this.#position = page.position
      if (next === undefined) break
      if (this.#isClosed) throw closed()
      page = await next
      sentAt = nextAt
    }
    // A memory between may have asked the store before: from then on, and not from now, is it known.
    const askedAt = sentAt - (page.ageMs ?? 0)
    // Acknowledged before this was sent, and not there: read again and compared, it is given back. A log that lacks a
    // part is read again anyhow.
    if (this.#losses.isMissing(mark) && !this.#isRereading && !this.#gap.isTorn) throw logChanged()
    this.#gap.end(askedAt)
    if (this.#isRereading) {
      this.#isRereading = false
      this.#rereads.end(surroundings.monotonic())
      this.#losses.giveBack(this.#gap.isWhole)
    }
    // What it lacks nobody here can know: the records in the store are asked.
    if (this.#gap.isTorn) throw torn()
    // Of two answers the later may be the older one; what the other has shown stays true.
    this.#trustedAt = Math.max(this.#trustedAt, askedAt)
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
    this.#losses.expectAll()
  }

  /** What a failed round means. Returns the pause before the next, in milliseconds. */
  #fail(cause: RescindError): number {
    if (hasCode(cause, 'ERR_LOG_CHANGED')) {
      const now = this.#options.surroundings.monotonic()
      this.#gap.break(now)
      this.#trustedAt = -Infinity
      this.#wasFresh = false
      this.#beginAgain()
      this.#sink.tell({ type: 'reread', cause })
      return this.#rereads.restMs(now)
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

  /** `isRest`: whoever rings, it does not end before its time. */
  async #pause(ms: number, isRest: boolean): Promise<void> {
    if (ms <= 0 || this.#isClosed || (this.#isRung && !isRest)) return
    const woken = new AbortController()
    this.#wake = () => {
      if (!isRest || this.#isClosed) woken.abort()
    }
    await this.#options.surroundings.sleep(ms, { signal: woken.signal, isIdle: true }).catch(() => undefined)
    this.#wake = undefined
  }
}
