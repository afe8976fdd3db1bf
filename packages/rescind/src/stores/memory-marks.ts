/** The marks of families of refresh tokens in memory: bounded, and without a timer. */
import type { Digest } from '../core/digest.js'
import { advance, type Advanced, type Mark } from '../core/mark.js'
import { RescindError } from '../errors.js'
import { MemorySweep } from './memory-sweep.js'

interface Row {
  mark: Mark
  keptUntil: number
}

/** How many rows one step looks at to remove what has ended. */
const SWEEP_STEPS = 4
/** The same, for a step that finds no room. */
const FULL_SWEEP_STEPS = 1024

export class MemoryMarks {
  readonly #familiesMax: number
  readonly #rows = new Map<Digest, Row>()
  readonly #sweep = new MemorySweep(this.#rows)

  constructor(familiesMax: number) {
    this.#familiesMax = familiesMax
  }

  /** As the contract of stores has it. Throws `ERR_STORE_FULL`. */
  advance(family: Digest, wanted: Mark, end: number, now: number): Advanced {
    const row = this.#rows.get(family)
    const advanced = advance(row?.mark, wanted)
    if (advanced.mark === undefined) return advanced
    if (row === undefined) this.#makeRoom(now)
    this.#rows.set(family, { mark: advanced.mark, keptUntil: Math.max(row?.keptUntil ?? 0, end) })
    for (let i = 0; i < SWEEP_STEPS; i++) this.#sweep.step(now)
    return advanced
  }

  #makeRoom(now: number): void {
    for (let i = 0; i < FULL_SWEEP_STEPS && this.#rows.size >= this.#familiesMax; i++) this.#sweep.step(now)
    if (this.#rows.size < this.#familiesMax) return
    throw new RescindError(
      'ERR_STORE_FULL',
      `the memory store holds ${this.#familiesMax} families already; raise entriesMax (RESCIND_ENTRIES_MAX) or use Redis`,
    )
  }
}
