/**
 * A record as the model of Redis keeps it: the bytes that `redis/record` describes, read by that module and written
 * here. The target is kept as the bytes it came in.
 */
import { FORMAT_VERSION } from '../../src/core/record.js'
import {
  ANY_TIME,
  EMPTY_STATE,
  type Entry,
  PRUNE_GRACE_SECONDS,
  type State,
} from '../../src/core/revocation.js'
import { packDetails, parseRecord, RECORD_LAYOUT, UNNAMED_CLAIMS } from '../../src/redis/record.js'

/** The target of which nobody knows more than the digest. */
export const UNNAMED = Buffer.from([UNNAMED_CLAIMS])

export interface Held {
  readonly state: State
  readonly target: Buffer
}

/**
 * What stands in a record, without what is long over at `earlier`; a state of nothing where there is no record.
 * Undefined for bytes that no script wrote.
 */
export function readHeld(bytes: Buffer | undefined, earlier: number): Held | undefined {
  if (bytes === undefined) return { state: EMPTY_STATE, target: UNNAMED }
  let state: State
  try {
    ;({ state } = parseRecord(bytes))
  } catch {
    return undefined
  }
  const target = bytes.subarray(packState(state).length)
  const entries = state.entries.filter(({ end }) => end + PRUNE_GRACE_SECONDS > earlier)
  return { state: { restoredAt: state.restoredAt, entries }, target }
}

export function packHeld({ state, target }: Held): Buffer {
  return Buffer.concat([packState(state), target])
}

function packState({ restoredAt, entries }: State): Buffer {
  const mark = restoredAt > 0 ? RECORD_LAYOUT.restored : 0
  const head = Buffer.from([FORMAT_VERSION * RECORD_LAYOUT.versionStep + mark + entries.length])
  return Buffer.concat([head, ...(restoredAt > 0 ? [time(restoredAt)] : []), ...entries.map(packEntry)])
}

function packEntry(entry: Entry): Buffer {
  const { at, end, issuedBefore } = entry
  const { beforeAny, beforeAt, beforeGiven, endedEarly } = RECORD_LAYOUT
  const before = issuedBefore === ANY_TIME ? beforeAny : issuedBefore === at ? beforeAt : beforeGiven
  const details = packDetails(entry)
  return Buffer.concat([
    Buffer.from([before + (details[0] as number) + (end < at ? endedEarly : 0)]),
    time(at),
    end < at ? time(end) : varint(end - at),
    ...(before === beforeGiven ? [time(issuedBefore)] : []),
    details.subarray(1),
  ])
}

function time(seconds: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(seconds)
  return bytes
}

function varint(value: number): Buffer {
  const out: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128)
  return Buffer.from([...out, rest])
}
