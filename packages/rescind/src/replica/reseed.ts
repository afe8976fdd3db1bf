/**
 * Gives a store back what it has lost. After the log did not continue what was read, the whole of it is read again
 * into a table beside the one in use; what that one says and the log does not is written back, with the times it
 * was made at. Many nodes notice the same: one gives at a time, and the others find its lines in the log.
 */
import { digestFromWords } from '../core/digest.js'
import { OPERATION_RESTORE, OPERATION_REVOKE, RECORD_BYTES, writeRecord } from '../core/record.js'
import { missingFrom } from '../core/revocation.js'
import type { Shape } from '../core/target.js'
import { isPassing } from '../errors.js'
import { CLOCK_OFF_MAX_SECONDS } from '../stores/given-records.js'
import type { Store } from '../stores/store.js'
import type { Surroundings } from '../surroundings.js'
import type { Table, TableState } from './table.js'

export interface ReseedOptions {
  readonly store: Store
  /** The id of this node. */
  readonly giver: string
  /** What the node knows. */
  readonly table: Table
  /** What the log said when it was read again, and says since. */
  readonly log: Table
  /** Resolves when `log` has everything that stands in the store's log at the time of the call. */
  readonly catchUp: () => Promise<void>
  readonly shapes: readonly Shape[]
  /** The node had read all that the log ever said. */
  readonly isWhole: boolean
  /** The clock, in whole seconds since 1970. */
  readonly now: () => number
  /** Told of the records that the store has taken. */
  readonly onGiven: (records: Buffer) => void
  readonly signal: AbortSignal
  readonly surroundings: Surroundings
}

/** How many digests go in one command: some milliseconds of the server. */
const BATCH_STATES = 256
/** How many states are compared before others have their turn. */
const STATES_PER_TURN = 128
/** Nodes that noticed the same do not all begin at once. */
const START_SPREAD_MS = 100
/** For so long after a gift was sent nobody else can have given: less than the store keeps the turn for. */
const TURN_TRUSTED_MS = 500
const RETRY_MS = 250
const RETRY_MAX_MS = 5000
const NOTHING: readonly Buffer[] = []
/** Refusals that a failover does not end. */
const RIGHTS = /NOPERM|NOAUTH|WRONGPASS/

/** Resolves with how many lines the log lacked. Rejects with why the store does not take them, or when aborted. */
export async function reseed(options: ReseedOptions): Promise<number> {
  const { table, log, now, signal, surroundings } = options
  await surroundings.sleep(surroundings.random() * START_SPREAD_MS, { signal, isIdle: true })
  const turn: Turn = { until: -Infinity }
  let batch: TableState[] = []
  let given = 0
  let compared = 0
  let end = 0
  let isWhole = options.isWhole
  // Until when the shapes are in use: as long as what was given, though no more comes. The order is by hash, so that the
  // latest end is met soon.
  let told = 0
  for (const held of table.states()) {
    for (const entry of held.state.entries) end = Math.max(end, entry.end)
    // A log that tells of nothing but restores has shapes, too: without them nobody would believe it.
    if (held.keptUntil > now()) end = Math.max(end, held.keptUntil)
    if (linesMissing(held, log, now()).length > 0) {
      batch.push(held)
      // Stores leave these out, each piece for itself: what is given is not all.
      if (held.state.entries.some(({ at }) => at > now() + CLOCK_OFF_MAX_SECONDS)) isWhole = false
    }
    if (batch.length >= BATCH_STATES) {
      given += await give(end > told ? options : { ...options, shapes: [] }, batch, {
        end,
        isLast: false,
        turn,
      })
      told = end
      batch = []
    } else if (++compared % STATES_PER_TURN === 0) await surroundings.turn(signal)
  }
  return given + (await give(options, batch, { end, isLast: isWhole, turn }))
}

/** While a node gives, the store refuses all others: what they gave need not be looked for. */
interface Turn {
  /** On the monotonic clock; -Infinity: another may be giving. */
  until: number
}

interface Gift {
  /** Until when the shapes are in use. */
  readonly end: number
  readonly isLast: boolean
  readonly turn: Turn
}

async function give(
  options: ReseedOptions,
  batch: readonly TableState[],
  { end, isLast, turn }: Gift,
): Promise<number> {
  const { store, giver, log, catchUp, now, signal, surroundings } = options
  const shapes = end === 0 ? [] : options.shapes
  if (store.reseed === undefined) return 0
  for (let retryMs = RETRY_MS; ;) {
    signal.throwIfAborted()
    try {
      const askedAt = surroundings.monotonic()
      // What others gave meanwhile is not given again.
      if (isLast || askedAt > turn.until) await catchUp()
      const records = Buffer.concat(batch.flatMap((held) => linesMissing(held, log, now())))
      const given = await store.reseed(records, { giver, now: now(), shapes, end, isLast })
      turn.until = given === undefined ? -Infinity : askedAt + TURN_TRUSTED_MS
      // Those of a record that the store cannot read are left out.
      if (given === records.length / RECORD_BYTES) options.onGiven(records)
      if (given !== undefined) return given
      retryMs = RETRY_MS
    } catch (error) {
      if (!isPassing(error) || RIGHTS.test(error.message)) throw error
      retryMs = Math.min(retryMs * 1.5, RETRY_MAX_MS)
    }
    await surroundings.sleep(retryMs * (0.5 + surroundings.random()), { signal, isIdle: true })
  }
}

/** What is known of a digest and the log does not say, as lines of a log: the restore first. */
function linesMissing({ words, state, keptUntil }: TableState, log: Table, now: number): readonly Buffer[] {
  const other = log.stateOf(words, 0)
  const isRestoreMissing = state.restoredAt > other.restoredAt && keptUntil > now
  const missing = missingFrom(state, other, now)
  if (!isRestoreMissing && missing.length === 0) return NOTHING
  const digest = digestFromWords(words, 0)
  const lines: Buffer[] = []
  if (isRestoreMissing) {
    const restore = { operation: OPERATION_RESTORE, digest, end: keptUntil, issuedBefore: 0 }
    lines.push(line({ ...restore, at: state.restoredAt }))
  }
  for (const { at, end, issuedBefore } of missing) {
    lines.push(line({ operation: OPERATION_REVOKE, digest, end, issuedBefore, at }))
  }
  return lines
}

function line(record: Parameters<typeof writeRecord>[2]): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES)
  writeRecord(bytes, 0, record)
  return bytes
}
