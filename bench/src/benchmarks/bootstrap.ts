/** `bootstrap`: from the start of a node to a fresh replica, against reading a sorted set by hand. */
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark, Measured } from '../benchmark.js'
import { withChild } from '../child.js'
import { fillLog, fillSortedSet } from '../fill.js'
import { RedisStats } from '../redis-stats.js'
import type * as starting from '../systems/bootstrap.js'
import type * as inserting from '../systems/insert.js'

const MODULE = new URL('../systems/bootstrap.ts', import.meta.url)
const INSERTING = new URL('../systems/insert.ts', import.meta.url)
const COUNTS = { '100k': 100_000, '1m': 1_000_000, '10m': 10_000_000 }
/** Small, but more than one segment of the log. */
const QUICK_DIVISOR = 100
const SCANNED: readonly string[] = ['100k', '1m']

export const bootstrap: Benchmark = {
  name: 'bootstrap',
  summary: 'from the start of a node until it knows all revocations: a hundred thousand to ten million',
  unit: 'milliseconds per start',
  better: 'lower',
  comparisons: SCANNED.map((size) => [`zscan-${size}`, `rescind-${size}`] as const),
  systems: async ({ scope, quick }) => {
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const { url } = redis
    const stats = new RedisStats(scope, url)
    const systems: Measured[] = []
    for (const [size, full] of Object.entries(COUNTS)) {
      const count = quick ? full / QUICK_DIVISOR : full
      const source = `bootstrap-${size}`
      await fillLog({ url, namespace: source, count })
      systems.push(starter(stats, `rescind-${size}`, 'startReplica', { url, source }, count))
      if (!SCANNED.includes(size)) continue
      await fillSortedSet(url, source, count)
      systems.push(starter(stats, `zscan-${size}`, 'scanSortedSet', { url, source }, count))
    }
    systems.push(inserter(quick ? COUNTS['10m'] / QUICK_DIVISOR : COUNTS['10m']))
    return systems
  },
}

/** Every start is that of a new process: whatever was compiled or allocated before would help it. */
function starter(
  stats: RedisStats,
  system: string,
  how: 'startReplica' | 'scanSortedSet',
  request: starting.StartRequest,
  count: number,
): Measured {
  return {
    system,
    open: async () => undefined,
    warmUp: async () => undefined,
    measure: async () => {
      const serverBefore = await stats.cpuUs()
      const { elapsedMs, cpuUs, entries } = await withChild<typeof starting, starting.Started>(
        MODULE,
        (child) => child.call(how, request),
      )
      const serverCpu = (await stats.cpuUs()) - serverBefore
      if (entries !== count) throw new Error(`it read ${entries} of ${count} revocations`)
      return { [system]: { value: elapsedMs, cpu: cpuUs, serverCpu, figures: { entries } } }
    },
  }
}

/** No node and no Redis: the table alone, one revocation after the other, and the longest that one takes. */
function inserter(count: number): Measured {
  const system = 'insert-10m'
  return {
    system,
    open: async () => undefined,
    warmUp: async () => undefined,
    measure: async () => {
      const { entries, elapsedMs, cpuUs, longestMs } = await withChild<typeof inserting, inserting.Inserted>(
        INSERTING,
        (child) => child.call('insertOneByOne', count),
      )
      if (entries !== count) throw new Error(`it holds ${entries} of ${count} revocations`)
      const [longest = 0, second = 0, third = 0] = longestMs
      const figures = { entries, longestInsertMs: longest, secondMs: second, thirdMs: third }
      return { [system]: { value: elapsedMs, cpu: cpuUs, figures } }
    },
  }
}
