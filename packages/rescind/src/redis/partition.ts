/**
 * One partition on Redis: its keys, and its change log read forwards and backwards. All keys of a partition
 * share one hash tag, so that one script can write them together on a cluster.
 *
 * `rescind:{NS.p}:r:DIGEST` records, `…:f:DIGEST` marks of families of refresh tokens, `…:log:N` segments of the log,
 * `…:meta`; partition 0 also holds `…:shapes` and `…:nodes` for all.
 */
import type { Digest } from '../core/digest.js'
import {
  chainHolds,
  chainOver,
  chainStart,
  FORMAT_VERSION,
  readSegmentHeader,
  RECORD_BYTES,
  SEGMENT_BYTES_MAX,
  wordsOf,
} from '../core/record.js'
import { RescindError } from '../errors.js'
import { ORIGIN, type Position } from '../stores/position.js'
import { MACHINE, type Surroundings } from '../surroundings.js'
import { logChanged } from '../stores/store.js'
import type { RedisClient } from './client.js'

/** What `meta` says. */
export interface Meta {
  /** Where the log ends. */
  readonly end: Position
  /** The latest end of each live segment, by number. */
  readonly ends: ReadonlyMap<number, number>
  /** Until when something may be in force that stood in a log whose `meta` was lost; 0: nothing. */
  readonly tornUntil: number
}

/** A stretch of the log with its chain checked, and the places around it. */
export interface Stretch {
  readonly records: Buffer
  /** Where the first record stands. */
  readonly begin: Position
  /** Where the next read begins. */
  readonly position: Position
  readonly isEnd: boolean
  /** A segment that should have been there was not: what it held cannot be read any more. */
  readonly hasGap: boolean
  /** How many records there are from here to the end, at most; 0 where that was not asked. */
  readonly recordsMax: number
}

/** By how much the clocks of writers, readers and Redis may differ before an ended segment looks lost. */
const SKEW_SECONDS = 60
const NOTHING = Buffer.alloc(0)

export class Partition {
  readonly prefix: string
  readonly #surroundings: Surroundings
  /** The end of the log when meta was last read: who reads now reads up to there, or something is lost. */
  #end = ORIGIN

  constructor(namespace: string, number: number, surroundings: Surroundings = MACHINE) {
    this.#surroundings = surroundings
    this.prefix = `rescind:{${namespace}.${number}}:`
  }

  key(name: string): string {
    return this.prefix + name
  }

  recordKey(digest: Digest): string {
    return `${this.prefix}r:${digest}`
  }

  markKey(family: Digest): string {
    return `${this.prefix}f:${family}`
  }

  /** Undefined when nothing was ever written, or all of it was lost. */
  async meta(client: RedisClient): Promise<Meta | undefined> {
    const fields = await client.hgetall(this.key('meta'))
    const { epoch, version } = fields
    if (epoch === undefined) return undefined
    if (Number(version) !== FORMAT_VERSION) {
      throw new RescindError('ERR_STORE_CORRUPT', 'Redis holds a log of another format; upgrade this node')
    }
    const ends = new Map<number, number>()
    for (const [name, value] of Object.entries(fields)) {
      if (name.startsWith('s:')) ends.set(Number(name.slice(2)), Number(value))
    }
    const end = {
      epoch,
      segment: Number(fields.segment ?? 0),
      offset: Number(fields.size ?? 0),
      chain: Number(fields.chain ?? 0),
    }
    this.#end = end
    return { end, ends, tornUntil: Number(fields.torn ?? 0) }
  }

  /** Throws when the log is another one than that of `epoch`. One small command. */
  async assertEpoch(client: RedisClient, epoch: string): Promise<void> {
    if ((await client.hget(this.key('meta'), 'epoch')) !== epoch) throw logChanged()
  }

  /** The segments that are gone and should be there, whoever has read them long ago. */
  async segmentsMissing(client: RedisClient, meta: Meta): Promise<readonly number[]> {
    const live = [...meta.ends.keys()].filter((segment) => !this.#hasEnded(meta, segment))
    const keys = live.map((segment) => this.key(`log:${segment}`))
    if (keys.length === 0 || (await client.exists(...keys)) === keys.length) return []
    const found = await Promise.all(keys.map((key) => client.exists(key)))
    return live.filter((_, i) => found[i] === 0)
  }

  /**
   * Reads on from a position: as many whole records as `bytesMax` has room for, one at the least. While nothing is lost
   * or full, that is one GETRANGE that begins one record early: what stands there must be what was read last.
   */
  async read(client: RedisClient, after: Position, bytesMax: number): Promise<Stretch> {
    // The end is told by room that was left over: a part of a record is none.
    const room = Math.max(1, Math.floor(bytesMax / RECORD_BYTES)) * RECORD_BYTES
    let at = after
    let meta: Meta | undefined
    if (at.segment === 0) {
      meta = await this.meta(client)
      if (meta === undefined) {
        if (at.epoch !== '') throw logChanged()
        return nothing(at, false)
      }
      if (at.epoch !== '' && at.epoch !== meta.end.epoch) throw logChanged()
      at = { ...ORIGIN, epoch: meta.end.epoch, chain: chainStart(meta.end.epoch) }
    } else {
      const stretch = await this.#readSegment(client, at, room)
      const mayGoOn = stretch !== undefined && stretch.position.offset + RECORD_BYTES <= SEGMENT_BYTES_MAX
      if (stretch !== undefined && (mayGoOn || stretch.records.length > 0)) return stretch
      meta = await this.meta(client)
      if (meta === undefined || meta.end.epoch !== at.epoch || meta.end.segment < at.segment)
        throw logChanged()
      if (stretch === undefined && !this.#hasEnded(meta, at.segment)) throw logChanged()
    }
    return this.#readNext(client, meta, at, room)
  }

  /** The end of the nearest segment before this one that still exists; undefined when there is none. */
  async segmentBefore(client: RedisClient, meta: Meta, segment: number): Promise<Position | undefined> {
    for (const number of [...meta.ends.keys()].filter((other) => other < segment).sort((a, b) => b - a)) {
      const offset = await client.strlen(this.key(`log:${number}`))
      if (offset > RECORD_BYTES) return { epoch: meta.end.epoch, segment: number, offset, chain: 0 }
    }
    return undefined
  }

  bytes(client: RedisClient, segment: number, start: number, end: number): Promise<Buffer> {
    return client.getrangeBuffer(this.key(`log:${segment}`), start, Math.min(end, SEGMENT_BYTES_MAX) - 1)
  }

  /** The rest of a segment; undefined when the segment is gone. Throws when it is not the one that was read. */
  async #readSegment(client: RedisClient, at: Position, room: number): Promise<Stretch | undefined> {
    const start = at.offset - RECORD_BYTES
    const bytes = await this.bytes(client, at.segment, start, at.offset + room)
    if (bytes.length === 0 && (await client.exists(this.key(`log:${at.segment}`))) === 0) return undefined
    if (bytes.length < RECORD_BYTES || !isWhatWasRead(bytes, at)) throw logChanged()
    return this.#toEnd(follow(at, bytes.subarray(RECORD_BYTES), room))
  }

  /** Does a stretch that is the last reach the end that is known? */
  #toEnd(stretch: Stretch): Stretch {
    const { epoch, segment, offset } = stretch.position
    const isShort = epoch === this.#end.epoch && segment === this.#end.segment && offset < this.#end.offset
    return stretch.isEnd && isShort ? { ...stretch, hasGap: true } : stretch
  }

  /** The beginning of the next segment that still exists. */
  async #readNext(client: RedisClient, meta: Meta, at: Position, room: number): Promise<Stretch> {
    let hasGap = at.segment === 0 && this.#isAhead(meta.tornUntil)
    const segments = [...meta.ends.keys()].filter((other) => other > at.segment).sort((a, b) => a - b)
    for (const [i, segment] of segments.entries()) {
      const bytes = await this.bytes(client, segment, 0, RECORD_BYTES + room)
      if (bytes.length === 0) {
        hasGap ||= !this.#hasEnded(meta, segment)
        continue
      }
      if (bytes.length < RECORD_BYTES) throw logChanged()
      const { epoch, sequence, chain } = readSegmentHeader(bytes)
      if (epoch !== at.epoch || sequence !== segment) throw logChanged()
      // What came between may have ended; what directly follows must continue what was read.
      if (segment === at.segment + 1 && chain !== at.chain) throw logChanged()
      const begin = { epoch, segment, offset: RECORD_BYTES, chain }
      const stretch = this.#toEnd(follow(begin, bytes.subarray(RECORD_BYTES), room))
      const recordsMax = recordsOf((segments.length - i - 1) * SEGMENT_BYTES_MAX + meta.end.offset)
      return {
        ...stretch,
        isEnd: stretch.isEnd && segment === meta.end.segment,
        hasGap: hasGap || stretch.hasGap,
        recordsMax,
      }
    }
    return nothing(at, hasGap)
  }

  #hasEnded(meta: Meta, segment: number): boolean {
    const end = meta.ends.get(segment)
    return end === undefined || !this.#isAhead(end)
  }

  #isAhead(end: number): boolean {
    return end - SKEW_SECONDS >= this.#surroundings.now() / 1000
  }
}

/** Is the record (or header) at the beginning of these bytes the one that a reader at `at` read last? */
function isWhatWasRead(bytes: Buffer, at: Position): boolean {
  if (at.offset > RECORD_BYTES) return chainHolds(at.chain, bytes, 0)
  const { epoch, sequence, chain } = readSegmentHeader(bytes)
  return epoch === at.epoch && sequence === at.segment && chain === at.chain
}

/** Checks that the records continue the chain, and where they lead. */
function follow(at: Position, bytes: Buffer, room: number): Stretch {
  const length = bytes.length - (bytes.length % RECORD_BYTES)
  const words = wordsOf(bytes.subarray(0, length))
  const chain = chainOver(at.chain, words)
  if (chain === undefined) throw logChanged()
  const offset = at.offset + length
  const isFull = offset + RECORD_BYTES > SEGMENT_BYTES_MAX
  return {
    records: Buffer.from(words.buffer, words.byteOffset, length),
    begin: at,
    position: { ...at, offset, chain },
    isEnd: length < room && !isFull,
    hasGap: false,
    recordsMax: 0,
  }
}

function nothing(at: Position, hasGap: boolean): Stretch {
  return { records: NOTHING, begin: at, position: at, isEnd: true, hasGap, recordsMax: 0 }
}

function recordsOf(bytes: number): number {
  return Math.floor(bytes / RECORD_BYTES)
}
