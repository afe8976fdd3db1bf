/** A table of revocations that grows by one at a time, with the time of each step. */
import { randomFillSync } from 'node:crypto'
import { ANY_TIME } from '../../../packages/rescind/src/core/revocation.js'
import { Table } from '../../../packages/rescind/src/replica/table.js'
import { secondsNow } from '../tokens.js'

export interface Inserted {
  readonly entries: number
  readonly elapsedMs: number
  readonly cpuUs: number
  /** The longest steps, first the longest. */
  readonly longestMs: readonly number[]
}

const DIGEST_WORDS = 4
const LONGEST = 3
/** What V8 compiles on the way belongs to the first seconds of the program. */
const WARM_UP = 500_000

export function insertOneByOne(count: number): Inserted {
  insert(new Table(), WARM_UP)
  const table = new Table()
  const before = process.cpuUsage()
  const { elapsedMs, longestMs } = insert(table, count)
  const { user, system } = process.cpuUsage(before)
  return { entries: table.size, elapsedMs, cpuUs: user + system, longestMs }
}

function insert(table: Table, count: number): Pick<Inserted, 'elapsedMs' | 'longestMs'> {
  const words = new Int32Array(1 << 16)
  const now = secondsNow()
  const longest = new Float64Array(LONGEST)
  const startedAt = performance.now()
  for (let i = 0, offset = 0; i < count; i++, offset = (offset + DIGEST_WORDS) % words.length) {
    if (offset === 0) randomFillSync(words)
    const before = performance.now()
    table.revoke(words, offset, now + 3600, ANY_TIME, now)
    const ms = performance.now() - before
    if (ms <= (longest[0] as number)) continue
    // The shortest of the longest makes room.
    longest[0] = ms
    longest.sort()
  }
  return { elapsedMs: performance.now() - startedAt, longestMs: [...longest].reverse() }
}
