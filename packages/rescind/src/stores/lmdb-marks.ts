/**
 * The marks of families of refresh tokens in the embedded store, each a text `KEPT_UNTIL MARK`. All of it runs inside a
 * transaction of the caller.
 */
import type { Digest } from '../core/digest.js'
import { advance, type Advanced, type Mark, packMark, parseMark } from '../core/mark.js'
import { RescindError } from '../errors.js'
import type { LmdbFile } from './lmdb-file.js'
import { unreadable } from './lmdb-header.js'
import { LmdbSweep } from './lmdb-sweep.js'

/** How many rows one step looks at to remove what has ended; the same for a step that finds no room. */
const SWEEP_ROWS = 4
const FULL_SWEEP_ROWS = 1024

interface Row {
  readonly keptUntil: number
  readonly mark: Mark
}

export class LmdbMarks {
  readonly #file: LmdbFile
  readonly #familiesMax: number
  readonly #sweep: LmdbSweep

  constructor(file: LmdbFile, familiesMax: number) {
    this.#file = file
    this.#familiesMax = familiesMax
    this.#sweep = new LmdbSweep(file.marks, parseRow)
  }

  /** As the contract of stores has it. `hasRoom`: the file may grow. Throws `ERR_STORE_FULL` before it writes. */
  advance(family: Digest, wanted: Mark, end: number, now: number, hasRoom: () => boolean): Advanced {
    const { marks } = this.#file
    const row = this.#row(family)
    const advanced = advance(row?.mark, wanted)
    if (advanced.mark === undefined) return advanced
    this.#sweep.sweep(SWEEP_ROWS, now)
    if (row === undefined) this.#makeRoom(now, hasRoom)
    const keptUntil = Math.max(row?.keptUntil ?? 0, end)
    void marks.put(family, `${keptUntil} ${packMark(advanced.mark)}`)
    return advanced
  }

  #makeRoom(now: number, hasRoom: () => boolean): void {
    if (!this.#isFull(hasRoom)) return
    this.#sweep.sweep(FULL_SWEEP_ROWS, now)
    if (!this.#isFull(hasRoom)) return
    throw new RescindError(
      'ERR_STORE_FULL',
      `the embedded store holds ${this.#count()} families of refresh tokens already, or as many bytes as it may; raise entriesMax or bytesMax (RESCIND_ENTRIES_MAX, RESCIND_BYTES_MAX), or use Redis`,
    )
  }

  #isFull(hasRoom: () => boolean): boolean {
    return this.#count() >= this.#familiesMax || !hasRoom()
  }

  #count(): number {
    return (this.#file.marks.getStats() as { readonly entryCount: number }).entryCount
  }

  #row(family: Digest): Row | undefined {
    const text = this.#file.marks.get(family)
    if (text === undefined) return undefined
    const row = parseRow(text)
    if (row === undefined) throw unreadable(this.#file.path, 'is damaged: a mark does not make sense')
    return row
  }
}

function parseRow(text: string): Row | undefined {
  const [, keptUntil, packed = ''] = /^(\d{1,10}) (.*)$/.exec(text) ?? []
  const mark = parseMark(packed)
  return keptUntil === undefined || mark === undefined ? undefined : { keptUntil: Number(keptUntil), mark }
}
