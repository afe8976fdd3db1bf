/**
 * Records in a file of LMDB beside the embedded store, for all processes of one machine. A write is acknowledged when it
 * is on the disk; a process may be killed at any moment.
 *
 * `kept` holds `UNTIL TEXT` by kind and id, `ends` what has a life by its end, `trail` the entries by their number,
 * `abouts` what an entry is about by its number, and `about` the numbers by that: `ABOUT NUMBER`.
 */
import { join, resolve } from 'node:path'
import type { Database } from 'lmdb'
import { LmdbAccess, openFile } from 'rescind/lmdb'
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

export interface LmdbRecordsOptions {
  /** The folder of the store. */
  readonly folder: string
  readonly trailMax: number
  /** The clock in milliseconds, the same for all processes. */
  readonly now?: (() => number) | undefined
}

type Texts = Database<string, string>

const DATA_FILE = 'records.mdb'
/** Address space, not memory: for the records, and for each entry of the trail. */
const MAP_BYTES = 2 ** 30
const MAP_BYTES_PER_ENTRY = 16_384
const CURSOR = /^\d{16}$/
/** Milliseconds since 1970, until the year 2286. */
const TIME_DIGITS = 13
/** How much of what has ended, and of a trail that is too long, one write removes. */
const SWEPT_MAX = 16
/** After whatever has a life. */
const NO_END = '9'.repeat(TIME_DIGITS)

export class LmdbRecords implements Records {
  readonly #access: LmdbAccess
  readonly #kept: Texts
  readonly #ends: Texts
  readonly #trail: Texts
  readonly #abouts: Texts
  readonly #about: Texts
  readonly #trailMax: number
  readonly #now: () => number

  /** Opens the file, or makes it. Throws `ERR_STORE_CORRUPT` for what it cannot read, and leaves that as it is. */
  constructor({ folder, trailMax, now = Date.now }: LmdbRecordsOptions) {
    const file = openFile(resolve(join(folder, DATA_FILE)), MAP_BYTES + trailMax * MAP_BYTES_PER_ENTRY)
    const open = (name: string): Texts => file.root.openDB<string, string>({ name, encoding: 'string' })
    this.#access = new LmdbAccess(file)
    this.#kept = open('kept')
    this.#ends = open('ends')
    this.#trail = open('trail')
    this.#abouts = open('abouts')
    this.#about = open('about')
    this.#trailMax = trailMax
    this.#now = now
  }

  async read(kind: RecordKind, id: string): Promise<string | undefined> {
    return this.#access.read(() => this.#text(keyOf(kind, id)))
  }

  async write(kind: RecordKind, id: string, text: string, options: WriteOptions = {}): Promise<boolean> {
    assertWritable(kind, id, text, options)
    const { isNew = false, replaces, lifeSeconds } = options
    const key = keyOf(kind, id)
    return this.#access.write(() => {
      const found = this.#text(key)
      if (isNew && found !== undefined) return false
      if (replaces !== undefined && found !== replaces) return false
      if (kind !== 'once' && found === undefined && this.#count(kind) >= RECORDS_MAX) throw recordsFull()
      const until = lifeSeconds === undefined ? NO_END : timeText(this.#now() + lifeSeconds * 1000)
      void this.#kept.put(key, `${until} ${text}`)
      if (until !== NO_END) void this.#ends.put(`${until} ${key}`, '')
      this.#sweep()
      return true
    })
  }

  async remove(kind: RecordKind, id: string): Promise<boolean> {
    const key = keyOf(kind, id)
    return this.#access.write(() => {
      if (this.#text(key) === undefined) return false
      void this.#kept.remove(key)
      return true
    })
  }

  async all(kind: LastingKind): Promise<ReadonlyMap<string, string>> {
    return this.#access.read(() => {
      const found = new Map<string, string>()
      for (const { key, value } of this.#kept.getRange({ ...rangeOf(kind), limit: RECORDS_MAX }))
        found.set(key.slice(kind.length + 1), value.slice(TIME_DIGITS + 1))
      return found
    })
  }

  async append(text: string, about?: string): Promise<string> {
    assertEntry(text, about)
    return this.#access.write(() => {
      const [last = '0'] = this.#trail.getKeys({ reverse: true, limit: 1 })
      const number = Number(last) + 1
      const id = trailId(number)
      void this.#trail.put(id, text)
      if (about !== undefined) {
        void this.#abouts.put(id, about)
        void this.#about.put(`${about} ${id}`, '')
      }
      const first = trailId(Math.max(0, number - this.#trailMax + 1))
      const tooOld = [...this.#trail.getKeys({ end: first, limit: SWEPT_MAX })]
      for (const old of tooOld) this.#forget(old)
      return id
    })
  }

  async trail(options: TrailOptions): Promise<TrailPage> {
    assertPage(options, CURSOR)
    const { limit } = options
    return this.#access.read(() => {
      const found = [...this.#backwards(options, limit + 1)]
      const entries = found.slice(0, limit)
      const last = entries.at(-1)
      return found.length > limit && last !== undefined ? { entries, cursor: last.id } : { entries }
    })
  }

  close(): Promise<void> {
    return this.#access.close()
  }

  *#backwards({ before, about }: TrailOptions, limit: number): Generator<TrailEntry, void, undefined> {
    const range = { reverse: true, limit, exclusiveStart: true }
    if (about === undefined) {
      const start = before === undefined ? {} : { start: before }
      for (const { key, value } of this.#trail.getRange({ ...range, ...start }))
        yield { id: key, text: value }
      return
    }
    // "!" is what comes after the space.
    const start = before === undefined ? `${about}!` : `${about} ${before}`
    for (const key of this.#about.getKeys({ ...range, start, end: `${about} ` })) {
      const id = key.slice(about.length + 1)
      const text = this.#trail.get(id)
      if (text !== undefined) yield { id, text }
    }
  }

  #forget(id: string): void {
    const about = this.#abouts.get(id)
    void this.#trail.remove(id)
    if (about === undefined) return
    void this.#abouts.remove(id)
    void this.#about.remove(`${about} ${id}`)
  }

  /** What stands under a key and has not ended. */
  #text(key: string): string | undefined {
    const value = this.#kept.get(key)
    if (value === undefined) return undefined
    const until = value.slice(0, TIME_DIGITS)
    return until > timeText(this.#now()) ? value.slice(TIME_DIGITS + 1) : undefined
  }

  #count(kind: LastingKind): number {
    return this.#kept.getKeysCount(rangeOf(kind))
  }

  /** What was written again since has another end by now, and stays. */
  #sweep(): void {
    const now = timeText(this.#now())
    for (const end of [...this.#ends.getKeys({ end: now, limit: SWEPT_MAX })]) {
      const key = end.slice(TIME_DIGITS + 1)
      if (this.#text(key) === undefined) void this.#kept.remove(key)
      void this.#ends.remove(end)
    }
  }
}

function keyOf(kind: RecordKind, id: string): string {
  return `${kind} ${id}`
}

/** All keys of a kind: "!" is what comes after the space. */
function rangeOf(kind: RecordKind): { start: string; end: string } {
  return { start: `${kind} `, end: `${kind}!` }
}

function timeText(ms: number): string {
  return String(Math.floor(ms)).padStart(TIME_DIGITS, '0')
}

function trailId(number: number): string {
  return String(number).padStart(16, '0')
}
