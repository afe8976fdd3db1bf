/**
 * A redis-server that this machine can run: the one that `REDIS_SERVER_BIN` names, else the one on the PATH,
 * else, on Debian and Ubuntu, the distribution's own package, fetched without root into `.cache/redis`.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { environmentFor, fetchDebianPackage, messageOf, withLock } from './debian-package.js'

const run = promisify(execFile)

/** Older than what is promised, 6.2: what runs here and on 7 can be believed of all between. */
const versionMin = [6, 0] as const
const needed =
  "Rescind's tests need redis-server 6.0 or newer: install it (brew install redis, " +
  'apt-get install redis-server, …) or name it in REDIS_SERVER_BIN'

const cacheDirDefault = fileURLToPath(new URL('../../../../.cache/redis', import.meta.url))
const versionTimeoutMs = 10_000

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
      await fetchDebianPackage('redis-server', cacheDir, { env })
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

/** The rule of a user that lets it use every channel; Redis 6.0 knows none. */
export async function everyChannel(): Promise<string[]> {
  return /^6\.0/.test((await redisServerBinary()).version) ? [] : ['&*']
}

async function inspectCache(cacheDir: string, env: NodeJS.ProcessEnv): Promise<RedisBinary> {
  return inspect(join(cacheDir, 'usr/bin/redis-server'), await environmentFor(cacheDir, env))
}

async function usable(binary: Promise<RedisBinary>): Promise<RedisBinary | undefined> {
  return binary.catch(() => undefined)
}
