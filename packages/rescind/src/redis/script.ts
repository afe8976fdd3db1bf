/**
 * The scripts that write: a change, with record, log, meta and shapes together and never shortening a life; a shape
 * by itself, for a cluster whose partitions do not share its slot; a mark of a family of refresh tokens; and what a
 * store has lost, given back.
 *
 * Expiry is relative (`end` minus the caller's clock), so a server with another clock removes nothing early.
 */
import { BEGINNING, MARK_FORMAT } from '../core/mark.js'
import { RECORD_BYTES } from '../core/record.js'
import { TIME_MAX } from '../core/revocation.js'
import { BELL, CLOCK, FORMAT_UNKNOWN_REPLY, LOG, NEW_LOG, RAW, RECORD, STATEMENTS, USE_SHAPE } from './lua.js'

/** The keys that the script is given, in order. All carry the partition's hash tag. */
export const CHANGE_KEYS = ['record', 'meta', 'shapes', 'log'] as const

/** The arguments of the script, in order. `digest`, `target` and `details` are bytes; the rest is text. */
export interface ChangeArguments {
  readonly operation: number
  readonly now: number
  readonly digest: Buffer
  readonly end: number
  readonly issuedBefore: number
  readonly epoch: string
  /** Empty where the shapes are registered apart. */
  readonly shape: string
  /** As `packTarget` makes it; the script only keeps it. */
  readonly target: Buffer
  /** As `packDetails` makes it. */
  readonly details: Buffer
  /** How many partitions the writer thinks there are. */
  readonly partitions: number
  /** The channel of the doorbell. */
  readonly bell: string
  /** `WAIT` follows: it counts from the last write of its connection, so there must be one. */
  readonly isWaited: boolean
  /** When the statement was made; not before the restores that the caller knows of. */
  readonly at: number
}

export function changeArguments(change: ChangeArguments): (string | number | Buffer)[] {
  const { operation, now, digest, end, issuedBefore, epoch, shape, target, details, partitions, bell } =
    change
  const isWaited = change.isWaited ? 1 : 0
  return [
    operation,
    now,
    digest,
    end,
    issuedBefore,
    epoch,
    shape,
    target,
    details,
    partitions,
    bell,
    isWaited,
    change.at,
  ]
}

/**
 * Registers a shape by itself. Keys: meta, shapes. Arguments: now, end, epoch if new, shape, partitions, whether
 * `WAIT` follows.
 */
export const SHAPE_SCRIPT = `
local meta, shapes = KEYS[1], KEYS[2]
local now = tonumber(ARGV[1])
${CLOCK}${RAW}${USE_SHAPE}${NEW_LOG}
local epoch = redis.call('HGET', meta, 'epoch')
local torn = epoch and 0 or latestOf(shapes)
local refused = useShape(shapes, epoch or ARGV[3], ARGV[5], ARGV[4], tonumber(ARGV[2]), earlier)
if refused then return refused end
if not epoch then newLog(meta, ARGV[3], torn) end
if ARGV[6] == '1' then redis.call('HSET', meta, 'waited', text(now)) end
return 1
`

export const CHANGE_REPLY_LENGTH = 7

/**
 * Returns `[changed, record, epoch, segment, size, chain, end]`: 1 or 0, the record as it now stands (false when there
 * is none), where the log ends, and until when the line is needed that the log got; '0' where it got none.
 */
export const CHANGE_SCRIPT = `
local record, meta, shapes, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local operation, now, digest = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local finish, before = tonumber(ARGV[4]), tonumber(ARGV[5])
local newEpoch, shape, target, details = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local partitions, bell, isWaited, madeAt = ARGV[10], ARGV[11], ARGV[12] == '1', tonumber(ARGV[13])
${CLOCK}${RAW}${USE_SHAPE}${RECORD}${STATEMENTS}${NEW_LOG}${LOG}${BELL}
local function unchanged(value)
  local place = redis.call('HMGET', meta, 'epoch', 'segment', 'size', 'chain')
  return { 0, value, place[1] or '', place[2] or '0', place[3] or '0', place[4] or '0', '0' }
end

-- The state as it stands.
local restoredAt, held = 0, {}
local current = redis.call('GET', record)
if current then
  local named
  restoredAt, held, named = readState(current)
  if not restoredAt then return redis.error_reply('${FORMAT_UNKNOWN_REPLY}') end
  if named ~= UNNAMED then target = named end
end

-- The state as it will be, and what the log will say.
local at, kept
if operation == REVOKE then
  local made = { at = math.max(madeAt, restoredAt + 1), finish = finish, before = before }
  if made.at > ${TIME_MAX} then return redis.error_reply('${FORMAT_UNKNOWN_REPLY}') end
  made.flags, made.texts = string.byte(details), string.sub(details, 2)
  kept = add(held, made)
  if not kept then
    if isWaited then redis.call('HSET', meta, 'waited', text(now)) end
    return unchanged(current)
  end
  at, finish, before = made.at, made.finish, made.before
else
  -- What the caller knows and this server has lost is restored like what stands here.
  local latest = before
  if latest <= restoredAt or finish + GRACE <= earlier then latest, finish = 0, 0 end
  if #held == 0 and finish == 0 then return unchanged(current) end
  restoredAt = math.max(now, latest)
  for _, entry in ipairs(held) do
    restoredAt = math.max(restoredAt, entry.at)
    finish = math.max(finish, entry.finish)
  end
  at, before, kept = restoredAt, 0, {}
end

-- Epoch and shapes. The shapes stand in a key of their own, so that one MGET reads them with the records.
local epoch = redis.call('HGET', meta, 'epoch')
local isNew, torn = not epoch, 0
if isNew then epoch, torn = newEpoch, latestOf(shapes) end
-- A restore needs no shape, but the shapes tell of a new log.
if shape ~= '' and (operation == REVOKE or isNew) then
  local refused = useShape(shapes, epoch, partitions, shape, finish, earlier)
  if refused and operation == REVOKE then return refused end
end

local value, life = writeState(record, current, restoredAt, kept, target, finish)
if isNew then newLog(meta, epoch, torn) end
openLog(meta)
append(meta, log, epoch, operation, digest, finish, before, at, life)
ring(meta, bell)
return { 1, value, epoch, text(segment), text(size), text(chain), text(finish) }
`

/**
 * Moves a mark forward as `core/mark.ts` describes it, and never shortens its life. Keys: the mark. Arguments: now,
 * until when it is kept, its generation, the packed mark. Returns `[1 or 0, the mark as it now stands or false]`.
 * What stands is written anew each time: `WAIT` counts from the last write of its connection.
 */
export const MARK_SCRIPT = `
local key, now, finish, generation = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held, moved = redis.call('GET', key), 0
if held then
  local last = tonumber(string.match(held, '^${MARK_FORMAT} (%d+) '))
  if not last then return redis.error_reply('${FORMAT_UNKNOWN_REPLY}') end
  if generation > last then held, moved = ARGV[4], 1 end
elseif generation == ${BEGINNING} then
  held, moved = ARGV[4], 1
else
  return { 0, false }
end
local life = math.max(redis.call('PTTL', key), (finish - now) * 1000, 1)
redis.call('SET', key, held, 'PX', string.format('%.0f', life))
return { moved, held }
`

export const MARK_REPLY_LENGTH = 2

/** So long a node has the giving back for itself after each of its commands. */
const RESEED_TURN_MS = 1000
/** The reply while another node has it. */
export const RESEED_BUSY = -1

/**
 * Gives back what the log does not say any more, as records of the log: statements and restores with the times they
 * were made at. One node at a time, or the log would grow with their number: a record may stand, and its line be
 * lost. Keys: meta, log, the records. Arguments: now, epoch if new, bell, the records of the log in one, who gives,
 * whether these are the last.
 * `isLast`: the giver had read all of the log, and has given all of it. Returns how many lines were written, or
 * `RESEED_BUSY`.
 */
export const RESEED_SCRIPT = `
local meta, log = KEYS[1], KEYS[2]
local now, newEpoch, bell, lines, giver = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local isLast = ARGV[6] == '1'
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local turn = redis.call('HMGET', meta, 'giver', 'giverUntil')
local left = tonumber(turn[2] or '0') - ms
-- Who has nothing to give need not wait: what it knows, the log says.
if #lines > 0 and turn[1] and turn[1] ~= giver and left > 0 and left <= ${RESEED_TURN_MS} then return ${RESEED_BUSY} end
${CLOCK}${RAW}${RECORD}${STATEMENTS}${NEW_LOG}${LOG}${BELL}
local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then
  if #lines == 0 then return 0 end
  epoch = newEpoch
  newLog(meta, epoch, 0)
end
openLog(meta)
local given = 0
for i = 3, #KEYS do
  local record, start = KEYS[i], (i - 3) * ${RECORD_BYTES}
  local digest = string.sub(lines, start + 1, start + 16)
  local finish, before, at, kind = struct.unpack('<I4I4I4B', lines, start + 17)
  local restoredAt, held, target, kept = 0, {}, UNNAMED, nil
  local current = redis.call('GET', record)
  if current then restoredAt, held, target = readState(current) end
  -- A record that cannot be read is left alone, and the others are given all the same.
  local isVoid, life = not restoredAt, nil
  if not isVoid and kind % 16 == REVOKE then
    isVoid = at <= restoredAt
    local made = { at = at, finish = finish, before = before, flags = 0, texts = '' }
    if not isVoid then kept = add(held, made) end
    at, finish, before = made.at, made.finish, made.before
  elseif not isVoid then
    isVoid = at < restoredAt
    if at > restoredAt then
      restoredAt, kept = at, {}
      for _, entry in ipairs(held) do if entry.at > at then kept[#kept + 1] = entry end end
    end
  end
  if isVoid and restoredAt then
    -- The record tells of a restore that the giver does not know: the log shall, too.
    append(meta, log, epoch, RESTORE, digest, finish, 0, restoredAt, math.max(redis.call('PTTL', record), 1))
    given = given + 1
  elseif not isVoid then
    if kept then
      local _
      _, life = writeState(record, current, restoredAt, kept, target, finish)
    else
      life = math.max(redis.call('PTTL', record), 1)
    end
    append(meta, log, epoch, kind % 16, digest, finish, before, at, life)
    given = given + 1
  end
end
if isLast then mend(meta, log) end
-- Kept after the last, too: who asks next has read what was given.
if #lines > 0 then redis.call('HSET', meta, 'giver', giver, 'giverUntil', text(ms + ${RESEED_TURN_MS})) end
if given > 0 then ring(meta, bell) end
return given
`
