/**
 * A Redis or Valkey of another release than the machine's own: Debian's package with all its libraries, down to
 * libc, unpacked without root into `.cache/releases/NAME`, and a script that starts it with them.
 */
import { execFile } from 'node:child_process'
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const APT_TIMEOUT_MS = 180_000
const CACHE = resolve(import.meta.dirname, '../.cache/releases')

export interface RedisRelease {
  readonly name: string
  /** Of Debian. */
  readonly suite: string
  readonly package: 'redis-server' | 'valkey-server'
}

export const RELEASES: readonly RedisRelease[] = [
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
  await mkdir(CACHE, { recursive: true })
  const work = await mkdtemp(`${folder}.fetch-`)
  try {
    await fetchPackages(release, work)
    const root = join(work, 'root')
    await writeStarter(release, root, folder)
    await rm(folder, { recursive: true, force: true })
    await rename(root, folder)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return starter
}

/** apt works out what is needed, as if nothing were installed, and checks the signatures. It installs nothing. */
async function fetchPackages({ suite, package: name }: RedisRelease, work: string): Promise<void> {
  for (const folder of ['lists/partial', 'archives/partial', 'root'])
    await mkdir(join(work, folder), { recursive: true })
  await writeFile(join(work, 'status'), '')
  await writeFile(join(work, 'sources.list'), `deb http://deb.debian.org/debian ${suite} main\n`)
  await writeFile(join(work, 'apt.conf'), aptConfig(work))
  const apt = (...args: string[]) =>
    run('apt-get', ['-c', join(work, 'apt.conf'), '--yes', ...args], {
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: APT_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    })
  await apt('update')
  await apt('install', '--download-only', '--no-install-recommends', name)
  const packages = (await readdir(join(work, 'archives'))).filter((file) => file.endsWith('.deb'))
  for (const file of packages) await run('dpkg-deb', ['-x', join(work, 'archives', file), join(work, 'root')])
}

function aptConfig(work: string): string {
  return `
    Dir::State "${work}";
    Dir::State::lists "${work}/lists";
    Dir::State::status "${work}/status";
    Dir::Cache "${work}";
    Dir::Cache::archives "${work}/archives";
    Dir::Etc::sourcelist "${work}/sources.list";
    Dir::Etc::sourceparts "-";
    Dir::Log "${work}";
    APT::Sandbox::User "";
    Debug::NoLocking "true";
    Acquire::Languages "none";
    Acquire::Retries "2";
    #clear APT::Update::Pre-Invoke;
    #clear APT::Update::Post-Invoke;
    #clear APT::Update::Post-Invoke-Success;
    #clear DPkg::Pre-Invoke;
    #clear DPkg::Post-Invoke;
    #clear DPkg::Pre-Install-Pkgs;
  `
}

/** Its own loader with its own libraries: those of the machine may be too old. */
async function writeStarter(release: RedisRelease, root: string, folder: string): Promise<void> {
  const files = await readdir(root, { recursive: true })
  const loader = files.find((file) => /(^|\/)ld-linux-[^/]*\.so\.\d$/.test(file))
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
