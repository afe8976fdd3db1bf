/** Records in memory, for tests and for a service that keeps nothing. */
import { RescindError } from 'rescind'
import {
  assertEntry,
  assertPage,
  assertWritable,
  type LastingKind,
  type RecordKind,
  type Records,
  RECORDS_MAX,
  recordsFull,
  type TrailEntry,
  type TrailOptions,
  type TrailPage,
  type WriteOptions,
} from './records.js'

interface KeptEntry extends TrailEntry {
  readonly about: string | undefined
}

interface Kept {
  readonly text: string
  /** In milliseconds since 1970; `Infinity` without a life. */
  readonly until: number
}

const CURSOR = /^\d{16}$/
const SWEEP_AT = 1024

export class MemoryRecords implements Records {
  readonly #kept: Readonly<Record<RecordKind, Map<string, Kept>>> = {
    client: new Map(),
    once: new Map(),
  }
  readonly #trail: KeptEntry[] = []
  readonly #trailMax: number
  readonly #now: () => number
  #appended = 0
  #sweepAt = SWEEP_AT
  #isClosed = false

  /** `now`: the clock in milliseconds. */
  constructor(options: { trailMax: number; now?: (() => number) | undefined }) {
    this.#trailMax = options.trailMax
    this.#now = options.now ?? Date.now
  }

  async read(kind: RecordKind, id: string): Promise<string | undefined> {
    return this.#find(kind, id)?.text
  }

  async write(kind: RecordKind, id: string, text: string, options: WriteOptions = {}): Promise<boolean> {
    assertWritable(kind, id, text, options)
    const { isNew = false, replaces, lifeSeconds } = options
    const found = this.#find(kind, id)
    if (isNew && found !== undefined) return false
    if (replaces !== undefined && found?.text !== replaces) return false
    const kept = this.#kept[kind]
    if (kind !== 'once' && found === undefined && kept.size >= RECORDS_MAX) throw recordsFull()
    const until = lifeSeconds === undefined ? Infinity : this.#now() + lifeSeconds * 1000
    kept.set(id, { text, until })
    if (this.#kept.once.size > this.#sweepAt) this.#sweep()
    return true
  }

  async remove(kind: RecordKind, id: string): Promise<boolean> {
    const had = this.#find(kind, id) !== undefined
    this.#kept[kind].delete(id)
    return had
  }

  async all(kind: LastingKind): Promise<ReadonlyMap<string, string>> {
    this.#assertOpen()
    const found = [...this.#kept[kind]].map(([id, { text }]) => [id, text] as const)
    return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  async append(text: string, about?: string): Promise<string> {
    this.#assertOpen()
    assertEntry(text, about)
    const id = String(++this.#appended).padStart(16, '0')
    this.#trail.push({ id, text, about })
    if (this.#trail.length > this.#trailMax) this.#trail.shift()
    return id
  }

  async trail(options: TrailOptions): Promise<TrailPage> {
    this.#assertOpen()
    assertPage(options, CURSOR)
    const { before, limit, about } = options
    const older = this.#trail.filter(
      (entry) =>
        (before === undefined || entry.id < before) && (about === undefined || entry.about === about),
    )
    const entries = older
      .slice(-limit)
      .reverse()
      .map(({ id, text }) => ({ id, text }))
    const last = entries.at(-1)
    return older.length > limit && last !== undefined ? { entries, cursor: last.id } : { entries }
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new RescindError('ERR_CLOSED', 'the records were closed')
  }

  #find(kind: RecordKind, id: string): Kept | undefined {
    this.#assertOpen()
    const kept = this.#kept[kind].get(id)
    if (kept === undefined || kept.until > this.#now()) return kept
    this.#kept[kind].delete(id)
    return undefined
  }

  #sweep(): void {
    for (const id of [...this.#kept.once.keys()]) this.#find('once', id)
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#kept.once.size)
  }
}
