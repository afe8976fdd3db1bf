/**
 * How long a node rests before it reads all of a log once more. At once where that was calm before; when it does not
 * help, or had to be done a moment ago, for four times as long as it took: whoever reads again and again, because a log
 * cannot be read through or goes on changing, takes a fifth of the store's time at the most.
 */
const REST = 4
const REST_MS_MIN = 100
const REST_MS_MAX = 2000
/** So long after all of it was read, the next time is the first again. */
const CALM_MS = 5000

/** Times are milliseconds of a clock that only grows. */
export class Rereads {
  /** When the one under way began. */
  #beganAt: number | undefined
  #endedAt = -Infinity
  /** How long the last one took, to the end or until it failed. */
  #tookMs = 0

  begin(now: number): void {
    this.#beganAt = now
  }

  /** All of the log was read. */
  end(now: number): void {
    this.#tookMs = now - (this.#beganAt ?? now)
    this.#beganAt = undefined
    this.#endedAt = now
  }

  /** All of it has to be read again. Returns for how long to rest before. */
  restMs(now: number): number {
    if (this.#beganAt === undefined) {
      if (now - this.#endedAt > CALM_MS) return 0
    } else this.end(now)
    return Math.min(Math.max(REST_MS_MIN, REST * this.#tookMs), REST_MS_MAX)
  }
}
