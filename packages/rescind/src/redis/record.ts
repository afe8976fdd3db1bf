/**
 * What Redis holds under the digest of a target: its record, packed.
 *
 * It stands under `…:r:` and the digest in base64url: 16 raw bytes would take a step less of the allocator
 * at the best, and every check more of the client, which is slow with keys that are no text.
 *
 * Numbers are little-endian, times are seconds since 1970, texts are those of `packed-text`:
 * - a byte: version times 32, plus 16 if there was a restore, plus the number of statements (0 to 8)
 * - if there was a restore, its time: 4 bytes
 * - the statements, by `at`, end and `issuedBefore`:
 *   - a byte: `issuedBefore` (0 any time, 1 the same as `at`, 2 given), plus 4 with a reason, plus 8 with an
 *     actor, plus 16 if it ended before it was made
 *   - `at`: 4 bytes
 *   - the end: how many seconds after `at`, 7 bits a byte, the lowest first, all but the last with 0x80 added;
 *     if it ended before it was made, the time itself in 4 bytes
 *   - `issuedBefore` if given: 4 bytes; reason, if any; actor, if any
 * - the target: a byte, how many claims (0 to 8), and the name and value of each, in the order of `core/target`;
 *   for `{ iss, jti }`, the byte 9 and the two values; the byte 10 alone when only its digest is known
 *
 * There is one way to write a record, and `parseRecord` refuses every other.
 */
import type { Digest } from '../core/digest.js'
import { FORMAT_VERSION } from '../core/record.js'
import { ANY_TIME, ENTRIES_MAX, type Entry, type State } from '../core/revocation.js'
import {
  isAscending,
  type ParsedTarget,
  type Shape,
  type Target,
  TARGET_CLAIMS_MAX,
  TARGET_UNNAMED,
  targetOf,
} from '../core/target.js'
import { RescindError } from '../errors.js'
import { type Cursor, packText, readByte, readBytes, unpackText } from './packed-text.js'

export interface StoredRecord {
  readonly target: Target
  readonly state: State
}

/** What the bytes of a record are made of, for the script that writes them. */
export const RECORD_LAYOUT = {
  versionStep: 32,
  restored: 16,
  beforeAny: 0,
  beforeAt: 1,
  beforeGiven: 2,
  reason: 4,
  actor: 8,
  endedEarly: 16,
} as const

const { versionStep, restored, beforeAny, beforeAt, beforeGiven, reason, actor, endedEarly } = RECORD_LAYOUT
const BEFORE_MASK = 3
/** Where the number of claims stands: the names are `iss` and `jti`, and not written. */
const TOKEN_CLAIMS = TARGET_CLAIMS_MAX + 1
/** The latest time that 4 bytes hold. */
const STORED_TIME_MAX = 0xffff_ffff
/**
 * Where the number of claims stands: nobody knows the target any more. What a node gives back to a store that lost
 * it has no more than the digest, which every check finds.
 */
export const UNNAMED_CLAIMS = TARGET_CLAIMS_MAX + 2
const UNNAMED_SHAPE: Shape = [TARGET_UNNAMED]
const TOKEN_SHAPE: Shape = ['iss', 'jti']
const VARINT_STEP = 0x80
/** A target as it is stored: names and values in their order, which an object would not keep. */
type StoredTarget = Pick<ParsedTarget, 'shape' | 'values'>

/** Reads a record; its `digest` stands for a target that is not named. Throws `ERR_STORE_CORRUPT` for anything that the script would not have written. */
export function parseRecord(bytes: Buffer, digest: Digest = ''): StoredRecord {
  try {
    const cursor: Cursor = { bytes, at: 0 }
    const state = readState(cursor)
    const target = readTarget(cursor, digest)
    if (packRecord(state, target).equals(bytes)) return { target: targetOf(target), state }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  throw corrupt('a record')
}

/** A target as the script takes it. */
export function packTarget({ shape, values }: StoredTarget): Buffer {
  const out: number[] = []
  pushTarget(shape, values, out)
  return Buffer.from(out)
}

/** Reason and actor as the script takes them: what they add to the statement's first byte, and their texts. */
export function packDetails(entry: Entry): Buffer {
  const out = [detailFlags(entry)]
  pushDetails(entry, out)
  return Buffer.from(out)
}

/** What the script would have written. Throws a `RangeError` where it would have written nothing. */
function packRecord({ restoredAt, entries }: State, { shape, values }: StoredTarget): Buffer {
  if (entries.length > ENTRIES_MAX || !isAscending(shape)) throw new RangeError('no such record is written')
  const out = [FORMAT_VERSION * versionStep + (restoredAt > 0 ? restored : 0) + entries.length]
  if (restoredAt > 0) pushTime(restoredAt, out)
  for (const entry of entries) {
    const { at, end, issuedBefore } = entry
    const before = issuedBefore === ANY_TIME ? beforeAny : issuedBefore === at ? beforeAt : beforeGiven
    out.push(before + detailFlags(entry) + (end < at ? endedEarly : 0))
    pushTime(at, out)
    if (end < at) pushTime(end, out)
    else if (end <= STORED_TIME_MAX) pushVarint(end - at, out)
    else throw new RangeError('there is no such time')
    if (before === beforeGiven) pushTime(issuedBefore, out)
    pushDetails(entry, out)
  }
  pushTarget(shape, values, out)
  return Buffer.from(out)
}

function readState(cursor: Cursor): State {
  const first = readByte(cursor)
  if (Math.floor(first / versionStep) !== FORMAT_VERSION) throw new RangeError('another version')
  const restoredAt = (first & restored) === 0 ? 0 : readTime(cursor)
  return { restoredAt, entries: Array.from({ length: first % restored }, () => readEntry(cursor)) }
}

function readEntry(cursor: Cursor): Entry {
  const flags = readByte(cursor)
  const before = flags & BEFORE_MASK
  const at = readTime(cursor)
  const end = (flags & endedEarly) === 0 ? at + readVarint(cursor) : readTime(cursor)
  const issuedBefore = before === beforeAny ? ANY_TIME : before === beforeAt ? at : readTime(cursor)
  return {
    at,
    end,
    issuedBefore,
    ...((flags & reason) === 0 ? {} : { reason: unpackText(cursor) }),
    ...((flags & actor) === 0 ? {} : { actor: unpackText(cursor) }),
  }
}

function readTarget(cursor: Cursor, digest: Digest): StoredTarget {
  const claims = readByte(cursor)
  if (claims === UNNAMED_CLAIMS) return { shape: UNNAMED_SHAPE, values: [digest] }
  if (claims === TOKEN_CLAIMS) {
    return { shape: TOKEN_SHAPE, values: [unpackText(cursor), unpackText(cursor)] }
  }
  if (claims > TARGET_CLAIMS_MAX) throw new RangeError('no target has so many claims')
  const shape: string[] = []
  const values: string[] = []
  for (let i = 0; i < claims; i++) {
    shape.push(unpackText(cursor))
    values.push(unpackText(cursor))
  }
  return { shape, values }
}

function pushTarget(shape: Shape, values: readonly string[], out: number[]): void {
  if (shape[0] === TARGET_UNNAMED) {
    out.push(UNNAMED_CLAIMS)
    return
  }
  const isToken = shape.length === 2 && shape[0] === 'iss' && shape[1] === 'jti'
  out.push(isToken ? TOKEN_CLAIMS : values.length)
  for (const [i, value] of values.entries()) {
    if (!isToken) packText(shape[i] as string, out)
    packText(value, out)
  }
}

function detailFlags(entry: Entry): number {
  return (entry.reason === undefined ? 0 : reason) + (entry.actor === undefined ? 0 : actor)
}

function pushDetails(entry: Entry, out: number[]): void {
  if (entry.reason !== undefined) packText(entry.reason, out)
  if (entry.actor !== undefined) packText(entry.actor, out)
}

function readTime(cursor: Cursor): number {
  return readBytes(cursor, 4).readUInt32LE()
}

function pushTime(time: number, out: number[]): void {
  out.push(time & 0xff, (time >>> 8) & 0xff, (time >>> 16) & 0xff, time >>> 24)
}

/** No bit operations: a difference of times may need 32 bits. */
function readVarint(cursor: Cursor): number {
  let value = 0
  for (let factor = 1; factor <= VARINT_STEP ** 4; factor *= VARINT_STEP) {
    const byte = readByte(cursor)
    value += (byte % VARINT_STEP) * factor
    if (byte < VARINT_STEP) return value
  }
  throw new RangeError('there is no such number')
}

function pushVarint(value: number, out: number[]): void {
  let rest = value
  for (; rest >= VARINT_STEP; rest = Math.floor(rest / VARINT_STEP))
    out.push((rest % VARINT_STEP) + VARINT_STEP)
  out.push(rest)
}

/** What Redis holds was written by none of the scripts, or by a newer one. */
export function corrupt(what: string): RescindError {
  return new RescindError(
    'ERR_STORE_CORRUPT',
    `Redis holds ${what} that this version cannot read; upgrade this node, or give Rescind a namespace of its own`,
  )
}
