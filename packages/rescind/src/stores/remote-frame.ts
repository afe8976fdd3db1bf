/**
 * A stretch of the log as it goes between a service and a `RemoteStore`: `RSF1`, the length of the head (4 bytes,
 * little-endian), the head as JSON, and records of 32 bytes as they stand in the log (`core/record`). What is read is
 * checked whole: `ERR_OPTION_INVALID` for what is of another form.
 */
import { hash, randomBytes } from 'node:crypto'
import { RECORD_BYTES } from '../core/record.js'
import type { Shape } from '../core/target.js'
import {
  type Fields,
  flagIn,
  jsonFrom,
  malformed,
  numberIn,
  object,
  textIn,
  timeIn,
} from './remote-fields.js'
import { ID_LENGTH_MAX, POSITION_LENGTH_MAX, shapesFrom, tagFrom, TEXT_LENGTH_MAX } from './remote-wire.js'
import type { LogPage } from './store.js'

export { checkedGift, CLOCK_OFF_MAX_SECONDS } from './given-records.js'
export { readRecord, RECORD_BYTES } from '../core/record.js'

/** The type of a frame. */
export const FRAME_TYPE = 'application/vnd.rescind.log'
/** How many bytes of records may be asked for at once. */
export const PAGE_BYTES_MAX = 256 * 1024
/** Of each partition there may be so much, and of 64 at the most; and a head. */
export const FRAME_BYTES_MAX = 64 * PAGE_BYTES_MAX + 512 * 1024
const MAGIC = 'RSF1'
const ASKER_LENGTH = 12
const PREFIX_BYTES = 8
const TAG_LENGTH = 22

/** A name for who asks: with it begin all questions of one reader, each with a number behind. */
export function makeAsker(): string {
  return randomBytes((ASKER_LENGTH * 3) / 4).toString('base64url')
}

/** Who asks; empty for a question that is named otherwise. */
export function askerOf(nonce: string): string {
  return nonce.length > ASKER_LENGTH ? nonce.slice(0, ASKER_LENGTH) : ''
}

/** A page of the log as it is sent. */
export interface PageFrame {
  /** The question that it answers: no answer to an older one will do. */
  readonly nonce: string
  readonly page: LogPage
}

/** What of a page is not its records, and of its shapes what the reader does not know yet. */
export interface PageHead extends Omit<LogPage, 'records' | 'shapes'> {
  readonly nonce: string
  readonly tag: string
  readonly shapes?: readonly Shape[]
}

export interface ReseedHead {
  readonly giver: string
  readonly now: number
  readonly shapes: readonly Shape[]
  readonly end: number
  readonly isLast: boolean
}

/** A name for these shapes, so that they are told once. */
export function tagOf(shapes: readonly Shape[]): string {
  let tag = tags.get(shapes)
  if (tag === undefined)
    tags.set(shapes, (tag = hash('sha256', JSON.stringify(shapes), 'base64url').slice(0, TAG_LENGTH)))
  return tag
}
const tags = new WeakMap<readonly Shape[], string>()

/** `knownTag`: of the shapes that the reader knows already. */
export function writePage({ nonce, page }: PageFrame, knownTag: string): Buffer {
  const { records, shapes, ...head } = page
  const tag = tagOf(shapes)
  return writeFrame({ ...head, nonce, tag, ...(tag === knownTag ? {} : { shapes }) }, records)
}

export function readPage(bytes: Buffer): { head: PageHead; records: Buffer } {
  const { head, records } = readFrame(bytes)
  const { recordsMax, ageMs, shapes } = head
  return {
    records,
    head: {
      nonce: textIn(head, 'nonce', TEXT_LENGTH_MAX),
      position: textIn(head, 'position', POSITION_LENGTH_MAX),
      isEnd: flagIn(head, 'isEnd'),
      hasGap: flagIn(head, 'hasGap'),
      tag: tagFrom(head.tag),
      ...(ageMs === undefined ? {} : { ageMs: numberIn(head, 'ageMs') }),
      ...(recordsMax === undefined ? {} : { recordsMax: timeIn(head, 'recordsMax') }),
      ...(shapes === undefined ? {} : { shapes: shapesFrom(shapes) }),
    },
  }
}

export function writeReseed(head: ReseedHead, records: Buffer): Buffer {
  return writeFrame({ ...head }, records)
}

export function readReseed(bytes: Buffer): { head: ReseedHead; records: Buffer } {
  const { head, records } = readFrame(bytes)
  return {
    records,
    head: {
      giver: textIn(head, 'giver', ID_LENGTH_MAX),
      now: timeIn(head, 'now'),
      shapes: shapesFrom(head.shapes),
      end: timeIn(head, 'end'),
      isLast: flagIn(head, 'isLast'),
    },
  }
}

/** Padded, so that the records begin at a word. */
function writeFrame(head: unknown, records: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(head))
  const length = Math.ceil(json.length / 4) * 4
  const bytes = Buffer.alloc(PREFIX_BYTES + length + records.length, ' ')
  bytes.write(MAGIC, 'latin1')
  bytes.writeUInt32LE(length, MAGIC.length)
  json.copy(bytes, PREFIX_BYTES)
  records.copy(bytes, PREFIX_BYTES + length)
  return bytes
}

function readFrame(bytes: Buffer): { head: Fields; records: Buffer } {
  if (bytes.length < PREFIX_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC)
    throw malformed('a stretch of the log')
  const start = PREFIX_BYTES + bytes.readUInt32LE(MAGIC.length)
  const records = bytes.subarray(start)
  if (start > bytes.length || records.length % RECORD_BYTES !== 0 || records.length > FRAME_BYTES_MAX)
    throw malformed('a stretch of the log')
  return { head: object(jsonFrom(bytes.subarray(PREFIX_BYTES, start)), 'the head of a stretch'), records }
}
