/**
 * `memory`: what a revocation takes in Redis, and what it takes on a node. Every measurement has a server or a
 * process of its own, which is asked for its memory before and after: the server, when all that wrote is gone.
 */
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { RedisConnection, RedisStore, TokenManager } from 'rescind'
import { RECORD_BYTES, SEGMENT_BYTES_MAX } from '../../../packages/rescind/src/core/record.js'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark, Measured, Sample } from '../benchmark.js'
import { withChild } from '../child.js'
import { fillLog } from '../fill.js'
import { RedisStats } from '../redis-stats.js'
import { Scope } from '../scope.js'
import { inLanes } from '../seed.js'
import type { WaitingSystem } from '../system.js'
import type * as nodeMemory from '../systems/node-memory.js'
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
const WRITERS: Readonly<Record<string, (url: string) => WaitingSystem>> = {
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

/** What a node may hold: our replica, or what one would write by hand. */
const HOLDERS = { 'node-rescind': 'replica', 'node-map': 'map', 'node-set': 'set' } as const
const NODE_NAMESPACE = 'node'

export const memory: Benchmark = {
  name: 'memory',
  summary: 'what a revocation takes in Redis, after 50,000 of them, and on a node, after a million',
  unit: 'bytes per revocation',
  better: 'lower',
  comparisons: [
    ...Object.keys(WRITERS)
      .filter((name) => name !== 'rescind')
      .map((peer) => [peer, 'rescind'] as const),
    ['node-map', 'node-rescind'],
    ['node-set', 'node-rescind'],
  ],
  systems: async ({ scope, quick }) => {
    const revocations = quick ? 2000 : 50_000
    const held = quick ? 100_000 : 1_000_000
    const filled = await RedisServer.start()
    scope.defer(() => filled.stop())
    await fillLog({ url: filled.url, namespace: NODE_NAMESPACE, count: held })
    return [
      ...Object.entries(WRITERS).map(([system, open]): Measured => {
        return {
          system,
          open: async () => undefined,
          warmUp: async () => {
            await withServer((server) => write(server, open, WARM_UP_REVOCATIONS))
          },
          measure: () => withServer((server) => measure(server, system, open, revocations)),
        }
      }),
      ...Object.entries(HOLDERS).map(([system, what]): Measured => {
        return {
          system,
          open: async () => undefined,
          warmUp: async () => undefined,
          measure: async () => ({ [system]: await measureNode({ what, count: held, url: filled.url }) }),
        }
      }),
    ]
  },
}

/** The growth of a fresh process by what it holds. */
async function measureNode(request: Omit<nodeMemory.HoldRequest, 'namespace'>): Promise<Sample> {
  const { entries, rssBytes, heapBytes, arrayBufferBytes } = await withChild<
    typeof nodeMemory,
    nodeMemory.Held
  >(
    new URL('../systems/node-memory.ts', import.meta.url),
    (child) => child.call('hold', { ...request, namespace: NODE_NAMESPACE }),
    { execArgv: ['--expose-gc'] },
  )
  if (entries !== request.count) throw new Error(`the node holds ${entries} of ${request.count} revocations`)
  return {
    // What is alive. The resident set also has what filling left behind.
    value: (heapBytes + arrayBufferBytes) / entries,
    figures: {
      heapBytes: heapBytes / entries,
      arrayBufferBytes: arrayBufferBytes / entries,
      residentBytes: rssBytes / entries,
    },
  }
}

async function measure(
  server: RedisServer,
  system: string,
  open: (url: string) => WaitingSystem,
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
  const full = await memoryOfFullSegment(server)
  return {
    rescind: sample,
    'rescind-record-key': { value: await memoryOfRecord(server) },
    ...(full === undefined ? {} : { 'rescind-log-full-segment': { value: full } }),
    'rescind-log': { value: logBytes / revocations },
    // The rest: the record, its expiry, its share of Redis' tables, and the few keys that are there once.
    'rescind-record': { value: (bytes - logBytes) / revocations },
  }
}

async function write(server: RedisServer, open: (url: string) => WaitingSystem, revocations: number) {
  const scope = new Scope()
  try {
    const redisStats = new RedisStats(scope, server.url)
    const system = open(server.url)
    scope.defer(() => system.close())
    system.prepare(revocations)
    // The first one connects.
    await system.run(0)
    const serverBefore = await redisStats.cpuUs()
    const before = process.cpuUsage()
    await inLanes(revocations - 1, system.inFlight, (i) => system.run(i + 1))
    const cpu = process.cpuUsage(before)
    return { cpuUs: cpu.user + cpu.system, serverCpuUs: (await redisStats.cpuUs()) - serverBefore }
  } finally {
    await scope.close()
  }
}

/** What is revoked is made ahead: the CPU time is that of writing. */
function writer(
  newName: () => string,
  { write, close }: { write: (name: string) => Promise<unknown>; close: () => unknown },
): WaitingSystem {
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

function keyWriter(url: string, newName: () => string, keyOf: (name: string) => string): WaitingSystem {
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
    const usage = await memoryUsage(server, `rescind:{main.0}:log:${segment}`)
    if (usage === undefined) break
    bytes += usage
  }
  if (bytes === 0) throw new Error('there is no log under the expected name')
  return bytes
}

/** Of the first segment by its records; undefined while it is not full. */
async function memoryOfFullSegment(server: RedisServer): Promise<number | undefined> {
  if ((await memoryUsage(server, 'rescind:{main.0}:log:2')) === undefined) return undefined
  const bytes = (await memoryUsage(server, 'rescind:{main.0}:log:1')) ?? NaN
  return bytes / (SEGMENT_BYTES_MAX / RECORD_BYTES - 1)
}

/** Of one readable record: all of this run are of one length. */
async function memoryOfRecord(server: RedisServer): Promise<number> {
  const [, keys] = await server.command<[string, string[]]>(
    'SCAN',
    0,
    'MATCH',
    'rescind:{main.0}:r:*',
    'COUNT',
    1000,
  )
  const usage = keys[0] === undefined ? undefined : await memoryUsage(server, keys[0])
  if (usage === undefined) throw new Error('there is no record under the expected name')
  return usage
}

async function memoryUsage(server: RedisServer, key: string): Promise<number | undefined> {
  return (await server.command<number | null>('MEMORY', 'USAGE', key, 'SAMPLES', 0)) ?? undefined
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
