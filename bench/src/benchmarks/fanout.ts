/** `fanout`: what Redis pays for nodes that follow, as they grow in number and revocations in frequency. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark, Measured, Sample } from '../benchmark.js'
import { Child } from '../child.js'
import type { Result } from '../measure.js'
import { callsBetween, RedisStats, totalOf } from '../redis-stats.js'
import { Scope } from '../scope.js'
import type * as replicas from '../systems/nodes/replicas.js'
import type * as streams from '../systems/nodes/streams.js'
import type * as writerProcess from '../systems/nodes/writer.js'

const NODES = [0, 1, 10, 100, 500, 1000]
const STREAM_NODES = 100
const RATES = [0, 10, 100]
const PROCESSES_MAX = 2
const WINDOW_MS = 3000
const WINDOW_MS_QUICK = 400
const SETTLE_MS = 500
const SETTLE_MS_QUICK = 50
const QUICK_DIVISOR = 50
/** The nodes that no machine of ours can run. */
const EXTRAPOLATED = [10_000]

interface Following {
  readonly kind: 'replicas' | 'xread'
  readonly nodes: number
  readonly perSecond: number
}

export const fanout: Benchmark = {
  name: 'fanout',
  summary: 'CPU time of Redis as nodes grow from 1 to 1,000, at 0, 10 and 100 revocations a second',
  unit: 'milliseconds of Redis CPU per second',
  better: 'lower',
  comparisons: RATES.map(
    (rate) => [nameOf('xread', STREAM_NODES, rate), nameOf('replicas', STREAM_NODES, rate)] as const,
  ),
  derive: (results) => Object.fromEntries(RATES.flatMap((rate) => extrapolate(results, rate))),
  systems: async ({ scope, quick }) => {
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const stats = new RedisStats(scope, redis.url)
    const all: Following[] = RATES.flatMap((perSecond) => [
      ...NODES.map((nodes) => ({ kind: 'replicas' as const, nodes, perSecond })),
      { kind: 'xread', nodes: STREAM_NODES, perSecond },
    ])
    return all.map((following): Measured => {
      const { kind, nodes, perSecond } = following
      const system = nameOf(kind, nodes, perSecond)
      const run = quick ? { ...following, nodes: Math.ceil(nodes / QUICK_DIVISOR) } : following
      return {
        system,
        open: async () => undefined,
        warmUp: async () => undefined,
        measure: async () => ({ [system]: await measureOnce(redis.url, system, run, stats, quick) }),
      }
    })
  },
}

function nameOf(kind: Following['kind'], nodes: number, perSecond: number): string {
  return `${kind}-${nodes} at ${perSecond}/s`
}

/** With processes of its own, which are gone afterwards: others that follow would cost the same server. */
async function measureOnce(
  url: string,
  system: string,
  { kind, nodes, perSecond }: Following,
  stats: RedisStats,
  quick: boolean,
): Promise<Sample> {
  const source = system.replace(/[^a-z0-9]+/g, '-')
  const scope = new Scope()
  try {
    const writer = new Child<typeof writerProcess>(new URL('../systems/nodes/writer.ts', import.meta.url))
    scope.defer(() => writer.stop())
    await writer.call('open', { url, source, into: kind === 'replicas' ? 'log' : 'stream', perSecond })
    const following =
      kind === 'replicas'
        ? await openReplicas(scope, url, source, nodes)
        : await openStreams(scope, url, source, nodes)
    await sleep(quick ? SETTLE_MS_QUICK : SETTLE_MS)
    const before = {
      serverUs: await stats.cpuUs(),
      nodesUs: await following.cpuUs(),
      calls: await stats.calls(),
      atMs: performance.now(),
    }
    await sleep(quick ? WINDOW_MS_QUICK : WINDOW_MS)
    const serverUs = (await stats.cpuUs()) - before.serverUs
    const seconds = (performance.now() - before.atMs) / 1000
    const nodesUs = (await following.cpuUs()) - before.nodesUs
    const calls = callsBetween(before.calls, await stats.calls())
    const written = await writer.call('close')
    if (written < perSecond * seconds * 0.5) throw new Error(`only ${written} revocations were written`)
    return {
      value: serverUs / 1000 / seconds,
      ...(nodes === 0 ? {} : { cpu: nodesUs / seconds / nodes }),
      figures: {
        commandsPerSecond: totalOf(calls) / seconds,
        sharePercent: serverUs / 10_000 / seconds,
      },
    }
  } finally {
    await scope.close()
  }
}

interface Followers {
  cpuUs(): Promise<number>
}

async function openReplicas(scope: Scope, url: string, namespace: string, nodes: number): Promise<Followers> {
  const module = new URL('../systems/nodes/replicas.ts', import.meta.url)
  const processes = shares(nodes).map((share) => ({ share, child: new Child<typeof replicas>(module) }))
  for (const { child } of processes) scope.defer(() => child.stop())
  await Promise.all(
    processes.map(({ share, child }) => child.call('open', { url, namespace, nodes: share, doorbell: true })),
  )
  return { cpuUs: async () => sum(await Promise.all(processes.map(({ child }) => child.call('cpuUs')))) }
}

async function openStreams(scope: Scope, url: string, key: string, nodes: number): Promise<Followers> {
  const module = new URL('../systems/nodes/streams.ts', import.meta.url)
  const processes = shares(nodes).map((share) => ({ share, child: new Child<typeof streams>(module) }))
  for (const { child } of processes) scope.defer(() => child.stop())
  await Promise.all(processes.map(({ share, child }) => child.call('open', { url, key, nodes: share })))
  return { cpuUs: async () => sum(await Promise.all(processes.map(({ child }) => child.call('cpuUs')))) }
}

/** How many nodes each process has. */
function shares(nodes: number): number[] {
  const processes = Math.min(PROCESSES_MAX, nodes)
  return Array.from({ length: processes }, (_, i) => Math.floor((nodes + i) / processes))
}

/**
 * A straight line: each further node costs what it does idle. What the doorbell adds grows no more past a thousand
 * nodes, because it rings them less often.
 */
function extrapolate(results: readonly Result[], rate: number): [string, number][] {
  const [fewer = 0, more = 0] = NODES.slice(-2)
  const at = (nodes: number, perSecond: number) =>
    results.find(({ system }) => system === nameOf('replicas', nodes, perSecond))?.median
  const [low, high, loaded] = [at(fewer, 0), at(more, 0), at(more, rate)]
  if (low === undefined || high === undefined || loaded === undefined) return []
  const msPerNode = (high - low) / (more - fewer)
  return EXTRAPOLATED.map((nodes) => {
    const msPerSecond = loaded + (nodes - more) * msPerNode
    return [`${nodes} nodes at ${rate}/s, percent of a core`, msPerSecond / 10]
  })
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
