/** On what and with what was measured. */
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type as systemName } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { redisServerBinary } from '../../packages/rescind/test/support/redis-binary.js'
import { postgresVersion } from './postgres-server.js'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  /** Of the libraries and servers that were measured. */
  readonly versions: Readonly<Record<string, string>>
  /** Processes that wanted to run during the minute before: far above `cores`, the numbers are noise. */
  readonly loadBefore: number
}

const LIBRARIES = [
  'rescind',
  'ioredis',
  'redis',
  'jose',
  'express-jwt',
  'jsonwebtoken',
  '@fastify/jwt',
  'fast-jwt',
  'express',
  'fastify',
  '@hono/node-server',
  'oidc-provider',
  'autocannon',
  'pg',
]

export async function describeMachine(): Promise<Machine> {
  const versions = Object.fromEntries(LIBRARIES.map((name) => [name, installedVersion(name)]))
  const postgres = await postgresVersion()
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${systemName()} ${release()}`,
    node: process.version,
    versions: {
      ...versions,
      'redis-server': (await redisServerBinary()).version,
      ...(postgres === undefined ? {} : { postgres }),
    },
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  }
}

/** Read from the folder of the package: not every package exports its `package.json`. */
function installedVersion(name: string): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const path = join(dir, 'node_modules', name, 'package.json')
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
    if (dir === dirname(dir)) throw new Error(`${name} is not installed: run npm install`)
  }
}
