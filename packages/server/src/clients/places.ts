/**
 * Places for work that costs much and that strangers can ask for: so much is done at once, so much may wait, and
 * strangers never take all of it, one of them alone still less.
 */
export interface PlacesOptions {
  /** Done at once. */
  readonly workersMax: number
  /** In work or waiting: of all, of all strangers, and of one of them. */
  readonly max: number
  readonly strangersMax: number
  readonly strangerMax: number
}

export class Places {
  readonly #options: PlacesOptions
  readonly #waiting: (() => void)[] = []
  #working = 0
  #taken = 0
  #takenByStrangers = 0
  readonly #takenBy = new Map<string, number>()

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** `stranger`: the name of one, undefined for who is none. Resolves with undefined where there is no place for it. */
  async run<T>(stranger: string | undefined, work: () => Promise<T>): Promise<T | undefined> {
    if (!this.#hasPlace(stranger)) return undefined
    this.#count(stranger, 1)
    try {
      if (this.#working < this.#options.workersMax) this.#working++
      else await new Promise<void>((resolve) => this.#waiting.push(resolve))
      return await work()
    } finally {
      this.#count(stranger, -1)
      const next = this.#waiting.shift()
      if (next === undefined) this.#working--
      else next()
    }
  }

  #hasPlace(stranger: string | undefined): boolean {
    const { max, strangersMax, strangerMax } = this.#options
    if (this.#taken >= max) return false
    if (stranger === undefined) return true
    return this.#takenByStrangers < strangersMax && (this.#takenBy.get(stranger) ?? 0) < strangerMax
  }

  #count(stranger: string | undefined, by: 1 | -1): void {
    this.#taken += by
    if (stranger === undefined) return
    this.#takenByStrangers += by
    const count = (this.#takenBy.get(stranger) ?? 0) + by
    if (count === 0) this.#takenBy.delete(stranger)
    else this.#takenBy.set(stranger, count)
  }
}
