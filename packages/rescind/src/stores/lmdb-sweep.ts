/**
 * Goes round the rows of a database, in transactions of the caller, and removes what ended longer ago than the grace: a
 * bounded number of rows at a time, and no timer.
 */
import { PRUNE_GRACE_SECONDS } from '../core/revocation.js'
import type { LmdbFile } from './lmdb-file.js'

export class LmdbSweep {
  readonly #rows: LmdbFile['rows']
  readonly #read: (text: string) => { readonly keptUntil: number } | undefined
  /** The last key that was looked at. */
  #sweptTo: string | undefined

  /** `read` gives `undefined` for what it cannot read: that stays. */
  constructor(rows: LmdbFile['rows'], read: (text: string) => { readonly keptUntil: number } | undefined) {
    this.#rows = rows
    this.#read = read
  }

  /** Looks at so many rows, and tells how many it removed. */
  sweep(rowsMax: number, now: number): number {
    const start = this.#sweptTo === undefined ? {} : { start: this.#sweptTo, exclusiveStart: true }
    const ended: string[] = []
    let seen = 0
    for (const { key, value } of this.#rows.getRange({ ...start, limit: rowsMax })) {
      seen++
      this.#sweptTo = key
      const row = this.#read(value)
      if (row !== undefined && row.keptUntil + PRUNE_GRACE_SECONDS <= now) ended.push(key)
    }
    if (seen < rowsMax) this.#sweptTo = undefined
    for (const key of ended) void this.#rows.remove(key)
    return ended.length
  }
}
