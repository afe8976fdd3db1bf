/** How long something took of late, for its quantiles: the last thousand times. */

const KEPT_MAX = 1000

export interface DurationSummary {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export class RecentDurations {
  readonly #kept: number[] = []
  #next = 0

  add(ms: number): void {
    this.#kept[this.#next] = ms
    this.#next = (this.#next + 1) % KEPT_MAX
  }

  /** Undefined before the first. */
  get summary(): DurationSummary | undefined {
    const sorted = this.#kept.toSorted((a, b) => a - b)
    const count = sorted.length
    if (count === 0) return undefined
    const at = (share: number) => Math.round(sorted[Math.ceil(share * count) - 1] as number)
    return { count, p50Ms: at(0.5), p99Ms: at(0.99) }
  }
}
