/**
 * The change log of the embedded store: packed records (`core/record`) in chunks of 60, so that two chunks fill a page
 * of LMDB and a million records are read in some hundred milliseconds.
 *
 * A chunk is the chain value before it (4 bytes) and its records; its key is its number, from 1. A place in the log is the
 * number of records before it, and proves itself by the chain value there. Chunks in which everything ended are
 * taken away, but never the last one.
 */
import {
  chainHolds,
  chainNext,
  chainStart,
  type LogRecord,
  OPERATION_RESTORE,
  OPERATION_REVOKE,
  readRecord,
  RECORD_BYTES,
  writeRecord,
} from '../core/record.js'
import { PRUNE_GRACE_SECONDS } from '../core/revocation.js'
import { type LmdbFile } from './lmdb-file.js'
import { unreadable } from './lmdb-header.js'
import { logChanged } from './store.js'

/** Records before a place, and the chain value there. */
export interface Place {
  readonly index: number
  readonly chain: number
}

/** The end of the log, and how many rows the store holds. */
export interface Ledger extends Place {
  readonly rows: number
}

export interface Stretch {
  readonly records: Buffer
  /** The place after each record. */
  readonly places: readonly Place[]
  /** Where the next read begins. */
  readonly next: Place
  readonly isEnd: boolean
  /** There are no more records than this from the place on. */
  readonly recordsMax: number
}

const CHUNK_RECORDS = 60
const HEAD_BYTES = 4
/** How many chunks are looked at together when the log is read backwards. */
const BACKWARDS_CHUNKS = 16

export class LmdbLog {
  readonly #file: LmdbFile
  /** The next chunk that may have ended. */
  #sweepFrom = 0

  constructor(file: LmdbFile) {
    this.#file = file
  }

  ledger(): Ledger {
    const values = parse(this.#file.meta.get('state'))
    const [index, chain, rows] = Array.isArray(values) ? (values as unknown[]) : []
    if (![index, chain, rows].every((value) => Number.isSafeInteger(value) && (value as number) >= 0))
      throw this.#damaged('where the log ends')
    return { index: index as number, chain: chain as number, rows: rows as number }
  }

  setLedger({ index, chain, rows }: Ledger): void {
    void this.#file.meta.put('state', JSON.stringify([index, chain, rows]))
  }

  /** Appends a record, in a transaction. Returns the new end. */
  append(end: Place, record: LogRecord): Place {
    const number = chunkOf(end.index)
    const count = end.index % CHUNK_RECORDS
    const offset = HEAD_BYTES + count * RECORD_BYTES
    const bytes = Buffer.alloc(offset + RECORD_BYTES)
    if (count === 0) {
      bytes.writeUInt32LE(end.chain, 0)
    } else {
      const held = this.#file.log.get(number)
      if (held?.length !== offset) throw this.#damaged('the end of the log')
      held.copy(bytes)
    }
    const operation = record.operation === 'revoke' ? OPERATION_REVOKE : OPERATION_RESTORE
    writeRecord(bytes, offset, { ...record, operation })
    const chain = chainNext(end.chain, bytes, offset)
    bytes.writeUIntLE(chain >>> 8, offset + RECORD_BYTES - 3, 3)
    void this.#file.log.put(number, bytes)
    return { index: end.index + 1, chain }
  }

  /** Reads on from a place, or from the beginning. Throws `ERR_LOG_CHANGED` for a place of another history. */
  read(after: Place | undefined, countMax: number): Stretch {
    const end = this.ledger()
    const from = after ?? { index: 0, chain: chainStart(this.#file.epoch) }
    if (from.index > end.index || (from.index === end.index && from.chain !== end.chain)) throw logChanged()
    const parts: Buffer[] = []
    const places: Place[] = []
    let next: Place = from
    /** Where the next chunk must begin, if none was taken away between. */
    let before: Place | undefined
    const chunks = this.#file.log.getRange({
      start: chunkOf(from.index),
      limit: Math.ceil(countMax / CHUNK_RECORDS) + 1,
    })
    for (const { key, value } of from.index === end.index ? [] : chunks) {
      if (places.length >= countMax) break
      const count = this.#countOf(value, key, end)
      let place: Place = { index: firstOf(key), chain: value.readUInt32LE(0) }
      if (before?.index === place.index && before.chain !== place.chain)
        throw this.#damaged('the chain of the log')
      const first = Math.max(0, from.index - place.index)
      for (let i = 0; i < count && places.length < countMax; i++) {
        if (place.index === from.index && place.chain !== from.chain)
          throw after === undefined ? this.#damaged('the chain of the log') : logChanged()
        const offset = HEAD_BYTES + i * RECORD_BYTES
        const chain = chainNext(place.chain, value, offset)
        if (!chainHolds(chain, value, offset)) throw this.#damaged('the chain of the log')
        place = { index: place.index + 1, chain }
        if (i >= first) places.push(place)
      }
      before = place
      next = place
      const until = place.index - firstOf(key)
      parts.push(
        Buffer.from(value.subarray(HEAD_BYTES + first * RECORD_BYTES, HEAD_BYTES + until * RECORD_BYTES)),
      )
    }
    const { entryCount } = this.#file.log.getStats() as { entryCount: number }
    const recordsMax = Math.min(end.index - from.index, entryCount * CHUNK_RECORDS)
    return { records: Buffer.concat(parts), places, next, isEnd: next.index === end.index, recordsMax }
  }

  /** The records before a place, newest first, some chunks at a time; each with its own place. */
  *backwards(index: number): Generator<{ index: number; record: LogRecord }[], void> {
    for (let at = index; at > 0;) {
      const end = this.ledger()
      const found: { index: number; record: LogRecord }[] = []
      const start = chunkOf(at - 1)
      let chunks = 0
      for (const { key, value } of this.#file.log.getRange({
        start,
        end: 0,
        reverse: true,
        limit: BACKWARDS_CHUNKS,
      })) {
        chunks++
        const base = firstOf(key)
        const count = Math.min(this.#countOf(value, key, end), at - base)
        for (let i = count - 1; i >= 0; i--)
          found.push({ index: base + i, record: readRecord(value, HEAD_BYTES + i * RECORD_BYTES) })
        at = base
      }
      if (chunks === 0) return
      yield found
    }
  }

  /** Where the log begins: records before it were taken away. */
  begin(): number {
    for (const key of this.#file.log.getKeys({ start: 0, limit: 1 })) return firstOf(key)
    return 0
  }

  /** Looks at some chunks, in a transaction, and takes away those in which everything ended. */
  sweep(end: Place, steps: number, now: number): void {
    const last = chunkOf(end.index - 1)
    const ended: number[] = []
    let seen = 0
    for (const { key, value } of this.#file.log.getRange({ start: this.#sweepFrom, limit: steps })) {
      seen++
      this.#sweepFrom = key + 1
      if (key < last && latestEndIn(value) + PRUNE_GRACE_SECONDS <= now) ended.push(key)
    }
    if (seen < steps) this.#sweepFrom = 0
    for (const key of ended) void this.#file.log.remove(key)
  }

  #countOf(value: Buffer, key: number, end: Place): number {
    const count = (value.length - HEAD_BYTES) / RECORD_BYTES
    if (count !== Math.min(CHUNK_RECORDS, end.index - firstOf(key)) || count < 1)
      throw this.#damaged('a part of the log')
    return count
  }

  #damaged(what: string) {
    return unreadable(this.#file.path, `is damaged: ${what} does not make sense`)
  }
}

/** The number of the chunk that holds the record at this index: 0 is not used, for ranges end before a key. */
function chunkOf(index: number): number {
  return Math.floor(index / CHUNK_RECORDS) + 1
}

function firstOf(chunk: number): number {
  return (chunk - 1) * CHUNK_RECORDS
}

function latestEndIn(chunk: Buffer): number {
  let latest = 0
  for (let offset = HEAD_BYTES; offset < chunk.length; offset += RECORD_BYTES)
    latest = Math.max(latest, chunk.readUInt32LE(offset + 16))
  return latest
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
