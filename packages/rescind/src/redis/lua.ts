/**
 * What the scripts are made of, in Lua: shapes, records, statements, the log, the doorbell. It does what
 * `core/revocation.ts` and `core/record.ts` describe, and `redis/record.ts` for the bytes of a record; the model
 * test compares them on a real server. Written for Redis 6.2 and Valkey 7.2 and newer: effects replication,
 * `struct`, `bit`, no command newer than 6.2.
 *
 * Every script sets `now` (the caller's clock, in seconds) first.
 */
import {
  CHAIN_FACTOR,
  FORMAT_VERSION,
  OPERATION_RESTORE,
  OPERATION_REVOKE,
  RECORD_BYTES,
  SEGMENT_BYTES_MAX,
} from '../core/record.js'
import { ANY_TIME, ENTRIES_MAX, PRUNE_GRACE_SECONDS } from '../core/revocation.js'
import { SHAPES_MAX } from '../stores/store.js'
import { RECORD_LAYOUT, UNNAMED_CLAIMS } from './record.js'

/** The doorbell rings at most once in so many milliseconds, and less often where many nodes listen. */
const BELL_PERIOD_MS = 100
/** A thousand nodes that poll at every ring cost about as much as when they poll four times a second. */
const BELL_NODES_PER_MS = 4

/** A record is refused with these words where the script itself cannot go on. */
export const SHAPES_EXCEEDED_REPLY = 'RESCIND_SHAPES_EXCEEDED'
export const FORMAT_UNKNOWN_REPLY = 'RESCIND_FORMAT_UNKNOWN'
export const PARTITIONS_DIFFER_REPLY = 'RESCIND_PARTITIONS_DIFFER'

/** What has ended by both clocks is removed: a node whose clock is fast removes nothing early. */
export const CLOCK = `
local GRACE, REVOKE, RESTORE = ${PRUNE_GRACE_SECONDS}, ${OPERATION_REVOKE}, ${OPERATION_RESTORE}
local clock = redis.call('TIME')
local earlier = math.min(now, tonumber(clock[1]))
local function text(number) return string.format('%.0f', number) end
`

export const RAW = `
local function raw(hex) return (string.gsub(hex, '%x%x', function(h) return string.char(tonumber(h, 16)) end)) end
local function chainStart(epoch) return (struct.unpack('<I4', raw(epoch))) end
`

/**
 * Lua: begins a log. `torn`: until when something may be in force that stood in a log whose meta was lost, which
 * the shapes tell: whoever begins with the new log does not know it.
 */
export const NEW_LOG = `
local function latestOf(shapes)
  local latest = 0
  for stop in string.gmatch(redis.call('GET', shapes) or '', '\\n(%d+) ') do latest = math.max(latest, tonumber(stop)) end
  return latest
end
local function newLog(meta, epoch, torn)
  redis.call('HSET', meta, 'epoch', epoch, 'version', '${FORMAT_VERSION}', 'segment', '0', 'size', '0',
    'chain', text(chainStart(epoch)))
  if torn > 0 then redis.call('HSET', meta, 'torn', text(torn)) end
end
`

/**
 * Lua: registers `shape` as in use until `finish`, in the key `shapes` of the history `epoch`. The text is the
 * epoch and the number of partitions, then a line for each shape: `END NAMES_JSON`.
 */
export const USE_SHAPE = `
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

/**
 * Lua: reads and writes records as `record.ts` describes them. Of texts it knows only where they end; `restOf` is
 * the length of a text behind its head.
 */
export const RECORD = `
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
 * Lua: the rule. `readState` gives when it was restored, the statements that are not long over, and the target's
 * bytes. `add` gives the statements with one more, which may absorb another; nothing when they say it already.
 */
export const STATEMENTS = `
local UNNAMED = string.char(${UNNAMED_CLAIMS})
local function readState(bytes)
  local isRead, restored, entries, named = pcall(readRecord, bytes)
  if not isRead then return nil end
  local held = {}
  for _, entry in ipairs(entries) do
    if entry.finish + GRACE > earlier then held[#held + 1] = entry end
  end
  return restored, held, named
end
local function covers(a, b) return a.at >= b.at and a.finish >= b.finish and a.before >= b.before end
local function isBefore(a, b)
  if a.at ~= b.at then return a.at < b.at end
  if a.finish ~= b.finish then return a.finish < b.finish end
  return a.before < b.before
end
local function add(held, made)
  local kept = {}
  for _, entry in ipairs(held) do
    if covers(entry, made) then return nil end
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
  return kept
end

-- Writes the record, with a life that is never shorter than that of the \`current\` one. Returns its bytes and that life.
local function writeState(record, current, restoredAt, kept, target, finish)
  local value = packRecord(restoredAt, kept, target)
  local life = math.max(current and redis.call('PTTL', record) or 0, (finish - now) * 1000, 1)
  -- A restore is remembered until every clock has passed it: whoever revokes again by a slower one is not before it.
  local recordLife = restoredAt > 0 and math.max(life, (restoredAt + GRACE - now) * 1000) or life
  redis.call('SET', record, value, 'PX', text(recordLife))
  return value, life
end
`

/** Lua: the log. `segment`, `size` and `chain` are where it ends; `append` moves them on. */
export const LOG = `
local segment, size, chain
local function openLog(meta)
  local place = redis.call('HMGET', meta, 'segment', 'chain')
  segment, chain = tonumber(place[1]), tonumber(place[2])
end
-- What was lost stands behind again: nobody need miss it.
local function mend(meta, log)
  redis.call('HDEL', meta, 'torn')
  local fields = redis.call('HGETALL', meta)
  for i = 1, #fields, 2 do
    local number = string.match(fields[i], '^s:(%d+)$')
    if number and redis.call('EXISTS', log .. number) == 0 then redis.call('HDEL', meta, fields[i]) end
  end
end
local function step(hash, word) return bit.bxor(hash, word) % 4294967296 * ${CHAIN_FACTOR} % 4294967296 end
local function append(meta, log, epoch, operation, digest, finish, before, at, life)
  size = segment > 0 and redis.call('STRLEN', log .. text(segment)) or 0
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
end
`

/** Lua: the doorbell, a hint, so whatever goes wrong with it changes nothing. */
export const BELL = `
local function ring(meta, bell)
  local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local last = redis.call('HMGET', meta, 'bell', 'pause')
  local silentUntil = tonumber(last[1] or '0')
  if ms < silentUntil and silentUntil - ms <= 60000 then return end
  -- How many hear it is known after the ring: the pause that it tells of is the one by the ring before.
  local pause = tonumber(last[2] or '${BELL_PERIOD_MS}')
  local heard = redis.pcall('PUBLISH', bell, 'change ' .. text(pause))
  if type(heard) ~= 'number' then heard = 0 end
  redis.call('HSET', meta, 'bell', text(ms + pause),
    'pause', text(math.max(${BELL_PERIOD_MS}, math.floor(heard / ${BELL_NODES_PER_MS}))))
end
`
