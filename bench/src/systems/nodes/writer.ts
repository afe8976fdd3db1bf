/** The process that writes: one revocation when it is asked, and so many a second by itself. */
import { randomUUID } from 'node:crypto'
import { ISSUER, revokedJti } from '../../tokens.js'
import { nowMs } from './clock.js'

export interface WriterRequest {
  readonly url: string
  /** A namespace of ours, or the key of a stream. */
  readonly source: string
  readonly into: 'log' | 'stream'
  /** Written by itself. */
  readonly perSecond: number
}

interface Writer {
  write(jti: string): Promise<unknown>
  close(): Promise<unknown>
}

const STEP_MS = 10
/** A moment in which the machine stands still is no failure: it shows in the times. */
const TIMEOUT_MS = 10_000
const STREAM_LENGTH_MAX = 10_000

let writer: Writer | undefined
let timer: NodeJS.Timeout | undefined
let written = 0
let failures = 0

export async function open({ url, source, into, perSecond }: WriterRequest): Promise<void> {
  const opened = (writer = into === 'log' ? await logWriter(url, source) : await streamWriter(url, source))
  // Connects, and makes the history that nodes can follow.
  await opened.write(randomUUID())
  if (perSecond === 0) return
  const startedAt = nowMs()
  // Timers come late: what is due is counted from the clock.
  timer = setInterval(() => {
    const due = ((nowMs() - startedAt) / 1000) * perSecond
    for (; written < due; written++) opened.write(randomUUID()).catch(() => (failures += 1))
  }, STEP_MS)
}

/** Revokes the token with this number. Answers with the moment before the call. */
export async function revoke(index: number): Promise<number> {
  if (writer === undefined) throw new Error('the writer was not opened')
  const calledAt = nowMs()
  await writer.write(revokedJti(index))
  return calledAt
}

/** Answers with how much was written by itself. */
export async function close(): Promise<number> {
  clearInterval(timer)
  await writer?.close()
  if (failures > 0) throw new Error(`${failures} of ${written} writes failed`)
  return written
}

async function logWriter(url: string, namespace: string): Promise<Writer> {
  const { RedisConnection, RedisStore, TokenManager } = await import('rescind')
  const store = new RedisStore(new RedisConnection({ url, writeTimeoutMs: TIMEOUT_MS }), { namespace })
  const manager = new TokenManager({ store, replica: false })
  return { write: (jti) => manager.revoke({ iss: ISSUER, jti }), close: () => manager.close() }
}

async function streamWriter(url: string, key: string): Promise<Writer> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(url)
  return {
    write: (jti) => redis.xadd(key, 'MAXLEN', '~', STREAM_LENGTH_MAX, '*', 'jti', jti, 'end', '4102444800'),
    close: () => redis.quit(),
  }
}
