/** A system of `worker.ts` as the frame measures it: the time and the CPU time of an operation. */
import type { Measured, Sample } from './benchmark.js'
import { Child } from './child.js'
import { callsBetween, checksIn, type RedisStats } from './redis-stats.js'
import type { Scope } from './scope.js'
import type { Shared } from './system.js'
import type * as workerModule from './worker.js'

const FULL = { warmUpMs: 1500, sliceMs: 1000, batchMax: 40_000 }
const QUICK = { warmUpMs: 30, sliceMs: 30, batchMax: 1000 }
const CLOSE_TIMEOUT_MS = 2000
const WORKER = new URL('./worker.ts', import.meta.url)

export interface WorkerSystemOptions {
  readonly scope: Scope
  readonly system: string
  /** The module that exports `systems`. */
  readonly module: URL
  /** Known only when the system opens: servers may have to be started first. */
  readonly shared: () => Shared | Promise<Shared>
  readonly quick: boolean
  /** The server whose CPU time and commands count, where there is one. */
  readonly redisStats?: RedisStats | undefined
}

/** A system whose value is the time per operation, in microseconds. */
export function workerSystem(options: WorkerSystemOptions): Measured {
  const { scope, system, module, shared, quick, redisStats } = options
  const times = quick ? QUICK : FULL
  let worker: Child<typeof workerModule> | undefined
  const opened = () => {
    if (worker === undefined) throw new Error('the system was not opened')
    return worker
  }
  return {
    system,
    open: async () => {
      const given = await shared()
      const child = new Child<typeof workerModule>(WORKER)
      worker = child
      scope.defer(async () => {
        const closed = child.call('close').catch(() => undefined)
        await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())])
        await child.stop()
      })
      await child.call('open', { module: module.href, system, shared: given })
    },
    warmUp: () => opened().call('warmUp', times),
    measure: async () => {
      const before = await readServer(redisStats)
      const { operations, elapsedUs, cpuUs } = await opened().call('measure')
      const after = await readServer(redisStats)
      const sample: Sample = {
        value: elapsedUs / operations,
        cpu: cpuUs / operations,
        ...(before === undefined || after === undefined
          ? {}
          : {
              serverCpu: (after.cpuUs - before.cpuUs) / operations,
              figures: { redisChecks: checksIn(callsBetween(before.calls, after.calls)) / operations },
            }),
      }
      return { [system]: sample }
    },
  }
}

async function readServer(stats: RedisStats | undefined) {
  if (stats === undefined) return undefined
  return { cpuUs: await stats.cpuUs(), calls: await stats.calls() }
}
