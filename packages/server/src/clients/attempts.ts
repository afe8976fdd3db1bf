/**
 * How often somebody asks, within bounded memory: for each name one time, at which all that it has taken is paid for
 * (the generic cell rate algorithm). As many names as the table holds; one that is pushed out begins anew, which lets a
 * little more through and never less.
 */
export interface AttemptsOptions {
  /** How many a name may make at once, and how many more come with each minute. */
  readonly perMinute: number
  /** Names that are remembered. Default 10,000. */
  readonly namesMax?: number | undefined
  /** In milliseconds, monotonic. */
  readonly now?: (() => number) | undefined
}

const NAMES_MAX = 10_000
const MINUTE_MS = 60_000

export class Attempts {
  readonly #perMinute: number
  readonly #namesMax: number
  readonly #now: () => number
  /** By name, when all is paid for. The one that was used longest ago is first. */
  readonly #paidAt = new Map<string, number>()

  constructor({ perMinute, namesMax = NAMES_MAX, now = () => performance.now() }: AttemptsOptions) {
    this.#perMinute = perMinute
    this.#namesMax = namesMax
    this.#now = now
  }

  /** Takes one, where the name has one left. Returns 0, or after how many seconds there is one again. */
  take(name: string, perMinute = this.#perMinute): number {
    const waitSeconds = this.waitSeconds(name, perMinute)
    const paidAt = Math.max(this.#now(), this.#paidAt.get(name) ?? 0)
    // Whoever is refused is remembered as well.
    this.#paidAt.delete(name)
    this.#paidAt.set(name, waitSeconds > 0 ? paidAt : paidAt + MINUTE_MS / perMinute)
    if (this.#paidAt.size > this.#namesMax) {
      const oldest = this.#paidAt.keys().next().value
      if (oldest !== undefined) this.#paidAt.delete(oldest)
    }
    return waitSeconds
  }

  /** The same without taking any. */
  waitSeconds(name: string, perMinute = this.#perMinute): number {
    const aheadMs = (this.#paidAt.get(name) ?? 0) - this.#now()
    const excessMs = aheadMs - (MINUTE_MS - MINUTE_MS / perMinute)
    return excessMs <= 0 ? 0 : Math.ceil(excessMs / 1000)
  }

  get size(): number {
    return this.#paidAt.size
  }
}
