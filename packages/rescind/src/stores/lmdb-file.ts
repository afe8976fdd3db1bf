/**
 * The file of the embedded store: opened, or made once with an epoch of its own, and never overwritten. A folder
 * holds `rescind.mdb` (and LMDB's lock beside it), `FORMAT`, which is written when the file is complete, and what
 * `lmdb-nodes` keeps there.
 *
 * LMDB writes a change to pages of its own, flushes them, and only then, flushed too, the page that points to them:
 * a process may be killed at any moment. So it is without the modes that acknowledge before that (`overlappingSync`,
 * `noSync`). Its asynchronous transactions are not used either: with a full disk they end in a rejection that nobody
 * can catch, and the next one never ends (lmdb 3.5.6).
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type * as Lmdb from 'lmdb'
import { chainStart } from '../core/record.js'
import { RescindError } from '../errors.js'
import { assertLmdbFile, unreadable } from './lmdb-header.js'

/** A file of LMDB that was found to be whole. */
export interface OpenedFile {
  readonly path: string
  /** Texts by text; `openDB` opens the databases in it. */
  readonly root: Lmdb.RootDatabase<string, string>
}

export interface LmdbFile extends OpenedFile {
  /** 16 hex digits, made with the file. */
  readonly epoch: string
  /** `format`, `epoch`, `state` and `shapes`. */
  readonly meta: Lmdb.Database<string, string>
  /** What stands under each digest: `lmdb-row`. */
  readonly rows: Lmdb.Database<string, string>
  /** The marks of families of refresh tokens: `lmdb-marks`. */
  readonly marks: Lmdb.Database<string, string>
  /** Chunks of the log by their number: `lmdb-log`. */
  readonly log: Lmdb.Database<Buffer, number>
}

export const DATA_FILE = 'rescind.mdb'
const FORMAT_FILE = 'FORMAT'
const FORMAT = 'rescind-store 1'
const DATABASES_MAX = 8
/** Claims may name people: only the owner reads them. */
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

/** Codes of LMDB and of the operating system that mean: no room. */
const FULL_CODES = [-30_792, 28 /* ENOSPC */, 27 /* EFBIG */, 122 /* EDQUOT */, 69 /* EDQUOT, BSD */]
/** Page not found, page of a wrong type, not a file of LMDB, of another version. */
const CORRUPT_CODES = [-30_797, -30_796, -30_793, -30_794]

/** Opens the store in a folder, or makes it. Throws rather than touch what it cannot read. */
export function openLmdbFile(folder: string, mapBytes: number): LmdbFile {
  const path = join(folder, DATA_FILE)
  try {
    const isNew = !isMade(folder, path)
    const { root } = openFile(path, mapBytes)
    try {
      return openDatabases(root, folder, path, isNew)
    } catch (error) {
      void root.close()
      throw error
    }
  } catch (error) {
    throw failureOf(error, path)
  }
}

/**
 * Opens any file of LMDB, or makes it, in a folder that it makes too: durable, and readable for its owner only. Throws
 * `ERR_STORE_CORRUPT` rather than touch what is none.
 */
export function openFile(path: string, mapBytes: number): OpenedFile {
  const lmdb = loadLmdb()
  try {
    mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE })
    if (existsSync(path) && statSync(path).size > 0) assertLmdbFile(path)
    const root = lmdb.open<string, string>({
      path,
      noSubdir: true,
      overlappingSync: false,
      mapSize: mapBytes,
      maxDbs: DATABASES_MAX,
      encoding: 'string',
      cache: false,
      ...{ permissionsMode: FILE_MODE },
    })
    return { path, root }
  } catch (error) {
    throw failureOf(error, path)
  }
}

/** Any failure, as the contract of stores has it. */
export function failureOf(error: unknown, path: string): RescindError {
  if (error instanceof RescindError) return error
  const { code } = error as { code?: unknown }
  const number = typeof code === 'number' ? code : 0
  if (FULL_CODES.includes(number) || code === 'ENOSPC' || code === 'EDQUOT') {
    const message = `nothing was written to ${path}: the disk, or what may be used of it, is full; make room`
    return new RescindError('ERR_STORE_FULL', message, { cause: error })
  }
  if (CORRUPT_CODES.includes(number)) return unreadable(path, 'is damaged')
  return new RescindError(
    'ERR_STORE_UNAVAILABLE',
    `${path} cannot be used: look at the disk and at who may write there`,
    { cause: error },
  )
}

/** What is in use of the file; pages that are free again do not count. */
export function bytesIn({ rows, marks, log }: LmdbFile): number {
  return [rows, marks, log].reduce((sum, part) => sum + bytesOf(part.getStats() as Pages), 0)
}

function loadLmdb(): typeof Lmdb {
  try {
    // Not an import: only who asks for this store needs the package.
    return createRequire(import.meta.url)('lmdb') as typeof Lmdb
  } catch (cause) {
    const problem =
      'the embedded store keeps its data by the package lmdb, which cannot be loaded: npm install lmdb'
    throw new RescindError('ERR_CONFIG_INVALID', problem, { cause, problems: [problem] })
  }
}

/** True when a store stands there that can be opened, false when there is none yet. */
function isMade(folder: string, path: string): boolean {
  const formatPath = join(folder, FORMAT_FILE)
  const format = existsSync(formatPath) ? readFileSync(formatPath, 'utf8').trim() : undefined
  if (format !== undefined && format !== FORMAT)
    throw unreadable(folder, 'holds a store of another version of Rescind; use that one')
  const bytes = existsSync(path) ? statSync(path).size : 0
  if (bytes === 0) {
    // Without FORMAT, whoever made the file was killed before it acknowledged anything.
    if (format === undefined) return false
    throw unreadable(path, existsSync(path) ? 'is empty, and was not' : 'is missing')
  }
  return true
}

function openDatabases(
  root: Lmdb.RootDatabase<string, string>,
  folder: string,
  path: string,
  isNew: boolean,
): LmdbFile {
  const names = [...root.getKeys({ limit: DATABASES_MAX })]
  if (names.length > 0 && !names.includes('rescind')) throw unreadable(path, 'belongs to another program')
  // A file without anything in it is one that was just begun.
  const create = isNew || names.length === 0
  const format = create ? undefined : open<string, string>('rescind', 'string').get('format')
  if (!create && format !== FORMAT)
    throw unreadable(path, 'holds a store of another version of Rescind; use that one')
  const file = root.transactionSync(() => {
    const meta = open<string, string>('rescind', 'string')
    const rows = open<string, string>('rows', 'string')
    const log = open<Buffer, number>('log', 'binary')
    // Files made before there were marks lack them; a family without its mark is refused.
    const marks = open<string, string>('marks', 'string', true)
    // Another process may have been faster.
    if (create && meta.get('epoch') === undefined) {
      const epoch = randomBytes(8).toString('hex')
      void meta.put('format', FORMAT)
      void meta.put('epoch', epoch)
      void meta.put('state', JSON.stringify([0, chainStart(epoch), 0]))
      void meta.put('shapes', '[]')
    }
    return { root, path, epoch: meta.get('epoch') ?? '', meta, rows, marks, log }
  })
  if (!/^[0-9a-f]{16}$/.test(file.epoch)) throw unreadable(path, 'is damaged: it has no epoch')
  if (!existsSync(join(folder, FORMAT_FILE))) markMade(folder)
  return file

  function open<V, K extends string | number>(
    name: string,
    encoding: 'string' | 'binary',
    isMade = create,
  ): Lmdb.Database<V, K> {
    const keys = encoding === 'binary' ? { keyEncoding: 'uint32' as const } : {}
    // Without `create`, a missing one is `undefined`, whatever the types say.
    const database = root.openDB<V, K>({ name, encoding, ...keys, ...{ create: isMade } }) as
      Lmdb.Database<V, K> | undefined
    if (database === undefined) throw unreadable(path, 'is damaged: a part is missing')
    return database
  }
}

function markMade(folder: string): void {
  const made = join(folder, `${FORMAT_FILE}.${process.pid}`)
  writeFileSync(made, `${FORMAT}\n`, { mode: FILE_MODE })
  renameSync(made, join(folder, FORMAT_FILE))
  // The names in the folder, too, must outlive a power cut. Windows does not open folders.
  if (process.platform === 'win32') return
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** What LMDB tells of a database. */
interface Pages {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

function bytesOf({ pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages }: Pages): number {
  return (treeBranchPageCount + treeLeafPageCount + overflowPages) * pageSize
}
