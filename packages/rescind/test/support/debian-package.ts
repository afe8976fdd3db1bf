/**
 * A program that this machine can run, from the distribution's own package (Debian, Ubuntu), with the libraries that
 * are not installed. It needs no root and installs nothing: everything is unpacked into a folder of ours.
 */
import { execFile } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { whenThisProcessEnds } from './leash.js'
import { isAlive } from './liveness.js'
import { until } from './until.js'

const run = promisify(execFile)

const CACHE_DIR = fileURLToPath(new URL('../../../../.cache/debian', import.meta.url))
const APT_TIMEOUT_MS = 180_000
const APT_OUTPUT_BYTES_MAX = 16 * 1024 * 1024
/** Above the time that any fetch takes: a lock older than this was left behind. */
const LOCK_MAX_MS = 600_000

export interface DebianPackage {
  /** Where it is unpacked: the root of its paths. */
  readonly root: string
  /** The environment to start its programs with: they need to find their own shared libraries. */
  readonly env: NodeJS.ProcessEnv
}

/** In `.cache/debian/NAME`, fetched once. Rejects, naming the package and what went wrong, where it cannot be had. */
export async function debianPackage(name: string): Promise<DebianPackage> {
  const root = join(CACHE_DIR, name)
  try {
    if (!existsSync(root)) {
      await withLock(`${root}.lock`, async () => {
        if (!existsSync(root)) await fetchDebianPackage(name, root)
      })
    }
    return { root, env: await environmentFor(root) }
  } catch (cause) {
    throw new Error(`Debian's package ${name} cannot be had on this machine: ${messageOf(cause)}`, { cause })
  }
}

/** `env` with the libraries that are unpacked under this root. */
export async function environmentFor(root: string, env = process.env): Promise<NodeJS.ProcessEnv> {
  const folders = [
    ...(await librariesUnder(join(root, 'usr/lib'))),
    ...(await librariesUnder(join(root, 'lib'))),
  ]
  return { ...env, LD_LIBRARY_PATH: [...folders, env.LD_LIBRARY_PATH].filter(Boolean).join(':') }
}

export interface FetchOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Of this suite of Debian, with all libraries down to libc, as if nothing were installed. Default: the machine's own. */
  readonly suite?: string
  /** Adds to what was unpacked under this path, before it appears. */
  readonly complete?: (unpacked: string) => Promise<void>
}

/**
 * The package, and the libraries it needs that are not installed, unpacked into `root`. apt works out which those are,
 * and checks the signatures; it keeps its lists and packages in a folder of ours, and installs nothing. The rename at the
 * end makes the whole appear at once or not at all.
 */
export async function fetchDebianPackage(
  name: string,
  root: string,
  { env = process.env, suite, complete }: FetchOptions = {},
): Promise<void> {
  const work = await mkdtemp(`${root}.fetch-`)
  const callOff = whenThisProcessEnds(() => rmSync(work, { recursive: true, force: true }))
  const apt = async (...args: string[]) =>
    run('apt-get', ['-c', join(work, 'apt.conf'), '--yes', ...args], {
      env: { ...env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: APT_TIMEOUT_MS,
      maxBuffer: APT_OUTPUT_BYTES_MAX,
    })
  try {
    for (const folder of ['lists/partial', 'archives/partial', 'root'])
      await mkdir(join(work, folder), { recursive: true })
    await writeFile(join(work, 'apt.conf'), aptConfig(work, suite))
    if (suite !== undefined) {
      await writeFile(join(work, 'status'), '')
      await writeFile(join(work, 'sources.list'), `deb http://deb.debian.org/debian ${suite} main\n`)
    }
    // One broken source fails the update, but need not be the one that has the package.
    const updateFailure = await apt('update').then(() => undefined, messageOf)
    await apt('install', '--download-only', '--no-install-recommends', name).catch((cause: unknown) => {
      throw new Error(updateFailure ?? messageOf(cause), { cause })
    })
    const packages = (await readdir(join(work, 'archives'))).filter((file) => file.endsWith('.deb'))
    if (packages.length === 0) throw new Error('nothing was fetched; is it installed already?')
    for (const file of packages)
      await run('dpkg-deb', ['-x', join(work, 'archives', file), join(work, 'root')], { env })
    await complete?.(join(work, 'root'))
    await rm(root, { recursive: true, force: true })
    await rename(join(work, 'root'), root).catch((failure: unknown) => {
      if (codeOf(failure) !== 'ENOTEMPTY') throw failure // Another process has just put its own there.
    })
  } finally {
    await rm(work, { recursive: true, force: true })
    callOff()
  }
}

/** The hooks are cleared because they clean the system's own cache, which only root may. */
function aptConfig(work: string, suite?: string): string {
  const sources = `Dir::Etc::sourcelist "${work}/sources.list"; Dir::Etc::sourceparts "-";`
  return `
    Dir::State "${work}";
    Dir::State::lists "${work}/lists";
    Dir::State::status "${suite === undefined ? '/var/lib/dpkg' : work}/status";
    ${suite === undefined ? '' : sources}
    Dir::Cache "${work}";
    Dir::Cache::archives "${work}/archives";
    Dir::Log "${work}";
    APT::Sandbox::User "";
    Debug::NoLocking "true";
    APT::Update::Error-Mode "any";
    Acquire::Languages "none";
    Acquire::Retries "2";
    Acquire::http::Timeout "20";
    Acquire::https::Timeout "20";
    #clear APT::Update::Pre-Invoke;
    #clear APT::Update::Post-Invoke;
    #clear APT::Update::Post-Invoke-Success;
    #clear DPkg::Pre-Invoke;
    #clear DPkg::Post-Invoke;
    #clear DPkg::Pre-Install-Pkgs;
  `
}

/** The folders under `lib` that hold shared libraries: Debian names one after each architecture. */
async function librariesUnder(lib: string): Promise<string[]> {
  const entries = await readdir(lib, { withFileTypes: true, recursive: true }).catch(() => [])
  return [
    ...new Set(entries.filter(({ name }) => /\.so(\.|$)/.test(name)).map(({ parentPath }) => parentPath)),
  ]
}

/**
 * Runs `work` while no other process does. The lock is a link whose target is the process that holds it, made
 * in one step, so that one left behind by a killed process is recognised and taken over. Two processes that
 * take it over at the same moment fetch twice, which the rename makes harmless.
 */
export async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(lock), { recursive: true })
  const outcome = await until(() => takeLock(lock), {
    what: `the lock ${lock}`,
    timeoutMs: LOCK_MAX_MS + 1000,
    intervalMs: 50,
  })
  if (outcome !== 'taken') throw outcome
  try {
    return await work()
  } finally {
    await unlink(lock).catch(() => undefined)
  }
}

/** 'taken'; undefined while another process holds it; the failure if this process never can. */
async function takeLock(lock: string): Promise<'taken' | undefined | Error> {
  try {
    await symlink(String(process.pid), lock)
    return 'taken'
  } catch (failure) {
    if (codeOf(failure) !== 'EEXIST') return failure as Error
  }
  if (await isLeftBehind(lock)) await unlink(lock)
  return undefined
}

async function isLeftBehind(lock: string): Promise<boolean> {
  const holder = Number(await readlink(lock))
  const ageMs = Date.now() - (await lstat(lock)).mtimeMs
  return ageMs > LOCK_MAX_MS || !isAlive(holder)
}

/** In one line: what a failed program wrote last says more than that it failed. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const written = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : ''
  return (written || error.message).split('\n').slice(-3).join(' / ')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
