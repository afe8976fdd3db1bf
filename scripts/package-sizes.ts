/** How much of a published package is sent, stored and loaded, and how much of each it may be. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'tsdown'
import { folderOf, type PackedPackage, type PublishedName } from './packed-package.js'

/** Bounds in bytes, each about a fifth above what it was when it was set: who raises one says why. */
export const BOUNDS: Readonly<Record<PublishedName, Omit<PackageSizes, 'entries'>>> = {
  rescind: { packed: 515_000, unpacked: 1_780_000, largestEntry: 84_000 },
  '@rescind/server': { packed: 410_000, unpacked: 1_370_000, largestEntry: 48_000 },
}

export interface PackageSizes {
  /** Of the tarball, in bytes. */
  readonly packed: number
  /** Of its files, in bytes. */
  readonly unpacked: number
  /** Of the largest of `entries`, in bytes. */
  readonly largestEntry: number
  /** In bytes, by the name of its file: an entry with all it loads from its package, minified and gzipped. */
  readonly entries: Readonly<Record<string, number>>
}

export async function sizesOf(packed: PackedPackage): Promise<PackageSizes> {
  const entries: Record<string, number> = {}
  for (const name of entryNames(packed.name)) entries[name] = await loadedBytes(packed.name, name)
  const largestEntry = Math.max(...Object.values(entries))
  return { packed: packed.bytes, unpacked: packed.unpackedBytes, largestEntry, entries }
}

/** Of the modules that somebody imports: each of them has an entry for CommonJS beside it. */
function entryNames(name: PublishedName): string[] {
  return readdirSync(join(folderOf(name), 'dist'))
    .filter((file) => file.endsWith('.cjs'))
    .map((file) => file.slice(0, -'.cjs'.length))
}

async function loadedBytes(name: PublishedName, entry: string): Promise<number> {
  const bundles = await build({
    config: false,
    cwd: folderOf(name),
    entry: { [entry]: `dist/${entry}.mjs` },
    format: 'esm',
    platform: 'node',
    dts: false,
    clean: false,
    write: false,
    minify: true,
    logLevel: 'error',
  })
  const code = bundles.flatMap(({ chunks }) => chunks.map((chunk) => ('code' in chunk ? chunk.code : '')))
  return gzipSync(code.join('')).length
}
