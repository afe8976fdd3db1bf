/**
 * The scripts of `redis/script` as functions over the model of Redis: what they read, write and answer. Written from
 * their Lua, with the rule of `core/revocation` and the formats of `core/record`; `model-redis.test.ts` compares both
 * on a real server.
 */
import { FORMAT_VERSION, OPERATION_RESTORE, OPERATION_REVOKE, RECORD_BYTES } from '../../src/core/record.js'
import { type Entry, PRUNE_GRACE_SECONDS, revoke, type State } from '../../src/core/revocation.js'
import type { ChangeReply } from '../../src/redis/client.js'
import { FORMAT_UNKNOWN_REPLY } from '../../src/redis/lua.js'
import { parseRecord, UNNAMED_CLAIMS } from '../../src/redis/record.js'
import { type ChangeArguments, RESEED_BUSY } from '../../src/redis/script.js'
import { append, type Line, mend, newLog, text } from './model-log.js'
import { packHeld, readHeld } from './model-record.js'
import { type ModelRedis, ReplyError } from './model-redis.js'
import { latestOf, useShape } from './model-shapes.js'

const BELL_PERIOD_MS = 100
const BELL_NODES_PER_MS = 4
const BELL_SILENCE_MAX_MS = 60_000
const RESEED_TURN_MS = 1000

export interface ChangeKeys {
  readonly record: string
  readonly meta: string
  readonly shapes: string
  readonly log: string
}

export interface ShapeArguments {
  readonly now: number
  readonly end: number
  readonly epoch: string
  readonly shape: string
  readonly partitions: number
  readonly isWaited: boolean
}

export interface ReseedArguments {
  readonly meta: string
  readonly log: string
  /** The key of the record of each line. */
  readonly records: readonly string[]
  readonly now: number
  readonly epoch: string
  readonly bell: string
  readonly lines: Buffer
  readonly giver: string
  readonly isLast: boolean
}

export function change(redis: ModelRedis, keys: ChangeKeys, wanted: ChangeArguments): ChangeReply {
  return redis.script(() => {
    const { operation, now, shape, partitions, isWaited } = wanted
    const isRevoke = operation === OPERATION_REVOKE
    const earlier = earlierOf(redis, now)
    const current = redis.get(keys.record)
    const held = readHeld(current, earlier)
    if (held === undefined) throw new ReplyError(FORMAT_UNKNOWN_REPLY)
    const isNamed = current !== undefined && held.target[0] !== UNNAMED_CLAIMS
    const target = isNamed ? held.target : wanted.target

    const made = isRevoke ? revoked(held.state, wanted, earlier) : restored(held.state, wanted, earlier)
    if (made === undefined) {
      if (isRevoke && isWaited) redis.hset(keys.meta, { waited: text(now) })
      return answer(redis, keys.meta, 0, current)
    }

    let epoch = redis.hget(keys.meta, 'epoch')
    const isNew = epoch === undefined
    const torn = isNew ? latestOf(redis, keys.shapes) : 0
    epoch ??= wanted.epoch
    if (shape !== '' && (isRevoke || isNew)) {
      const refused = useShape(redis, keys.shapes, { epoch, shape, end: made.line.end, partitions, earlier })
      if (refused !== undefined && isRevoke) throw new ReplyError(refused)
    }
    const value = packHeld({ state: made.state, target })
    const life = writeRecordWithLife(redis, keys.record, value, made.state.restoredAt, made.line.end, now)
    if (isNew) newLog(redis, keys.meta, epoch, torn)
    append(redis, keys, { ...made.line, digest: wanted.digest, operation }, { epoch, life, now, earlier })
    ring(redis, keys.meta, wanted.bell)
    return answer(redis, keys.meta, 1, value, made.line.end)
  })
}

/** Registers a shape by itself. */
export function shape(redis: ModelRedis, meta: string, shapes: string, wanted: ShapeArguments): number {
  return redis.script(() => {
    const epoch = redis.hget(meta, 'epoch')
    const torn = epoch === undefined ? latestOf(redis, shapes) : 0
    const earlier = earlierOf(redis, wanted.now)
    const refused = useShape(redis, shapes, { ...wanted, epoch: epoch ?? wanted.epoch, earlier })
    if (refused !== undefined) throw new ReplyError(refused)
    if (epoch === undefined) newLog(redis, meta, wanted.epoch, torn)
    if (wanted.isWaited) redis.hset(meta, { waited: text(wanted.now) })
    return 1
  })
}

export function reseed(redis: ModelRedis, wanted: ReseedArguments): number {
  return redis.script(() => {
    const { meta, log, records, now, lines, giver } = wanted
    const ms = Math.floor(redis.nowMs)
    const other = redis.hget(meta, 'giver')
    const left = Number(redis.hget(meta, 'giverUntil') ?? 0) - ms
    const isTaken = other !== undefined && other !== giver && left > 0 && left <= RESEED_TURN_MS
    if (isTaken && lines.length > 0) return RESEED_BUSY
    const earlier = earlierOf(redis, now)
    let epoch = redis.hget(meta, 'epoch')
    if (epoch === undefined) {
      if (lines.length === 0) return 0
      epoch = wanted.epoch
      newLog(redis, meta, epoch, 0)
    }
    let given = 0
    for (const [i, record] of records.entries()) {
      const line = readLine(lines, i * RECORD_BYTES)
      const life = giveBack(redis, record, line, now, earlier)
      if (life === undefined) continue
      append(redis, { meta, log }, life.line, { epoch, life: life.ms, now, earlier })
      given += 1
    }
    if (wanted.isLast) mend(redis, meta, log)
    if (lines.length > 0) redis.hset(meta, { giver, giverUntil: text(ms + RESEED_TURN_MS) })
    if (given > 0) ring(redis, meta, wanted.bell)
    return given
  })
}

/**
 * Merges one line into its record, and gives the line that the log shall have: of a restore in its place, where the
 * record tells of one that voids it. Undefined for a record that cannot be read.
 */
function giveBack(
  redis: ModelRedis,
  record: string,
  line: Line,
  now: number,
  earlier: number,
): { line: Line; ms: number } | undefined {
  const held = readHeld(redis.get(record), earlier)
  if (held === undefined) return undefined
  const { state, target } = held
  const write = (next: State, end: number) =>
    writeRecordWithLife(redis, record, packHeld({ state: next, target }), next.restoredAt, end, now)
  const standing = () => Math.max(redis.pttl(record), 1)
  const told = () => {
    const restore = { operation: OPERATION_RESTORE, issuedBefore: 0, at: state.restoredAt }
    return { line: { ...line, ...restore }, ms: standing() }
  }
  if (line.operation === OPERATION_REVOKE) {
    if (line.at <= state.restoredAt) return told()
    const { at, end, issuedBefore } = line
    const { state: next, made } = revoke(state, { at, end, issuedBefore }, -Infinity)
    // What stands already is said again: its line may be lost.
    if (made === undefined) return { line, ms: standing() }
    return { line: { ...line, ...made }, ms: write(next, made.end) }
  }
  if (line.at < state.restoredAt) return told()
  if (line.at === state.restoredAt) return { line, ms: standing() }
  const next = { restoredAt: line.at, entries: state.entries.filter(({ at }) => at > line.at) }
  return { line, ms: write(next, line.end) }
}

interface Made {
  readonly state: State
  readonly line: { readonly at: number; readonly end: number; readonly issuedBefore: number }
}

function revoked(state: State, wanted: ChangeArguments, earlier: number): Made | undefined {
  const { at, end, issuedBefore } = wanted
  const entry: Entry = { at, end, issuedBefore, ...detailsOf(wanted) }
  const { state: next, made } = revoke(state, entry, earlier)
  return made === undefined ? undefined : { state: next, line: made }
}

/** What the caller knows and this server has lost is restored like what stands here. */
function restored(state: State, wanted: ChangeArguments, earlier: number): Made | undefined {
  const { now, issuedBefore, end } = wanted
  const isKnown = issuedBefore > state.restoredAt && end + PRUNE_GRACE_SECONDS > earlier
  const finish = isKnown ? end : 0
  if (state.entries.length === 0 && finish === 0) return undefined
  const restoredAt = Math.max(now, isKnown ? issuedBefore : 0, ...state.entries.map(({ at }) => at))
  const latest = Math.max(finish, ...state.entries.map((entry) => entry.end))
  return { state: { restoredAt, entries: [] }, line: { at: restoredAt, end: latest, issuedBefore: 0 } }
}

/** Reason and actor, unpacked by way of a record that has them. */
function detailsOf({ details, target }: ChangeArguments): Pick<Entry, 'reason' | 'actor'> {
  const head = Buffer.from([FORMAT_VERSION * 32 + 1, details[0] as number, 0, 0, 0, 0, 0])
  const entry = parseRecord(Buffer.concat([head, details.subarray(1), target])).state.entries[0] as Entry
  const { reason, actor } = entry
  return { ...(reason === undefined ? {} : { reason }), ...(actor === undefined ? {} : { actor }) }
}

/** Writes a record with a life that is never shorter than before; returns that life, in milliseconds. */
function writeRecordWithLife(
  redis: ModelRedis,
  key: string,
  value: Buffer,
  restoredAt: number,
  end: number,
  now: number,
): number {
  const life = Math.max(redis.pttl(key), (end - now) * 1000, 1)
  const ofRestore = restoredAt > 0 ? (restoredAt + PRUNE_GRACE_SECONDS - now) * 1000 : 0
  redis.set(key, value, Math.max(life, ofRestore))
  return life
}

function ring(redis: ModelRedis, meta: string, bell: string): void {
  const ms = Math.floor(redis.nowMs)
  const silentUntil = Number(redis.hget(meta, 'bell') ?? 0)
  if (ms < silentUntil && silentUntil - ms <= BELL_SILENCE_MAX_MS) return
  const pause = Number(redis.hget(meta, 'pause') ?? BELL_PERIOD_MS)
  const heard = redis.publish(bell, `change ${text(pause)}`)
  const next = Math.max(BELL_PERIOD_MS, Math.floor(heard / BELL_NODES_PER_MS))
  redis.hset(meta, { bell: text(ms + pause), pause: text(next) })
}

function answer(
  redis: ModelRedis,
  meta: string,
  changed: number,
  value: Buffer | undefined,
  keptUntil = 0,
): ChangeReply {
  const field = (name: string, otherwise: string) => Buffer.from(redis.hget(meta, name) ?? otherwise)
  const end = [field('epoch', ''), field('segment', '0'), field('size', '0'), field('chain', '0')] as const
  return [changed, value ?? null, ...end, Buffer.from(text(keptUntil))]
}

function readLine(lines: Buffer, offset: number): Line {
  return {
    digest: lines.subarray(offset, offset + 16),
    end: lines.readUInt32LE(offset + 16),
    issuedBefore: lines.readUInt32LE(offset + 20),
    at: lines.readUInt32LE(offset + 24),
    operation: (lines[offset + 28] as number) % 16,
  }
}

/** What has ended by both clocks is removed. */
function earlierOf(redis: ModelRedis, now: number): number {
  return Math.min(now, redis.time()[0])
}
