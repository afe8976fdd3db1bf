/**
 * Moments, by both clocks: a machine that was suspended finds that its monotonic clock has stood still, and one whose
 * clock was set finds the other one wrong. The longer of the two is believed, for what is measured is how old something is.
 */

export interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

export type Clock = () => Moment

/** `now`: milliseconds since 1970. */
export function clockOf(now: () => number): Clock {
  return () => ({ monotonicMs: performance.now(), wallMs: now() })
}

/** Never less than 0. */
export function msBetween(earlier: Moment, later: Moment): number {
  return Math.max(0, later.monotonicMs - earlier.monotonicMs, later.wallMs - earlier.wallMs)
}
