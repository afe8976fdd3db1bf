/**
 * `memory`: what a revocation takes in Redis. Every measurement has a server of its own, which is asked for
 * its `used_memory` before and after, when all that wrote is gone.
 */
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { RedisConnection, RedisStore, TokenManager } from 'rescind'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark, Measured, Sample } from '../benchmark.js'
import { RedisCpu } from '../redis-cpu.js'
import { Scope } from '../scope.js'
import { inLanes } from '../seed.js'
import type { System } from '../system.js'
import { flat, ISSUER, secondsNow, unsignedToken } from '../tokens.js'

const LIFETIME_SECONDS = 1800
const IN_FLIGHT = 50
const WARM_UP_REVOCATIONS = 500
const REASON = 'logged out by the user'
/** Redis gives memory back, and moves a grown table to its new place, ten times a second. */
const SETTLE_INTERVAL_MS = 110
const STEADY_READINGS = 2
const SETTLE_READINGS_MAX = 50
/** A server that does nothing still moves by some buffers. In bytes. */
const SETTLED_DIFFERENCE_MAX = 256

/** A writer: one operation stores one revocation. */
const WRITERS: Readonly<Record<string, (url: string) => System>> = {
  rescind: (url) => {
    const connection = new RedisConnection({ url, writeTimeoutMs: 10_000, connectTimeoutMs: 10_000 })
    const manager = new TokenManager({ store: new RedisStore(connection) })
    return writer(randomUUID, {
      write: (jti) => manager.revoke({ iss: ISSUER, jti }, { reason: REASON }),
      close: () => manager.close(),
    })
  },
  'raw-token-key': (url) => keyWriter(url, newToken, (token) => token),
  'jti-key': (url) => keyWriter(url, randomUUID, (jti) => `bl:${jti}`),
  'hash-of-token-key': (url) =>
    keyWriter(url, newToken, (token) => `bl:${createHash('sha256').update(token).digest('hex')}`),
}

export const memory: Benchmark = {
  name: 'memory',
  summary: 'what a revocation takes in Redis, after 20,000 of them',
  unit: 'bytes per revocation in Redis',
  better: 'lower',
  comparisons: Object.keys(WRITERS)
    .filter((name) => name !== 'rescind')
    .map((peer) => [peer, 'rescind'] as const),
  systems: async ({ quick }) => {
    const revocations = quick ? 2000 : 20_000
    return Object.entries(WRITERS).map(([system, open]): Measured => {
      return {
        system,
        open: async () => undefined,
        warmUp: async () => {
          await withServer((server) => write(server, open, WARM_UP_REVOCATIONS))
        },
        measure: () => withServer((server) => measure(server, system, open, revocations)),
      }
    })
  },
}

async function measure(
  server: RedisServer,
  system: string,
  open: (url: string) => System,
  revocations: number,
): Promise<Record<string, Sample>> {
  // What is there once, whatever comes after: the script, and what Redis counts for every command it has seen.
  await write(server, open, 1)
  const before = await settledMemory(server)
  const { cpuUs, serverCpuUs } = await write(server, open, revocations)
  const bytes = (await settledMemory(server)) - before
  const sample: Sample = {
    value: bytes / revocations,
    cpu: cpuUs / revocations,
    serverCpu: serverCpuUs / revocations,
  }
  if (system !== 'rescind') return { [system]: sample }
  const logBytes = await memoryOfLog(server)
  return {
    rescind: sample,
    'rescind-log': { value: logBytes / revocations },
    // The rest: the record, its expiry, its share of Redis' tables, and the few keys that are there once.
    'rescind-record': { value: (bytes - logBytes) / revocations },
  }
}

async function write(server: RedisServer, open: (url: string) => System, revocations: number) {
  const scope = new Scope()
  try {
    const redisCpu = new RedisCpu(scope, server.url)
    const system = open(server.url)
    scope.defer(() => system.close())
    system.prepare(revocations)
    // The first one connects.
    await system.run(0)
    const serverBefore = await redisCpu.readUs()
    const before = process.cpuUsage()
    await inLanes(revocations - 1, system.inFlight, (i) => system.run(i + 1))
    const cpu = process.cpuUsage(before)
    return { cpuUs: cpu.user + cpu.system, serverCpuUs: (await redisCpu.readUs()) - serverBefore }
  } finally {
    await scope.close()
  }
}

/** What is revoked is made ahead: the CPU time is that of writing. */
function writer(
  newName: () => string,
  { write, close }: { write: (name: string) => Promise<unknown>; close: () => unknown },
): System {
  let names: string[] = []
  return {
    inFlight: IN_FLIGHT,
    prepare: (count) => (names = Array.from({ length: count }, () => flat(newName()))),
    run: async (index) => {
      await write(names[index] as string)
    },
    close: async () => close(),
  }
}

function keyWriter(url: string, newName: () => string, keyOf: (name: string) => string): System {
  const redis = new Redis(url)
  return writer(newName, {
    write: (name) => redis.set(keyOf(name), 1, 'EX', LIFETIME_SECONDS),
    close: () => redis.disconnect(),
  })
}

function newToken(): string {
  return unsignedToken(secondsNow())
}

/** The size of all segments of the log as Redis accounts for it, room for growth included. */
async function memoryOfLog(server: RedisServer): Promise<number> {
  let bytes = 0
  for (let segment = 1; ; segment++) {
    const key = `rescind:{main.0}:log:${segment}`
    const usage = await server.command<number | null>('MEMORY', 'USAGE', key, 'SAMPLES', 0)
    if (usage === null) break
    bytes += usage
  }
  if (bytes === 0) throw new Error('there is no log under the expected name')
  return bytes
}

/** `used_memory`, once it stands still. */
async function settledMemory(server: RedisServer): Promise<number> {
  let last = NaN
  let steady = 0
  for (let reading = 0; reading < SETTLE_READINGS_MAX; reading++) {
    const info = await server.command<string>('INFO', 'memory')
    const bytes = Number(/^used_memory:(\d+)/m.exec(info)?.[1])
    steady = Math.abs(bytes - last) <= SETTLED_DIFFERENCE_MAX ? steady + 1 : 0
    if (steady === STEADY_READINGS) return bytes
    last = bytes
    await sleep(SETTLE_INTERVAL_MS)
  }
  throw new Error('the memory of Redis did not settle')
}

async function withServer<T>(work: (server: RedisServer) => Promise<T>): Promise<T> {
  const server = await RedisServer.start()
  try {
    return await work(server)
  } finally {
    await server.stop()
  }
}
