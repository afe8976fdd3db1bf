/** The log in the model of Redis: segments of packed records, and what meta says of them. */
import { digestFromBytes } from '../../src/core/digest.js'
import {
  chainNext,
  chainStart,
  FORMAT_VERSION,
  RECORD_BYTES,
  SEGMENT_BYTES_MAX,
  writeRecord,
} from '../../src/core/record.js'
import { PRUNE_GRACE_SECONDS } from '../../src/core/revocation.js'
import type { ModelRedis } from './model-redis.js'

const WORD = 2 ** 32

/** A line of the log, before its chain check. */
export interface Line {
  readonly operation: number
  readonly digest: Buffer
  readonly end: number
  readonly issuedBefore: number
  readonly at: number
}

export function append(
  redis: ModelRedis,
  { meta, log }: { readonly meta: string; readonly log: string },
  line: Line,
  { epoch, life, now, earlier }: { epoch: string; life: number; now: number; earlier: number },
): void {
  let segment = Number(redis.hget(meta, 'segment'))
  let chain = Number(redis.hget(meta, 'chain'))
  const size = segment > 0 ? redis.strlen(log + text(segment)) : 0
  let header: Buffer = Buffer.alloc(0)
  if (size === 0 || size + RECORD_BYTES > SEGMENT_BYTES_MAX) {
    do segment += 1
    while (redis.exists(log + text(segment)) === 1)
    header = segmentHeader(epoch, segment, chain, now)
    for (const [field, value] of redis.hgetall(meta)) {
      if (field.startsWith('s:') && Number(value) + PRUNE_GRACE_SECONDS < earlier) redis.hdel(meta, field)
    }
  }
  const packed = Buffer.alloc(RECORD_BYTES)
  writeRecord(packed, 0, { ...line, digest: digestFromBytes(line.digest, 0) })
  chain = chainNext(chain, packed, 0)
  packed.writeUIntLE(chain >>> 8, 29, 3)
  const key = log + text(segment)
  const length = redis.append(key, Buffer.concat([header, packed]))
  if (redis.pttl(key) < life) redis.pexpire(key, life)
  const last = Number(redis.hget(meta, `s:${segment}`) ?? 0)
  redis.hset(meta, {
    segment: text(segment),
    chain: text(chain),
    size: text(length),
    [`s:${segment}`]: text(Math.max(last, line.end)),
  })
}

function segmentHeader(epoch: string, segment: number, chain: number, now: number): Buffer {
  const header = Buffer.alloc(RECORD_BYTES)
  header.write('RSL1', 'latin1')
  header.write(epoch, 4, 'hex')
  header.writeUInt32LE(segment, 12)
  header.writeUInt32LE(chain, 16)
  header.writeUInt32LE(now % WORD, 20)
  return header
}

export function newLog(redis: ModelRedis, meta: string, epoch: string, torn: number): void {
  const chain = text(chainStart(epoch))
  redis.hset(meta, { epoch, version: text(FORMAT_VERSION), segment: '0', size: '0', chain })
  if (torn > 0) redis.hset(meta, { torn: text(torn) })
}

export function mend(redis: ModelRedis, meta: string, log: string): void {
  redis.hdel(meta, 'torn')
  for (const field of redis.hgetall(meta).keys()) {
    const number = /^s:(\d+)$/.exec(field)?.[1]
    if (number !== undefined && redis.exists(log + number) === 0) redis.hdel(meta, field)
  }
}

/** As Redis keeps numbers. */
export function text(number: number): string {
  return number.toFixed(0)
}
