/** A package of this repository, packed as npm would publish it. */
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const PACK_TIMEOUT_MS = 60_000
const ROOT = resolve(import.meta.dirname, '..')

/** What is published. */
export const PUBLISHED = ['rescind', '@rescind/server'] as const
export type PublishedName = (typeof PUBLISHED)[number]

export interface PackedPackage {
  readonly name: PublishedName
  readonly version: string
  /** Where its sources stand. */
  readonly folder: string
  /** Of the tarball. */
  readonly path: string
  readonly bytes: number
  readonly unpackedBytes: number
  /** Paths in the package. */
  readonly files: readonly string[]
}

/** What npm tells of a tarball, as far as it is used here. */
interface NpmReport {
  readonly version: string
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

/** Packs what was built, and puts the tarball into a folder. `root` is a clone of this repository. Throws where something was not built. */
export async function pack(name: PublishedName, into: string, root = ROOT): Promise<PackedPackage> {
  const folder = folderOf(name, root)
  const { stdout } = await run('npm', ['pack', '--silent', '--json', '--pack-destination', into], {
    cwd: folder,
    timeout: PACK_TIMEOUT_MS,
  })
  const [report] = JSON.parse(stdout) as [NpmReport]
  return {
    name,
    version: report.version,
    folder,
    path: join(into, report.filename),
    bytes: report.size,
    unpackedBytes: report.unpackedSize,
    files: report.files.map(({ path }) => path),
  }
}

/** Where the sources of a package stand. */
export function folderOf(name: PublishedName, root = ROOT): string {
  return join(root, 'packages', name.replace(/^@rescind\//, ''))
}
