/**
 * Runs before a package is packed, in its folder: brings the changelog that stands at the root, and lets nothing be packed
 * that was not built.
 */
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Manifest {
  readonly main: string
  readonly types: string
  readonly bin?: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
const missing = filesIn(manifest).filter((file) => !existsSync(file))
if (missing.length > 0) throw new Error(`Not built: ${missing.join(', ')}. Run npm run build`)
copyFileSync(join(import.meta.dirname, '../CHANGELOG.md'), 'CHANGELOG.md')

function filesIn({ main, types, bin, exports }: Manifest): string[] {
  return [main, types, ...Object.values(bin ?? {}), ...Object.values(exports).flatMap(leavesOf)]
}

/** The paths at the ends of conditions. */
function leavesOf(value: unknown): string[] {
  return typeof value === 'string' ? [value] : Object.values(value as object).flatMap(leavesOf)
}
