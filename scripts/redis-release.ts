/**
 * A Redis or Valkey of another release than the machine's own: Debian's package with all its libraries, down to
 * libc, unpacked without root into `.cache/releases/NAME`, and a script that starts it with them.
 */
import { lstatSync } from 'node:fs'
import { access, chmod, readdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fetchDebianPackage, withLock } from '../packages/rescind/test/support/debian-package.js'

const CACHE = resolve(import.meta.dirname, '../.cache/releases')

export interface RedisRelease {
  readonly name: string
  /** Of Debian. */
  readonly suite: string
  readonly package: 'redis-server' | 'valkey-server'
}

export const RELEASES: readonly RedisRelease[] = [
  { name: 'redis-6.0', suite: 'bullseye', package: 'redis-server' },
  { name: 'redis-8.0', suite: 'trixie', package: 'redis-server' },
  { name: 'valkey-8.1', suite: 'trixie', package: 'valkey-server' },
  { name: 'valkey-9.1', suite: 'sid', package: 'valkey-server' },
]

/** The path of what starts it. Fetches it the first time. */
export async function redisRelease(release: RedisRelease): Promise<string> {
  const folder = join(CACHE, release.name)
  const starter = join(folder, 'redis-server')
  const isThere = await access(starter).then(
    () => true,
    () => false,
  )
  if (isThere) return starter
  const complete = (unpacked: string) => writeStarter(release, unpacked, folder)
  await withLock(`${folder}.lock`, () =>
    fetchDebianPackage(release.package, folder, { suite: release.suite, complete }),
  )
  return starter
}

/** Until Debian 11 its version was in its name. */
const LOADER = /(^|\/)ld-(linux-[^/]*\.so\.\d|[\d.]+\.so)$/

/** Its own loader with its own libraries: those of the machine may be too old. */
async function writeStarter(release: RedisRelease, root: string, folder: string): Promise<void> {
  const files = await readdir(root, { recursive: true })
  // A link leads to where the loader is on a machine of that release.
  const loader = files.find((file) => LOADER.test(file) && lstatSync(join(root, file)).isFile())
  if (loader === undefined) throw new Error(`the packages of ${release.name} hold no loader`)
  const libraries = new Set(files.filter((file) => /\.so(\.\d+)*$/.test(file)).map((file) => dirname(file)))
  const path = [...libraries].map((each) => join(folder, each)).join(':')
  const program = join(folder, 'usr/bin', release.package)
  const starter = join(root, 'redis-server')
  await writeFile(
    starter,
    `#!/bin/sh\nexec '${join(folder, loader)}' --library-path '${path}' '${program}' "$@"\n`,
  )
  await chmod(starter, 0o755)
}
