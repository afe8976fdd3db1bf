/**
 * The change log in memory: lines in their order, each at its own place, which is the number of lines before it. What
 * ended longer ago than the grace is taken out wherever it stands, so that one long life keeps nothing but itself.
 *
 * The lines stand in chunks, and a step looks at one of them: no step takes longer in a longer log, and nothing is
 * moved but what a chunk holds.
 */
import type { LogRecord } from '../core/record.js'
import { PRUNE_GRACE_SECONDS } from '../core/revocation.js'

export interface PlacedRecord extends LogRecord {
  readonly place: number
}

export interface Stretch {
  readonly lines: readonly PlacedRecord[]
  /** Where the next read begins. */
  readonly next: number
  readonly isEnd: boolean
}

interface Chunk {
  lines: PlacedRecord[]
  /** The end of the line that ends first: before that there is nothing to take out. */
  firstEnd: number
}

const CHUNK_LINES = 64

export class MemoryLog {
  readonly #chunks: Chunk[] = []
  #end = 0
  #size = 0
  /** The next chunk that may hold what has ended. */
  #sweepFrom = 0

  /** The place after the last line. */
  get end(): number {
    return this.#end
  }

  /** The place of the first line that still stands. */
  get begin(): number {
    return this.#chunks[0]?.lines[0]?.place ?? this.#end
  }

  /** How many lines stand. */
  get size(): number {
    return this.#size
  }

  append({ operation, digest, end, issuedBefore, at }: LogRecord): void {
    let last = this.#chunks.at(-1)
    if (last === undefined || last.lines.length >= CHUNK_LINES) {
      last = { lines: [], firstEnd: Infinity }
      this.#chunks.push(last)
    }
    last.lines.push({ place: this.#end, operation, digest, end, issuedBefore, at })
    last.firstEnd = Math.min(last.firstEnd, end)
    this.#end += 1
    this.#size += 1
  }

  /** Reads on from a place: at most `countMax` lines. */
  read(from: number, countMax: number): Stretch {
    const lines: PlacedRecord[] = []
    let at = this.#chunkOf(from)
    for (; at < this.#chunks.length && lines.length < countMax; at++) {
      for (const line of (this.#chunks[at] as Chunk).lines) {
        if (line.place >= from && lines.length < countMax) lines.push(line)
      }
    }
    const last = lines.at(-1)
    const next = last === undefined ? from : last.place + 1
    const isEnd = next > (this.#chunks.at(-1)?.lines.at(-1)?.place ?? -1)
    return { lines, next: isEnd ? this.#end : next, isEnd }
  }

  /** The lines before a place, newest first. */
  *backwards(before: number): Generator<PlacedRecord, void> {
    for (let at = this.#chunkOf(before); at >= 0; at--) {
      const lines = this.#chunks[at]?.lines ?? []
      for (let i = lines.length - 1; i >= 0; i--) {
        const line = lines[i]
        if (line !== undefined && line.place < before) yield line
      }
    }
  }

  /** Looks at one chunk, and takes out what has ended. True when that was something. */
  sweepOne(now: number): boolean {
    if (this.#sweepFrom >= this.#chunks.length) this.#sweepFrom = 0
    const chunk = this.#chunks[this.#sweepFrom]
    if (chunk === undefined) return false
    const before = chunk.lines.length
    if (chunk.firstEnd + PRUNE_GRACE_SECONDS <= now) {
      chunk.lines = chunk.lines.filter(({ end }) => end + PRUNE_GRACE_SECONDS > now)
      chunk.firstEnd = chunk.lines.reduce((first, { end }) => Math.min(first, end), Infinity)
    }
    const removed = before - chunk.lines.length
    this.#size -= removed
    if (!this.#joinBefore(chunk)) this.#sweepFrom += 1
    return removed > 0
  }

  /** Moves what a chunk holds into the one before it where that has room, so that thin chunks do not stay many. */
  #joinBefore({ lines, firstEnd }: Chunk): boolean {
    const before = this.#chunks[this.#sweepFrom - 1]
    const hasRoom = before !== undefined && before.lines.length + lines.length <= CHUNK_LINES
    if (!hasRoom && lines.length > 0) return false
    if (hasRoom) {
      before.lines.push(...lines)
      before.firstEnd = Math.min(before.firstEnd, firstEnd)
    }
    this.#chunks.splice(this.#sweepFrom, 1)
    return true
  }

  /** The last chunk that begins at or before a place; the first for a place before all. */
  #chunkOf(place: number): number {
    let [low, high] = [0, this.#chunks.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const first = this.#chunks[middle]?.lines[0]?.place ?? Infinity
      if (first <= place) low = middle
      else high = middle - 1
    }
    return low
  }
}
