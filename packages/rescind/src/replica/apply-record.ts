/** One record of the log, in words, applied to a table. */
import { KIND_RESTORE, KIND_REVOKE } from '../core/record.js'
import { RescindError } from '../errors.js'
import type { Table } from './table.js'

/** True when the record is a revocation that says more than the table did. Throws `ERR_STORE_CORRUPT`. */
export function applyRecord(table: Table, words: Int32Array, at: number): boolean {
  const [ends, before, made] = [words[at + 4] as number, words[at + 5] as number, words[at + 6] as number]
  const kind = (words[at + 7] as number) & 0xff
  switch (kind) {
    case KIND_REVOKE:
      return table.revoke(words, at, ends >>> 0, before >>> 0, made >>> 0)
    case KIND_RESTORE:
      table.restore(words, at, made >>> 0, ends >>> 0)
      return false
    default:
      throw new RescindError('ERR_STORE_CORRUPT', `the log holds a record of kind ${kind}; upgrade this node`)
  }
}
