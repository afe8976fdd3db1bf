/**
 * A write that its replicas confirm: the script and `WAIT` (or `WAITAOF`) in one pipeline on one connection, for they
 * speak of what their own connection wrote last. On a cluster, whose replicas follow each primary by itself, the
 * pipeline goes to the primary of its keys.
 */
import { RescindError } from '../errors.js'
import type { RedisClient } from './client.js'
import { refusalOf } from './failure.js'

export interface Confirmation {
  /** So many replicas must confirm. */
  readonly replicas: number
  /** With the disk of the primary and of these replicas. */
  readonly onDisk: boolean
  readonly waitMs: number
}

export interface Confirmed<T> {
  readonly reply: T
  /** The write is done, and this is what is missing of its confirmation. */
  readonly shortfall?: RescindError
}

export type ScriptName = 'rescindChangeBuffer' | 'rescindShape' | 'rescindMark'
const MOVED = /^(MOVED|ASK|TRYAGAIN)\b/

type Script = (...parameters: (string | number | Buffer)[]) => unknown

/** Rejects when the write itself failed, or nobody knows. */
export async function writeAndWait<T>(
  client: RedisClient,
  script: ScriptName,
  parameters: readonly (string | number | Buffer)[],
  confirmation: Confirmation,
): Promise<Confirmed<T>> {
  try {
    return await writeOnce<T>(client, script, parameters, confirmation)
  } catch (error) {
    if (!(error instanceof Error) || !MOVED.test(error.message)) throw error
    // The client follows a move by itself, but not in a pipeline: a command that asks for the key finds its way.
    await client.exists(String(parameters[0]))
    return writeOnce<T>(client, script, parameters, confirmation)
  }
}

async function writeOnce<T>(
  client: RedisClient,
  script: ScriptName,
  parameters: readonly (string | number | Buffer)[],
  confirmation: Confirmation,
): Promise<Confirmed<T>> {
  const { replicas, onDisk, waitMs } = confirmation
  const pipeline = client.pipeline() as ReturnType<RedisClient['pipeline']> & Record<ScriptName, Script>
  pipeline[script](...parameters)
  if (onDisk) pipeline.call('WAITAOF', 1, replicas, waitMs)
  else pipeline.wait(replicas, waitMs)
  const results = await pipeline.exec()
  const [write, waited] = results ?? []
  if (write === undefined || waited === undefined)
    throw new RescindError('ERR_STORE_UNAVAILABLE', 'Redis cannot be reached')
  if (write[0] !== null) throw write[0]
  const reply = write[1] as T
  const shortfall = onDisk ? missingOnDisk(waited, confirmation) : missingInMemory(waited, confirmation)
  return shortfall === undefined ? { reply } : { reply, shortfall }
}

type Result = readonly [Error | null, unknown]

function missingInMemory([error, count]: Result, { replicas, waitMs }: Confirmation) {
  const reached = error === null ? Number(count) : 0
  if (reached >= replicas) return undefined
  return notReached(`${reached} of ${replicas} replicas confirmed it within ${waitMs} ms`)
}

function missingOnDisk([error, counts]: Result, { replicas, waitMs }: Confirmation) {
  if (error !== null && refusalOf(error.message) === 'NOPERM') {
    return new RescindError(
      'ERR_ACK_UNSUPPORTED',
      'the primary has the write, but the user may not run WAITAOF: see the ACL rules in the documentation',
    )
  }
  if (error !== null) {
    return new RescindError(
      'ERR_ACK_UNSUPPORTED',
      'the primary has the write, but cannot say what stands on disks: onDisk needs Redis 7.2 or newer with appendonly',
    )
  }
  const [local, remote] = (Array.isArray(counts) ? counts : []).map(Number)
  if (local === 1 && remote !== undefined && remote >= replicas) return undefined
  return notReached(
    `it is ${local === 1 ? '' : 'not '}on its disk, and on those of ${remote ?? 0} of ${replicas} replicas, after ${waitMs} ms`,
  )
}

function notReached(what: string): RescindError {
  return new RescindError('ERR_ACK_NOT_REACHED', `the primary has the write, but ${what}`)
}
