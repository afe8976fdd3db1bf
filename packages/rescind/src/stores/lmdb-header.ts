/**
 * Looks at a file before LMDB maps it into memory: LMDB trusts what it maps, and a file that is garbage or was cut
 * off would end the process by a signal. Reads two pages, changes nothing.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { RescindError } from '../errors.js'

/**
 * A page's header and the meta page after it, where pointers have 64 bits (elsewhere LMDB's own check must do).
 * `mdb.c`: `MDB_page_header`, `MDB_meta`, `MDB_db`.
 */
const FLAGS_AT = 18
const MAGIC_AT = 24
const VERSION_AT = 28
const PAGE_SIZE_AT = 48
const ROOTS_AT = [88, 136]
const LAST_PAGE_AT = 144
const TRANSACTION_AT = 152
const META_BYTES = 160

const META_PAGE = 0x08
const MAGIC = 0xbeef_c0de
const DATA_VERSION = 2
const PAGE_SIZES = [4096, 8192, 16_384, 32_768, 65_536]
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** Another process may be writing a meta page in this very moment. */
const LOOKS = 3

/** Throws `ERR_STORE_CORRUPT` unless this is a whole file of LMDB. */
export function assertLmdbFile(path: string): void {
  if (!process.arch.endsWith('64')) return
  for (let look = 1; ; look++) {
    const problem = problemOf(path)
    if (problem === undefined) return
    if (look === LOOKS) throw unreadable(path, problem)
  }
}

export function unreadable(path: string, problem: string): RescindError {
  return new RescindError(
    'ERR_STORE_CORRUPT',
    `${path} ${problem}. It was left as it is: move it away or put a backup in its place; ` +
      'without its revocations, replace the signing key or wait until the tokens of before have expired',
  )
}

function problemOf(path: string): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const first = metaAt(fd, 0)
    if (first === undefined) return 'is no file of the embedded store, or was cut off'
    if (first.version !== DATA_VERSION) return 'was written by another version of LMDB; use that one'
    if (!PAGE_SIZES.includes(first.pageSize)) return 'is damaged: its first page does not make sense'
    const second = metaAt(fd, first.pageSize)
    if (second?.version !== DATA_VERSION || second.pageSize !== first.pageSize)
      return 'is damaged or was cut off: its second page does not make sense'
    const newest = second.transaction > first.transaction ? second : first
    // The size is asked for last: the file only grows.
    const bytes = BigInt(fstatSync(fd).size)
    if (bytes < (newest.lastPage + 1n) * BigInt(newest.pageSize)) return 'was cut off: pages are missing'
    if (newest.roots.some((root) => root !== NO_PAGE && root > newest.lastPage))
      return 'is damaged: it speaks of pages that it does not have'
    return undefined
  } finally {
    closeSync(fd)
  }
}

interface Meta {
  readonly version: number
  readonly pageSize: number
  readonly roots: readonly bigint[]
  readonly lastPage: bigint
  readonly transaction: bigint
}

function metaAt(fd: number, offset: number): Meta | undefined {
  const bytes = Buffer.alloc(META_BYTES)
  if (readSync(fd, bytes, 0, META_BYTES, offset) < META_BYTES) return undefined
  if ((bytes.readUInt16LE(FLAGS_AT) & META_PAGE) === 0 || bytes.readUInt32LE(MAGIC_AT) !== MAGIC)
    return undefined
  return {
    // The upper half tells of nothing that concerns the format.
    version: bytes.readUInt32LE(VERSION_AT) & 0xffff,
    pageSize: bytes.readUInt32LE(PAGE_SIZE_AT),
    roots: ROOTS_AT.map((at) => bytes.readBigUInt64LE(at)),
    lastPage: bytes.readBigUInt64LE(LAST_PAGE_AT),
    transaction: bytes.readBigUInt64LE(TRANSACTION_AT),
  }
}
