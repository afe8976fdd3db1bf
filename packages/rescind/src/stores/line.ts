/** A line of the log for people: joined with what stands under its digest, which knows more than the line. */
import type { Digest } from '../core/digest.js'
import type { LogRecord } from '../core/record.js'
import { type Entry, isSameEntry, type Revocation, type State, toRevocation } from '../core/revocation.js'
import type { Target } from '../core/target.js'
import type { Change } from './store.js'

/** What stands under a digest; undefined when that has ended. */
type Row = { readonly target: Target; readonly state: State } | undefined

/** The revocation that a line speaks of, if it still stands; `rowOf` is asked only where it may. */
export function revocationOf(
  line: LogRecord,
  rowOf: (digest: Digest) => Row,
  now: number,
): Revocation | undefined {
  if (line.operation !== 'revoke' || now >= line.end) return undefined
  const row = rowOf(line.digest)
  const entry = entryOf(line, row)
  return row === undefined || entry === undefined ? undefined : toRevocation(line.digest, row.target, entry)
}

/** What a line says has happened. `position`: the place after it. */
export function changeOf(line: LogRecord, row: Row, position: string): Change {
  const { operation, digest, end, issuedBefore, at } = line
  if (operation === 'restore')
    return { type: 'restored', position, id: digest, ...(row === undefined ? {} : { target: row.target }) }
  const entry = entryOf(line, row) ?? { end, issuedBefore, at }
  // What the line spoke of may have ended meanwhile: then the line knows the times, and not the target.
  return { type: 'revoked', position, revocation: toRevocation(digest, row?.target ?? {}, entry) }
}

function entryOf(line: LogRecord, row: Row): Entry | undefined {
  return row?.state.entries.find((held) => isSameEntry(held, line))
}
