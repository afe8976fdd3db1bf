/** What happened, line by line, and a hash over all of it. */
import { HASH_START, hashText } from './chance.js'
import type { Scheduler } from './scheduler.js'

export class Trace {
  readonly lines: string[] = []
  readonly #scheduler: Scheduler
  readonly #linesMax: number
  readonly #startMs: number
  #hash = HASH_START

  /** Keeps the last `linesMax` lines; with `Infinity` all of them, those of reads too. */
  constructor(scheduler: Scheduler, linesMax: number) {
    this.#scheduler = scheduler
    this.#linesMax = linesMax
    this.#startMs = scheduler.nowMs
  }

  /** Of all lines, the forgotten ones too. */
  get hash(): number {
    return this.#hash
  }

  /** `isNews`: it is worth a line among the last ones. */
  note(what: string, isNews: boolean): void {
    const line = `${((this.#scheduler.nowMs - this.#startMs) / 1000).toFixed(4)} ${what}`
    this.#hash = hashText(this.#hash, line)
    if (!isNews && this.#linesMax !== Infinity) return
    this.lines.push(line)
    if (this.lines.length > this.#linesMax) this.lines.shift()
  }
}
