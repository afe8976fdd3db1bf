/**
 * The packed change log: fixed records of 32 bytes in segments of 1.25 MiB, so that a byte offset is a
 * position and the log is the snapshot too.
 *
 * Record (little-endian): digest 16, end 4, issuedBefore 4, at 4, operation and version 1, chain check 3.
 * Segment header, as long as a record: `RSL1`, epoch 8, sequence 4, chain before 4, created 4, zero 8.
 *
 * The chain is a running 32-bit hash over all records of an epoch; each record carries its upper 24 bits, so
 * that a log that was forked, rolled back or refilled does not continue the one that was read before.
 */
import { type Digest, digestFromBytes, digestToBytes } from './digest.js'
import { RescindError } from '../errors.js'

export const RECORD_BYTES = 32
export const RECORD_WORDS = RECORD_BYTES / Int32Array.BYTES_PER_ELEMENT
/**
 * 40,958 records and the header. Redis doubles a growing string, and its allocator rounds up: 1.25 MiB is what it
 * has then, and this is all that fits, so that a record takes 32.003 bytes. A segment of 1 MiB would take as much.
 */
export const SEGMENT_BYTES_MAX = 40_959 * RECORD_BYTES
export const FORMAT_VERSION = 1
export const OPERATION_REVOKE = 1
export const OPERATION_RESTORE = 2
/** Operation and version in their byte. */
export const KIND_REVOKE = FORMAT_VERSION * 16 + OPERATION_REVOKE
export const KIND_RESTORE = FORMAT_VERSION * 16 + OPERATION_RESTORE
/** Odd and below 2^20, so that Lua's doubles multiply it exactly with 32 bits. The script has the same. */
export const CHAIN_FACTOR = 648_113

const MAGIC = 'RSL1'

/** One record of the log. */
export interface LogRecord {
  readonly operation: 'revoke' | 'restore'
  readonly digest: Digest
  readonly end: number
  readonly issuedBefore: number
  readonly at: number
}

export interface SegmentHeader {
  /** 16 hex digits. */
  readonly epoch: string
  readonly sequence: number
  readonly chain: number
}

/** The chain value with which an epoch begins. */
export function chainStart(epoch: string): number {
  return Buffer.from(epoch, 'hex').readUInt32LE(0)
}

/** The chain value after the record at `offset`. */
export function chainNext(chain: number, bytes: Buffer, offset: number): number {
  let hash = chain
  for (let word = 0; word < 28; word += 4)
    hash = Math.imul(hash ^ bytes.readInt32LE(offset + word), CHAIN_FACTOR)
  return Math.imul(hash ^ (bytes[offset + 28] as number), CHAIN_FACTOR) >>> 0
}

/** The chain value after all of these records; undefined when one of them does not follow from those before. */
export function chainOver(chain: number, words: Int32Array): number | undefined {
  let hash = chain | 0
  for (let at = 0; at + RECORD_WORDS <= words.length; at += RECORD_WORDS) {
    for (let i = 0; i < RECORD_WORDS - 1; i++)
      hash = Math.imul(hash ^ (words[at + i] as number), CHAIN_FACTOR)
    const last = words[at + RECORD_WORDS - 1] as number
    hash = Math.imul(hash ^ (last & 0xff), CHAIN_FACTOR)
    if (hash >>> 8 !== last >>> 8) return undefined
  }
  return hash >>> 0
}

/**
 * Bytes as 32-bit words: what comes from the network begins anywhere, and is copied then. Little-endian, as every
 * machine that Node.js runs on.
 */
export function wordsOf(bytes: Buffer): Int32Array {
  const count = bytes.length / Int32Array.BYTES_PER_ELEMENT
  if (bytes.byteOffset % Int32Array.BYTES_PER_ELEMENT === 0) {
    return new Int32Array(bytes.buffer, bytes.byteOffset, count)
  }
  const words = new Int32Array(count)
  Buffer.from(words.buffer).set(bytes)
  return words
}

/** True when the record at `offset` follows from `chain`, given the value after it. */
export function chainHolds(after: number, bytes: Buffer, offset: number): boolean {
  return bytes.readUIntLE(offset + 29, 3) === after >>> 8
}

/** Reads the record at `offset`. Throws `ERR_STORE_CORRUPT` for one of another version. */
export function readRecord(bytes: Buffer, offset: number): LogRecord {
  const kind = bytes[offset + 28] as number
  const operation = kind & 0x0f
  if (kind >> 4 !== FORMAT_VERSION || (operation !== OPERATION_REVOKE && operation !== OPERATION_RESTORE)) {
    throw new RescindError(
      'ERR_STORE_CORRUPT',
      `the log holds a record of kind ${kind}, which this version cannot read; upgrade it`,
    )
  }
  return {
    operation: operation === OPERATION_REVOKE ? 'revoke' : 'restore',
    digest: digestFromBytes(bytes, offset),
    end: bytes.readUInt32LE(offset + 16),
    issuedBefore: bytes.readUInt32LE(offset + 20),
    at: bytes.readUInt32LE(offset + 24),
  }
}

/** Writes the record at `offset`, without its chain check. */
export function writeRecord(
  bytes: Buffer,
  offset: number,
  record: Omit<LogRecord, 'operation'> & { readonly operation: number },
): void {
  digestToBytes(record.digest).copy(bytes, offset)
  bytes.writeUInt32LE(record.end, offset + 16)
  bytes.writeUInt32LE(record.issuedBefore, offset + 20)
  bytes.writeUInt32LE(record.at, offset + 24)
  bytes[offset + 28] = FORMAT_VERSION * 16 + record.operation
}

/** Reads a segment's header. Throws `ERR_STORE_CORRUPT` for anything else. */
export function readSegmentHeader(bytes: Buffer): SegmentHeader {
  if (bytes.length < RECORD_BYTES || bytes.toString('latin1', 0, 4) !== MAGIC) {
    throw new RescindError('ERR_STORE_CORRUPT', 'a segment of the log does not begin with a header')
  }
  return {
    epoch: bytes.toString('hex', 4, 12),
    sequence: bytes.readUInt32LE(12),
    chain: bytes.readUInt32LE(16),
  }
}
