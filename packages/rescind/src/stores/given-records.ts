/**
 * What a node may give back to a store. Whoever may revoke can send anything: a line of the log or a shape that nobody
 * knows would stop every reader of the store, and a restore from the end of all times would make a target immune. So
 * every store that takes back asks here first, and so does a service before it.
 */
import { KIND_RESTORE, KIND_REVOKE, RECORD_BYTES } from '../core/record.js'
import { PRUNE_GRACE_SECONDS, TIME_MAX } from '../core/revocation.js'
import { isShape } from '../core/target.js'
import { integer, malformed } from './remote-fields.js'
import { KNOWN_SHAPES_MAX, type ReseedOptions } from './store.js'

/** How far a clock may be off, in seconds: within it no store forgets what is in force. */
export const CLOCK_OFF_MAX_SECONDS = PRUNE_GRACE_SECONDS
/** A node gives 256 digests at once (`replica/reseed`); of each it holds 64 statements at the most, and a restore. */
const GIVEN_RESTORES_MAX = 256
const GIVEN_RECORDS_MAX = GIVEN_RESTORES_MAX * 65

export interface Gift<Options extends ReseedOptions = ReseedOptions> {
  readonly records: Buffer
  readonly options: Options
}

/**
 * The gift without what is of a time that no clock can have told. `now`: the clock of who takes it, in seconds since
 * 1970. Throws `ERR_OPTION_INVALID` for one that no node would have made.
 */
export function checkedGift<Options extends ReseedOptions>(
  { records, options }: Gift<Options>,
  now: number = options.now,
): Gift<Options> {
  integer(options.now, TIME_MAX, 'now')
  integer(options.end, TIME_MAX, 'end')
  if (options.shapes.length > KNOWN_SHAPES_MAX || !options.shapes.every(isShape)) throw malformed('a shape')
  if (records.length % RECORD_BYTES !== 0 || records.length > GIVEN_RECORDS_MAX * RECORD_BYTES)
    throw malformed('a stretch of the log')

  const kept: Buffer[] = []
  let isWhole = true
  let restores = 0
  for (let start = 0; start < records.length; start += RECORD_BYTES) {
    const kind = records[start + 28]
    if (kind !== KIND_REVOKE && kind !== KIND_RESTORE) throw malformed('the kind of a record')
    if (kind === KIND_RESTORE && ++restores > GIVEN_RESTORES_MAX) throw malformed('the number of restores')
    const [end, at] = [records.readUInt32LE(start + 16), records.readUInt32LE(start + 24)]
    if (at <= now + CLOCK_OFF_MAX_SECONDS && end <= TIME_MAX)
      kept.push(records.subarray(start, start + RECORD_BYTES))
    // One node has read what another clock has written: for its sake the rest is not refused.
    else if (kind === KIND_REVOKE) isWhole = false
  }
  if (kept.length * RECORD_BYTES === records.length) return { records, options }
  return { records: Buffer.concat(kept), options: { ...options, isLast: options.isLast && isWhole } }
}
