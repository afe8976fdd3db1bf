/**
 * Does this node know all that the log ever said? A part of a log can be lost before it was read. Whoever had read it
 * gives it back; whoever starts with the gap is not fresh until then, and reads the log again now and then, to see
 * whether it was given back. Times are milliseconds of a clock that only grows.
 */

/** A node that had all of the log so recently knows what it has lost, but for what its own writers know. */
const WHOLE_PERIODS = 8
/** A gap that nobody can fill is met again and again. */
const GAP_PERIOD_MS = 10_000
/** How often a log that lacked a part is read again from its beginning. */
const TORN_REREAD_MS = 1000
const TORN_REREAD_MAX_MS = 60_000

/** A page before which a part of the log is missing. */
export interface GapMet {
  /** When its round began, and when it was sent. */
  readonly startedAt: number
  readonly sentAt: number
  readonly isRereading: boolean
  /** What was missing before is still being given back. */
  readonly isGivingBack: boolean
  /** Something follows it that was not read yet. */
  readonly isFollowed: boolean
}

export class Gap {
  readonly #wholeMs: number
  readonly #onMet: () => void
  /** It had read all that the log ever said since, and may give it back. */
  #isWhole = false
  /** When the read was sent that last had all of the log, trusted or not. */
  #completeAt = -Infinity
  /** Read from its beginning, the log lacked a part that is still in force. */
  #isTorn = false
  #gapAt = -Infinity
  #tornRereadAt = -Infinity
  #tornRereadMs = TORN_REREAD_MS

  /** `onMet`: told when the log lacks a part. */
  constructor(periodMs: number, onMet: () => void) {
    this.#wholeMs = WHOLE_PERIODS * periodMs
    this.#onMet = onMet
  }

  get isWhole(): boolean {
    return this.#isWhole
  }

  get isTorn(): boolean {
    return this.#isTorn
  }

  /** Who has read the lost part may have given it back: is it time to look? Asked once for each time. */
  isLookDue(now: number): boolean {
    if (!this.#isTorn || now - this.#tornRereadAt < this.#tornRereadMs) return false
    this.#tornRereadMs = Math.min(this.#tornRereadMs * 2, TORN_REREAD_MAX_MS)
    return true
  }

  /** The log is read from its beginning. */
  begin(now: number): void {
    this.#isTorn = false
    this.#tornRereadAt = now
  }

  /** A gap was met. Returns whether all of the log has to be read again, to tell what has to be given back. */
  meet({ startedAt, sentAt, isRereading, isGivingBack, isFollowed }: GapMet): boolean {
    if (!isRereading) this.#forget(startedAt)
    // Who knew all that was lost meets the gap again and again while nothing stands behind it.
    if (this.#isWhole && !isFollowed) return false
    if (!this.#isTorn) this.#onMet()
    // The whole log tells what has to be given back; until that is done, the gap is no news.
    const isNews = !isRereading && !isGivingBack
    if (!isNews) this.#gapAt = sentAt
    else if (this.#isWhole && sentAt - this.#gapAt > GAP_PERIOD_MS) return true
    this.#isTorn = !this.#isWhole
    return false
  }

  /** The log was read to its end, by a read that asked the store then. */
  end(askedAt: number): void {
    if (this.#isTorn) return
    this.#isWhole = true
    this.#completeAt = askedAt
    this.#tornRereadMs = TORN_REREAD_MS
  }

  /** The log does not continue what was read. */
  break(now: number): void {
    this.#forget(now)
  }

  /** Who was away may have missed what was said and lost meanwhile. */
  #forget(now: number): void {
    if (now - this.#completeAt > this.#wholeMs) this.#isWhole = false
  }
}
