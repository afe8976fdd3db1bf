/**
 * A redis-server that this machine can run: the one that `REDIS_SERVER_BIN` names, else the one on the PATH,
 * else, on Debian and Ubuntu, the distribution's own package, fetched without root into `.cache/redis`.
 */
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
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
import { until } from './until.js'

const run = promisify(execFile)

const versionMin = [6, 2] as const
const needed =
  "Rescind's tests need redis-server 6.2 or newer: install it (brew install redis, " +
  'apt-get install redis-server, …) or name it in REDIS_SERVER_BIN'

const cacheDirDefault = fileURLToPath(new URL('../../../../.cache/redis', import.meta.url))
const versionTimeoutMs = 10_000
const aptTimeoutMs = 120_000
/** Above the time that any fetch takes: a lock older than this was left behind. */
const lockMaxMs = 300_000

export interface RedisBinary {
  path: string
  /** The environment to start it with: it may need to find its own shared libraries. */
  env: NodeJS.ProcessEnv
  version: string
}

export interface RedisBinaryOptions {
  /** Where `REDIS_SERVER_BIN` and `PATH` are read. Default: `process.env`. */
  env?: NodeJS.ProcessEnv
  /** Where a fetched redis-server is kept. Default: `.cache/redis` in the repository, which git ignores. */
  cacheDir?: string
}

export async function redisServerBinary({
  env = process.env,
  cacheDir = cacheDirDefault,
}: RedisBinaryOptions = {}): Promise<RedisBinary> {
  const named = env['REDIS_SERVER_BIN']
  if (named) {
    return inspect(named, env).catch((cause: unknown) => {
      throw new Error(`REDIS_SERVER_BIN is ${named}, which does not serve: ${messageOf(cause)}. ${needed}`, {
        cause,
      })
    })
  }
  const there = (await usable(inspect('redis-server', env))) ?? (await usable(inspectCache(cacheDir, env)))
  if (there) return there
  try {
    return await withLock(`${cacheDir}.lock`, async () => {
      const fetchedByAnother = await usable(inspectCache(cacheDir, env))
      if (fetchedByAnother) return fetchedByAnother
      await fetchFromDebian(cacheDir, env)
      return inspectCache(cacheDir, env)
    })
  } catch (cause) {
    throw new Error(`${needed} (fetching Debian's package did not work: ${messageOf(cause)})`, { cause })
  }
}

/** What this executable says it is; rejects if it does not run or is too old. */
async function inspect(path: string, env: NodeJS.ProcessEnv): Promise<RedisBinary> {
  const { stdout } = await run(path, ['--version'], { env, timeout: versionTimeoutMs })
  const [, version, major, minor] = /\bv=((\d+)\.(\d+)\.\d+)/.exec(stdout) ?? []
  if (version === undefined) throw new Error(`${path} --version does not answer like a redis-server`)
  const newer = Number(major) - versionMin[0] || Number(minor) - versionMin[1]
  if (newer < 0) throw new Error(`${path} is redis-server ${version}`)
  return { path, env, version }
}

async function inspectCache(cacheDir: string, env: NodeJS.ProcessEnv): Promise<RedisBinary> {
  const libraryDirs = [
    ...(await librariesUnder(join(cacheDir, 'usr/lib'))),
    ...(await librariesUnder(join(cacheDir, 'lib'))),
  ]
  const searched = [...libraryDirs, env['LD_LIBRARY_PATH']].filter(Boolean).join(':')
  return inspect(join(cacheDir, 'usr/bin/redis-server'), { ...env, LD_LIBRARY_PATH: searched })
}

/** The folders under `lib` that hold shared libraries: Debian names one after each architecture. */
async function librariesUnder(lib: string): Promise<string[]> {
  const entries = await readdir(lib, { withFileTypes: true, recursive: true }).catch(() => [])
  return [
    ...new Set(entries.filter(({ name }) => /\.so(\.|$)/.test(name)).map(({ parentPath }) => parentPath)),
  ]
}

/**
 * Debian's redis-server, and the libraries it needs that are not installed, unpacked into `cacheDir`. apt
 * works out which those are; it keeps its lists and packages in a folder of ours and installs nothing, so
 * that it needs no root. The rename at the end makes the whole appear at once or not at all.
 */
async function fetchFromDebian(cacheDir: string, env: NodeJS.ProcessEnv): Promise<void> {
  const work = await mkdtemp(`${cacheDir}.fetch-`)
  const callOff = whenThisProcessEnds(() => rmSync(work, { recursive: true, force: true }))
  const apt = async (...args: string[]) =>
    run('apt-get', ['-c', join(work, 'apt.conf'), '--yes', ...args], {
      env: { ...env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: aptTimeoutMs,
    })
  try {
    await mkdir(join(work, 'lists/partial'), { recursive: true })
    await mkdir(join(work, 'archives/partial'), { recursive: true })
    await writeFile(join(work, 'apt.conf'), aptConfig(work))
    // One broken source fails the update, but need not be the one that has Redis.
    const updateFailure = await apt('update').then(() => undefined, messageOf)
    await apt('install', '--download-only', '--no-install-recommends', 'redis-server').catch(
      (cause: unknown) => {
        throw new Error(updateFailure ?? messageOf(cause), { cause })
      },
    )
    const packages = (await readdir(join(work, 'archives'))).filter((name) => name.endsWith('.deb'))
    for (const name of packages) {
      await run('dpkg-deb', ['-x', join(work, 'archives', name), join(work, 'root')], { env })
    }
    await rm(cacheDir, { recursive: true, force: true })
    await rename(join(work, 'root'), cacheDir).catch((failure: unknown) => {
      if (codeOf(failure) !== 'ENOTEMPTY') throw failure // Another process has just put its own there.
    })
  } finally {
    await rm(work, { recursive: true, force: true })
    callOff()
  }
}

/** The hooks are cleared because they clean the system's own cache, which only root may. */
function aptConfig(work: string): string {
  return `
    Dir::State "${work}";
    Dir::State::lists "${work}/lists";
    Dir::State::status "/var/lib/dpkg/status";
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

/**
 * Runs `work` while no other process does. The lock is a link whose target is the process that holds it, made
 * in one step, so that one left behind by a killed process is recognised and taken over. Two processes that
 * take it over at the same moment fetch twice, which the rename makes harmless.
 */
async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(lock), { recursive: true })
  const outcome = await until(() => takeLock(lock), {
    what: `the lock ${lock}`,
    timeoutMs: lockMaxMs + 1000,
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
  return ageMs > lockMaxMs || !isAlive(holder)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

async function usable(binary: Promise<RedisBinary>): Promise<RedisBinary | undefined> {
  return binary.catch(() => undefined)
}

/** In one line: what a failed program wrote last says more than that it failed. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const written = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : ''
  return (written || error.message).split('\n').slice(-3).join(' / ')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
