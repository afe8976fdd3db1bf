/**
 * Fills a Redis with a million revocations in a second, where revoking one by one would take minutes.
 *
 * The log is written as the library's script would have written it: packed segments with their chain, meta and
 * the list of shapes. There are no records, so a strict check finds nothing of it; replicas read only the log.
 */
import { randomBytes, randomFillSync } from 'node:crypto'
import { Redis } from 'ioredis'
import { digestToBytes, targetDigest } from '../../packages/rescind/src/core/digest.js'
import {
  chainNext,
  chainStart,
  FORMAT_VERSION,
  OPERATION_REVOKE,
  RECORD_BYTES,
  SEGMENT_BYTES_MAX,
} from '../../packages/rescind/src/core/record.js'
import { ANY_TIME } from '../../packages/rescind/src/core/revocation.js'
import { shapeKey } from '../../packages/rescind/src/stores/store.js'
import { ISSUER, revokedJti, secondsNow } from './tokens.js'

/** Longer than any run takes. */
export const FILL_LIFETIME_SECONDS = 86_400
/** Names are made, and digests computed, for so many; the others have random digests, which cost less. */
export const NAMED_MAX = 1_000_000
export const ONE_SHAPE = [['iss', 'jti']] as const
export const FOUR_SHAPES = [['client_id'], ['iss', 'jti'], ['sid'], ['sub']] as const

const SECONDS_PER_DAY = 86_400
const RECORDS_PER_SEGMENT = SEGMENT_BYTES_MAX / RECORD_BYTES - 1
const DIGEST_BYTES = 16
const PARTITIONS = 1

export interface FillOptions {
  readonly url: string
  readonly namespace: string
  readonly count: number
  /** The shapes that are said to be in use; what is revoked are tokens by `{ iss, jti }`. */
  readonly shapes?: readonly (readonly string[])[]
}

/** Revokes `revokedJti(0)` and so on, up to `NAMED_MAX` by name. The namespace must be empty. */
export async function fillLog({ url, namespace, count, shapes = ONE_SHAPE }: FillOptions): Promise<void> {
  const redis = new Redis(url)
  const prefix = `rescind:{${namespace}.0}:`
  const now = secondsNow()
  const end = now + FILL_LIFETIME_SECONDS
  const epoch = randomBytes(8).toString('hex')
  const meta: Record<string, string | number> = { epoch, version: FORMAT_VERSION }
  let chain = chainStart(epoch)
  try {
    if ((await redis.exists(`${prefix}meta`)) === 1)
      throw new Error(`the namespace ${namespace} is not empty`)
    for (let first = 0, segment = 1; first < count; first += RECORDS_PER_SEGMENT, segment++) {
      const records = Math.min(RECORDS_PER_SEGMENT, count - first)
      const bytes = segmentOf({ first, records, end, now, epoch, segment, chain })
      chain = chainAfter(chain, bytes)
      await redis.set(`${prefix}log:${segment}`, bytes, 'EX', FILL_LIFETIME_SECONDS)
      meta[`s:${segment}`] = end
      meta.segment = segment
      meta.size = bytes.length
    }
    await redis.hset(`${prefix}meta`, { ...meta, chain })
    const day = Math.ceil(end / SECONDS_PER_DAY) * SECONDS_PER_DAY
    const lines = [`${epoch} ${PARTITIONS}`, ...shapes.map((shape) => `${day} ${shapeKey(shape)}`)]
    await redis.set(`${prefix}shapes`, lines.join('\n'))
  } finally {
    redis.disconnect()
  }
}

/** So many keys `bl:JTI` with a life, made by the server itself. */
export async function fillJtiKeys(url: string, count: number): Promise<void> {
  await fillByScript(url, count, `redis.call('SET', 'bl:' .. jti, 1, 'EX', ${FILL_LIFETIME_SECONDS})`)
}

/** A sorted set of so many jti, each with the end of its token as the score. */
export async function fillSortedSet(url: string, key: string, count: number): Promise<void> {
  const end = secondsNow() + FILL_LIFETIME_SECONDS
  await fillByScript(url, count, `redis.call('ZADD', '${key}', ${end}, jti)`)
}

const SCRIPT_STEP = 20_000

async function fillByScript(url: string, count: number, command: string): Promise<void> {
  const redis = new Redis(url)
  const script = `
    for i = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do
      local h = redis.sha1hex('filler ' .. i)
      local jti = h:sub(1, 8) .. '-' .. h:sub(9, 12) .. '-4' .. h:sub(14, 16) .. '-a' .. h:sub(18, 20) .. '-' .. h:sub(21, 32)
      ${command}
    end`
  try {
    for (let first = 0; first < count; first += SCRIPT_STEP) {
      await redis.eval(script, 0, first, Math.min(first + SCRIPT_STEP, count))
    }
  } finally {
    redis.disconnect()
  }
}

interface SegmentParts {
  /** The number of its first record among all. */
  readonly first: number
  readonly records: number
  readonly end: number
  readonly now: number
  readonly epoch: string
  readonly segment: number
  readonly chain: number
}

function segmentOf({ first, records, end, now, epoch, segment, chain }: SegmentParts): Buffer {
  const bytes = Buffer.alloc((records + 1) * RECORD_BYTES)
  bytes.write('RSL1', 0, 'latin1')
  bytes.write(epoch, 4, 'hex')
  bytes.writeUInt32LE(segment, 12)
  bytes.writeUInt32LE(chain, 16)
  bytes.writeUInt32LE(now, 20)
  const digests = randomFillSync(Buffer.allocUnsafe(records * DIGEST_BYTES))
  let after = chain
  for (let i = 0; i < records; i++) {
    const at = (i + 1) * RECORD_BYTES
    if (first + i < NAMED_MAX) revokedDigest(first + i).copy(bytes, at)
    else digests.copy(bytes, at, i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
    bytes.writeUInt32LE(end, at + 16)
    bytes.writeUInt32LE(ANY_TIME, at + 20)
    bytes.writeUInt32LE(now, at + 24)
    bytes[at + 28] = FORMAT_VERSION * 16 + OPERATION_REVOKE
    after = chainNext(after, bytes, at)
    bytes.writeUIntLE(after >>> 8, at + 29, 3)
  }
  return bytes
}

function chainAfter(chain: number, segment: Buffer): number {
  let after = chain
  for (let at = RECORD_BYTES; at < segment.length; at += RECORD_BYTES) after = chainNext(after, segment, at)
  return after
}

/** Kept for the next log, which begins with the same ones. */
const revokedDigests: Buffer[] = []

function revokedDigest(index: number): Buffer {
  revokedDigests[index] ??= digestToBytes(targetDigest(['iss', 'jti'], [ISSUER, revokedJti(index)]))
  return revokedDigests[index]
}
