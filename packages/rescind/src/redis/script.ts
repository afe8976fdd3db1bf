/**
 * The script that writes a change: record, log, meta and shapes together, never shortening a life. On a cluster
 * with several partitions the shapes live in another slot, and a second script registers them.
 *
 * It does in Lua what `core/revocation.ts` does (`revoke`, `restore`) and what `core/record.ts` describes;
 * the model test compares them on a real server. Runs on Redis 6.2 to 8 and Valkey 7.2 and newer: effects
 * replication, `struct`, `bit`, no command newer than 6.2.
 *
 * Expiry is relative (`end` minus the caller's clock), so a server with another clock removes nothing early.
 */
import { CHAIN_FACTOR, FORMAT_VERSION, RECORD_BYTES, SEGMENT_BYTES_MAX } from '../core/record.js'
import { ANY_TIME, ENTRIES_MAX, PRUNE_GRACE_SECONDS } from '../core/revocation.js'
import { SHAPES_MAX } from '../stores/store.js'
import { RECORD_LAYOUT } from './record.js'

/** The doorbell rings at most once in so many milliseconds, and less often where many nodes listen. */
const BELL_PERIOD_MS = 100
/** A thousand nodes that poll at every ring cost about as much as when they poll four times a second. */
const BELL_NODES_PER_MS = 4

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
}

export function changeArguments(change: ChangeArguments): (string | number | Buffer)[] {
  const { operation, now, digest, end, issuedBefore, epoch, shape, target, details, partitions, bell } =
    change
  return [operation, now, digest, end, issuedBefore, epoch, shape, target, details, partitions, bell]
}

/** A record is refused with these words where the script itself cannot go on. */
export const SHAPES_EXCEEDED_REPLY = 'RESCIND_SHAPES_EXCEEDED'
export const FORMAT_UNKNOWN_REPLY = 'RESCIND_FORMAT_UNKNOWN'
export const PARTITIONS_DIFFER_REPLY = 'RESCIND_PARTITIONS_DIFFER'

/**
 * Lua: registers `shape` as in use until `finish`, in the key `shapes` of the history `epoch`. The text is the
 * epoch and the number of partitions, then a line for each shape: `END NAMES_JSON`.
 */
const USE_SHAPE = `
local function useShape(shapes, epoch, partitions, shape, finish, earlier)
  local known, count, changed = {}, 0, false
  local head = epoch .. ' ' .. partitions
  local lines = redis.call('GET', shapes)
  if lines then
    local first = string.match(lines, '^[^\\n]*')
    if string.sub(first, 1, 16) == epoch and first ~= head then return redis.error_reply('${PARTITIONS_DIFFER_REPLY}') end
    for stop, name in string.gmatch(lines, '\\n(%d+) ([^\\n]*)') do
      if name == shape or tonumber(stop) + GRACE > earlier then
        known[name], count = tonumber(stop), count + 1
      else
        changed = true
      end
    end
    if first ~= head then changed = true end
  end
  -- Ends are rounded up to a day: the text that every node compares changes once a day at the most.
  local day = math.ceil(finish / 86400) * 86400
  if not known[shape] then
    if count >= ${SHAPES_MAX} then return redis.error_reply('${SHAPES_EXCEEDED_REPLY}') end
    known[shape], changed = day, true
  elseif known[shape] < day then
    known[shape], changed = day, true
  end
  if not changed then return nil end
  local names, out = {}, { head }
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do out[#out + 1] = text(known[name]) .. ' ' .. name end
  redis.call('SET', shapes, table.concat(out, '\\n'))
end
`

const RAW = `
local function raw(hex) return (string.gsub(hex, '%x%x', function(h) return string.char(tonumber(h, 16)) end)) end
local function chainStart(epoch) return (struct.unpack('<I4', raw(epoch))) end
`

/** Registers a shape by itself. Keys: meta, shapes. Arguments: now, end, epoch if new, shape, partitions. */
export const SHAPE_SCRIPT = `
local meta, shapes = KEYS[1], KEYS[2]
local GRACE = ${PRUNE_GRACE_SECONDS}
local earlier = math.min(tonumber(ARGV[1]), tonumber(redis.call('TIME')[1]))
local function text(number) return string.format('%.0f', number) end
${RAW}${USE_SHAPE}
local epoch = redis.call('HGET', meta, 'epoch')
local refused = useShape(shapes, epoch or ARGV[3], ARGV[5], ARGV[4], tonumber(ARGV[2]), earlier)
if refused then return refused end
if not epoch then
  redis.call('HSET', meta, 'epoch', ARGV[3], 'version', '${FORMAT_VERSION}', 'segment', '0', 'size', '0',
    'chain', text(chainStart(ARGV[3])))
end
return 1
`

/**
 * Lua: reads and writes records as `record.ts` describes them. Of texts it knows only where they end; `restOf` is
 * the length of a text behind its head.
 */
const RECORD = `
local function restOf(bytes, place)
  local head = string.byte(bytes, place)
  if head < 128 then return head end
  if head < 192 then return 1 + (head - 128) * 256 + string.byte(bytes, place + 1) end
  return head == 192 and 16 or head == 193 and 32 or 0
end
local function hasFlag(byte, flag) return byte % (2 * flag) >= flag end
local function readTime(bytes, place) return struct.unpack('<I4', bytes, place) end

-- A statement keeps its details as it was given them: their flags, and their texts in one string.
local function readEntry(bytes, place)
  local first = string.byte(bytes, place)
  local entry, before = {}, first % 4
  entry.at, place = readTime(bytes, place + 1)
  if hasFlag(first, ${RECORD_LAYOUT.endedEarly}) then
    entry.finish, place = readTime(bytes, place)
  else
    local byte, factor = nil, 1
    entry.finish = entry.at
    repeat
      byte = string.byte(bytes, place)
      entry.finish, factor, place = entry.finish + byte % 128 * factor, factor * 128, place + 1
    until byte < 128
  end
  if before == ${RECORD_LAYOUT.beforeAny} then
    entry.before = ${ANY_TIME}
  elseif before == ${RECORD_LAYOUT.beforeAt} then
    entry.before = entry.at
  else
    entry.before, place = readTime(bytes, place)
  end
  local start = place
  entry.flags = 0
  for _, flag in ipairs({ ${RECORD_LAYOUT.reason}, ${RECORD_LAYOUT.actor} }) do
    if hasFlag(first, flag) then
      entry.flags, place = entry.flags + flag, place + 1 + restOf(bytes, place)
    end
  end
  entry.texts = string.sub(bytes, start, place - 1)
  return entry, place
end

-- When it was restored, the statements, and the target's bytes.
local function readRecord(bytes)
  local first, place, restored, entries = string.byte(bytes, 1), 2, 0, {}
  if math.floor(first / ${RECORD_LAYOUT.versionStep}) ~= ${FORMAT_VERSION} then error('another version') end
  if hasFlag(first, ${RECORD_LAYOUT.restored}) then restored, place = readTime(bytes, place) end
  for i = 1, first % ${RECORD_LAYOUT.restored} do entries[i], place = readEntry(bytes, place) end
  if place > #bytes then error('it ends too early') end
  return restored, entries, string.sub(bytes, place)
end

local function packEntry(entry)
  local first, finish, before = entry.flags, '', ''
  if entry.finish < entry.at then
    first, finish = first + ${RECORD_LAYOUT.endedEarly}, struct.pack('<I4', entry.finish)
  else
    local rest = entry.finish - entry.at
    while rest >= 128 do
      finish, rest = finish .. string.char(rest % 128 + 128), math.floor(rest / 128)
    end
    finish = finish .. string.char(rest)
  end
  if entry.before == ${ANY_TIME} then
    first = first + ${RECORD_LAYOUT.beforeAny}
  elseif entry.before == entry.at then
    first = first + ${RECORD_LAYOUT.beforeAt}
  else
    first, before = first + ${RECORD_LAYOUT.beforeGiven}, struct.pack('<I4', entry.before)
  end
  return string.char(first) .. struct.pack('<I4', entry.at) .. finish .. before .. entry.texts
end

local function packRecord(restored, entries, target)
  local first, parts = ${FORMAT_VERSION * RECORD_LAYOUT.versionStep} + #entries, { '', '' }
  if restored > 0 then first, parts[2] = first + ${RECORD_LAYOUT.restored}, struct.pack('<I4', restored) end
  parts[1] = string.char(first)
  for _, entry in ipairs(entries) do parts[#parts + 1] = packEntry(entry) end
  return table.concat(parts) .. target
end
`

/**
 * Returns `[changed, record, epoch, segment, size, chain]`: 1 or 0, the record as it now stands (false when there
 * is none), and where the log ends.
 */
export const CHANGE_SCRIPT = `
local record, meta, shapes, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local operation, now, digest = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local finish, before = tonumber(ARGV[4]), tonumber(ARGV[5])
local newEpoch, shape, target, details = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local partitions, bell = ARGV[10], ARGV[11]
local GRACE, REVOKE = ${PRUNE_GRACE_SECONDS}, 1

-- What has ended by both clocks is removed: a node whose clock is fast removes nothing early.
local earlier = math.min(now, tonumber(redis.call('TIME')[1]))
local function text(number) return string.format('%.0f', number) end
${RAW}${USE_SHAPE}${RECORD}
local function answer(changed, value)
  local end_ = redis.call('HMGET', meta, 'epoch', 'segment', 'size', 'chain')
  return { changed, value, end_[1] or '', end_[2] or '0', end_[3] or '0', end_[4] or '0' }
end

-- The state as it stands.
local restoredAt, held, removed = 0, {}, false
local current = redis.call('GET', record)
if current then
  local isRead, restored, entries, named = pcall(readRecord, current)
  if not isRead then return redis.error_reply('${FORMAT_UNKNOWN_REPLY}') end
  restoredAt, target = restored, named
  for _, entry in ipairs(entries) do
    if entry.finish + GRACE > earlier then held[#held + 1] = entry end
  end
end

local function covers(a, b) return a.at >= b.at and a.finish >= b.finish and a.before >= b.before end
local function isBefore(a, b)
  if a.at ~= b.at then return a.at < b.at end
  if a.finish ~= b.finish then return a.finish < b.finish end
  return a.before < b.before
end

-- The state as it will be, and what the log will say.
local at, kept
if operation == REVOKE then
  local made = { at = math.max(now, restoredAt + 1), finish = finish, before = before }
  made.flags, made.texts = string.byte(details), string.sub(details, 2)
  kept = {}
  for _, entry in ipairs(held) do
    if covers(entry, made) then return answer(0, current) end
    if not covers(made, entry) then kept[#kept + 1] = entry end
  end
  if #kept >= ${ENTRIES_MAX} then
    local oldest = 1
    for i = 2, #kept do if isBefore(kept[i], kept[oldest]) then oldest = i end end
    local absorbed = kept[oldest]
    made.at = math.max(made.at, absorbed.at)
    made.finish = math.max(made.finish, absorbed.finish)
    made.before = math.max(made.before, absorbed.before)
    local rest = {}
    for _, entry in ipairs(kept) do if not covers(made, entry) then rest[#rest + 1] = entry end end
    kept = rest
  end
  kept[#kept + 1] = made
  table.sort(kept, isBefore)
  at, finish, before = made.at, made.finish, made.before
else
  if #held == 0 then return answer(0, current) end
  restoredAt = now
  finish = 0
  for _, entry in ipairs(held) do
    restoredAt = math.max(restoredAt, entry.at)
    finish = math.max(finish, entry.finish)
  end
  at, before, kept = restoredAt, 0, {}
end

-- Epoch and shapes. The shapes stand in a key of their own, so that one MGET reads them with the records.
local epoch = redis.call('HGET', meta, 'epoch')
local isNew = not epoch
if isNew then epoch = newEpoch end
if operation == REVOKE and shape ~= '' then
  local refused = useShape(shapes, epoch, partitions, shape, finish, earlier)
  if refused then return refused end
end

-- The record.
local value = packRecord(restoredAt, kept, target)
local life = math.max(redis.call('PTTL', record), (finish - now) * 1000, 1)
-- A restore is remembered until every clock has passed it: whoever revokes again by a slower one is not before it.
local recordLife = restoredAt > 0 and math.max(life, (restoredAt + GRACE - now) * 1000) or life
redis.call('SET', record, value, 'PX', text(recordLife))

-- The log: chain, segment, expiry.
local function step(hash, word) return bit.bxor(hash, word) % 4294967296 * ${CHAIN_FACTOR} % 4294967296 end
local chain, segment
if isNew then
  chain, segment = chainStart(epoch), 0
  redis.call('HSET', meta, 'epoch', epoch, 'version', '${FORMAT_VERSION}')
else
  chain = tonumber(redis.call('HGET', meta, 'chain'))
  segment = tonumber(redis.call('HGET', meta, 'segment'))
end
local size = segment > 0 and redis.call('STRLEN', log .. text(segment)) or 0
local header = ''
if size == 0 or size + ${RECORD_BYTES} > ${SEGMENT_BYTES_MAX} then
  repeat segment = segment + 1 until redis.call('EXISTS', log .. text(segment)) == 0
  header = 'RSL1' .. raw(epoch) .. struct.pack('<I4I4I4', segment, chain, now) .. string.rep('\\0', 8)
  local fields = redis.call('HGETALL', meta)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 's:' and tonumber(fields[i + 1]) + GRACE < earlier then
      redis.call('HDEL', meta, fields[i])
    end
  end
end
local packed = digest .. struct.pack('<I4I4I4', finish, before, at)
local words = { struct.unpack('<I4I4I4I4I4I4I4', packed) }
for i = 1, 7 do chain = step(chain, words[i]) end
local kind = ${FORMAT_VERSION} * 16 + operation
chain = step(chain, kind)
local check = math.floor(chain / 256)
packed = packed .. string.char(kind, check % 256, math.floor(check / 256) % 256, math.floor(check / 65536))
local key = log .. text(segment)
size = redis.call('APPEND', key, header .. packed)
if redis.call('PTTL', key) < life then redis.call('PEXPIRE', key, text(life)) end
local last = tonumber(redis.call('HGET', meta, 's:' .. text(segment)) or '0')
redis.call('HSET', meta, 'segment', text(segment), 'chain', text(chain), 'size', text(size),
  's:' .. text(segment), text(math.max(last, finish)))

-- The doorbell: a hint, so whatever goes wrong with it changes nothing.
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local silentUntil = tonumber(redis.call('HGET', meta, 'bell') or '0')
if ms >= silentUntil or silentUntil - ms > 60000 then
  -- How many hear it is known after the ring: the pause that it tells of is the one by the ring before.
  local pause = tonumber(redis.call('HGET', meta, 'pause') or '${BELL_PERIOD_MS}')
  local heard = redis.pcall('PUBLISH', bell, 'change ' .. text(pause))
  if type(heard) ~= 'number' then heard = 0 end
  redis.call('HSET', meta, 'bell', text(ms + pause),
    'pause', text(math.max(${BELL_PERIOD_MS}, math.floor(heard / ${BELL_NODES_PER_MS}))))
end
return answer(1, value)
`
