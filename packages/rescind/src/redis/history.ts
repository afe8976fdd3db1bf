/**
 * The change log for people: its packed records, joined with the records by key that they speak of.
 */
import { chainNext, type LogRecord, readRecord, RECORD_BYTES } from '../core/record.js'
import type { Position } from '../stores/position.js'
import { logChanged } from '../stores/store.js'
import type { RedisClient } from './client.js'
import type { Meta, Partition, Stretch } from './partition.js'
import { parseRecord, type StoredRecord } from './record.js'

/** A record of the log, with what stands under its digest now. */
export interface Row {
  readonly record: LogRecord
  readonly stored: StoredRecord | undefined
}

const WALK_CHUNK_RECORDS = 512

/** Walks a partition's log backwards, from its end or from where a page ended. */
export class Walk {
  at: Position | undefined
  readonly #client: RedisClient
  readonly #partition: Partition
  readonly #meta: Meta | undefined
  #rows: Row[] = []

  constructor(client: RedisClient, partition: Partition, meta: Meta | undefined, from: Position | undefined) {
    if (from !== undefined && from.epoch !== '' && from.epoch !== meta?.end.epoch) throw logChanged()
    this.#client = client
    this.#partition = partition
    this.#meta = meta
    this.at = meta === undefined || from === undefined || from.epoch === '' ? undefined : from
  }

  /** The next row, left in place; undefined at the beginning of the log. */
  async peek(): Promise<Row | undefined> {
    while (this.#rows.length === 0 && this.at !== undefined) {
      const { segment, offset } = this.at
      if (segment === 0 || offset <= RECORD_BYTES) {
        this.at = await this.#partition.segmentBefore(this.#client, this.#meta as Meta, segment)
        continue
      }
      const start = Math.max(RECORD_BYTES, offset - WALK_CHUNK_RECORDS * RECORD_BYTES)
      const bytes = await this.#partition.bytes(this.#client, segment, start, offset)
      this.#rows = await rowsOf(this.#client, this.#partition, bytes)
      // A segment that ended between the two reads is skipped, not walked for ever.
      if (this.#rows.length === 0) this.at = { ...this.at, offset: 0 }
    }
    return this.#rows.at(-1)
  }

  take(): Row {
    const row = this.#rows.pop() as Row
    const at = this.at as Position
    this.at = { ...at, offset: at.offset - RECORD_BYTES, chain: 0 }
    return row
  }
}

/** The walk whose next row is the newest. */
export async function newest(walks: readonly Walk[]): Promise<Walk | undefined> {
  const rows = await Promise.all(walks.map((walk) => walk.peek()))
  let found: number | undefined
  for (const [i, row] of rows.entries()) {
    if (row === undefined) continue
    if (found === undefined || row.record.at > (rows[found] as Row).record.at) found = i
  }
  return found === undefined ? undefined : walks[found]
}

export async function rowsOf(client: RedisClient, partition: Partition, bytes: Buffer): Promise<Row[]> {
  const records: LogRecord[] = []
  for (let offset = 0; offset + RECORD_BYTES <= bytes.length; offset += RECORD_BYTES) {
    records.push(readRecord(bytes, offset))
  }
  if (records.length === 0) return []
  const stored = await client.mgetBuffer(records.map(({ digest }) => partition.recordKey(digest)))
  return records.map((record, i) => {
    const value = stored[i] ?? null
    return { record, stored: value === null ? undefined : parseRecord(value, record.digest) }
  })
}

/** The place after each record of a stretch. */
export function placesOf({ begin, records }: Stretch): Position[] {
  const places: Position[] = []
  let at = begin
  for (let offset = 0; offset < records.length; offset += RECORD_BYTES) {
    at = { ...at, offset: at.offset + RECORD_BYTES, chain: chainNext(at.chain, records, offset) }
    places.push(at)
  }
  return places
}
