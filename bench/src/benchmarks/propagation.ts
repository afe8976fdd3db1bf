/** `propagation`: from `revoke()` on one node until others refuse the token. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark, Measured, Sample } from '../benchmark.js'
import { Child } from '../child.js'
import { RedisStats } from '../redis-stats.js'
import { Scope } from '../scope.js'
import { quantile } from '../statistics.js'
import type * as nodeProcess from '../systems/nodes/replicas.js'
import type * as writerProcess from '../systems/nodes/writer.js'

const NODES = [1, 10, 50]
const PROCESSES_MAX = 4
const LOAD_PER_SECOND = 500
const FULL = { revocations: 20, pauseMinMs: 150, pauseMaxMs: 400, nodesDivisor: 1 }
const QUICK = { revocations: 2, pauseMinMs: 10, pauseMaxMs: 30, nodesDivisor: 10 }

interface Variant {
  readonly doorbell: boolean
  readonly loadPerSecond: number
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  idle: { doorbell: true, loadPerSecond: 0 },
  load: { doorbell: true, loadPerSecond: LOAD_PER_SECOND },
  'no-doorbell': { doorbell: false, loadPerSecond: 0 },
}

export const propagation: Benchmark = {
  name: 'propagation',
  summary: 'from revoke() on one node until 1, 10 or 50 others refuse the token',
  unit: 'milliseconds until a node refuses',
  better: 'lower',
  comparisons: NODES.map((nodes) => [`nodes-${nodes} no-doorbell`, `nodes-${nodes} idle`] as const),
  systems: async ({ scope, quick }) => {
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const stats = new RedisStats(scope, redis.url)
    return NODES.flatMap((nodes) =>
      Object.entries(VARIANTS).map(([name, variant]): Measured => {
        const system = `nodes-${nodes} ${name}`
        const namespace = `nodes-${nodes}-${name}`
        const size = quick ? QUICK : FULL
        const setup = { url: redis.url, namespace, nodes: Math.ceil(nodes / size.nodesDivisor), ...variant }
        return {
          system,
          open: async () => undefined,
          warmUp: async () => undefined,
          measure: async () => ({ [system]: await measureOnce(setup, stats, size) }),
        }
      }),
    )
  },
}

interface Setup extends Variant {
  readonly url: string
  readonly namespace: string
  readonly nodes: number
}

/** The first revocation number that no round has used. */
let nextIndex = 0

/** With processes of its own, which are gone afterwards: nodes that idle would poll the same server. */
async function measureOnce(setup: Setup, stats: RedisStats, size: typeof FULL): Promise<Sample> {
  const { url, namespace, nodes, doorbell, loadPerSecond } = setup
  const scope = new Scope()
  try {
    const writer = new Child<typeof writerProcess>(new URL('../systems/nodes/writer.ts', import.meta.url))
    scope.defer(() => writer.stop())
    await writer.call('open', { url, source: namespace, into: 'log', perSecond: loadPerSecond })
    const processes = await openNodes(scope, { url, namespace, doorbell }, nodes)
    const serverBefore = await stats.cpuUs()
    const each: number[] = []
    const last: number[] = []
    for (let i = 0; i < size.revocations; i++) {
      await sleep(randomInt(size.pauseMinMs, size.pauseMaxMs))
      const index = nextIndex++
      const accepting = await Promise.all(processes.map((process) => process.call('accepting', index)))
      if (sum(accepting) !== nodes) throw new Error(`only ${sum(accepting)} of ${nodes} nodes are fresh`)
      const refusals = processes.map((process) => process.call('refusals', index))
      // They look already when it happens.
      await Promise.all(processes.map((process) => process.call('accepting', index)))
      const calledAt = await writer.call('revoke', index)
      const times = (await Promise.all(refusals)).flat().map((refusedAt) => refusedAt - calledAt)
      each.push(...times)
      last.push(Math.max(...times))
    }
    const serverCpu = ((await stats.cpuUs()) - serverBefore) / size.revocations
    const written = await writer.call('close')
    if (loadPerSecond > 0 && written === 0) throw new Error('there was no load')
    return {
      value: quantile(each, 0.5),
      serverCpu,
      figures: {
        p99Ms: quantile(each, 0.99),
        maxMs: quantile(each, 1),
        lastNodeP50Ms: quantile(last, 0.5),
        refusals: each.length,
      },
    }
  } finally {
    await scope.close()
  }
}

async function openNodes(
  scope: Scope,
  request: Omit<nodeProcess.NodesRequest, 'nodes'>,
  nodes: number,
): Promise<Child<typeof nodeProcess>[]> {
  const count = Math.min(PROCESSES_MAX, Math.ceil(nodes / 5))
  const processes = Array.from({ length: count }, () => {
    const child = new Child<typeof nodeProcess>(new URL('../systems/nodes/replicas.ts', import.meta.url))
    scope.defer(() => child.stop())
    return child
  })
  await Promise.all(
    processes.map((process, i) =>
      process.call('open', { ...request, nodes: Math.floor((nodes + i) / count) }),
    ),
  )
  return processes
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
