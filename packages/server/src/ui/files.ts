/**
 * The files of the built dashboard, read once and kept in memory, plain and gzipped. What stands in this table is all
 * that can be asked for: a path is looked up, and never opened.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { constants, gzipSync } from 'node:zlib'

export interface UiFile {
  readonly type: string
  readonly body: Uint8Array<ArrayBuffer>
  /** Absent where it would save nothing. */
  readonly gzipped: Uint8Array<ArrayBuffer> | undefined
  /** Its name changes with its content, so it may be kept for ever. */
  readonly isHashed: boolean
}

export type UiFiles = ReadonlyMap<string, UiFile>

export const INDEX = 'index.html'
const HASHED_FOLDER = 'assets/'
const FILES_MAX = 200
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
}
/** Built into the service; from its sources, beside them. */
const PLACES = ['./ui/', '../../../dashboard/dist/']

/** By path below `/ui/`; empty where the dashboard is not built. */
export function readUiFiles(): UiFiles {
  const root = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((folder) =>
    existsSync(join(folder, INDEX)),
  )
  if (root === undefined) return new Map()
  const names = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && TYPES[extname(entry.name)] !== undefined)
    .slice(0, FILES_MAX)
    .map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    names.map((path) => [relative(root, path).split(sep).join('/'), readFile(path, relative(root, path))]),
  )
}

function readFile(path: string, name: string): UiFile {
  const body = Uint8Array.from(readFileSync(path))
  const gzipped = Uint8Array.from(gzipSync(body, { level: constants.Z_BEST_COMPRESSION }))
  return {
    type: TYPES[extname(path)] as string,
    body,
    gzipped: gzipped.length < body.length ? gzipped : undefined,
    isHashed: name.split(sep).join('/').startsWith(HASHED_FOLDER),
  }
}
