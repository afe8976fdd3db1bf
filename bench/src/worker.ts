/**
 * The process of one system. Each has its own, so that none runs in code that another one has made slow, or
 * pays for another one's garbage. It does nothing until it is asked, and ends with its parent.
 */
import type { Request, Reply, Slice } from './worker-process.js'
import type { System, Systems } from './system.js'

/** More inputs than this are not made ahead: they would be mostly memory. */
const SLICE_OPERATIONS_MAX = 40_000

let system: System | undefined
let sliceOperations = 0

process.on('message', (request: Request) => {
  void answer(request).then((reply) => process.send?.(reply))
})
process.on('disconnect', () => process.exit())

async function answer(request: Request): Promise<Reply> {
  try {
    switch (request.action) {
      case 'open': {
        const { systems } = (await import(request.module)) as { systems: Systems }
        const open = systems[request.system]
        if (open === undefined) throw new Error(`${request.module} has no system ${request.system}`)
        system = await open(request.shared)
        return {}
      }
      case 'warm-up':
        sliceOperations = await warmUp(opened(), request.warmUpMs, request.sliceMs)
        return {}
      case 'measure':
        return { slice: await runSlice(opened(), sliceOperations) }
      case 'close':
        await system?.close()
        return {}
    }
  } catch (error) {
    return { failure: describe(error) }
  }
}

function opened(): System {
  if (system === undefined) throw new Error('the system was not opened')
  return system
}

/** Runs longer and longer slices for so long; returns how many operations a slice of `sliceMs` has. */
async function warmUp(warmed: System, warmUpMs: number, sliceMs: number): Promise<number> {
  const operationsMin = warmed.inFlight * 4
  let operations = operationsMin
  let usPerOperation = 0
  for (let spentMs = 0; spentMs < warmUpMs;) {
    const { elapsedUs } = await runSlice(warmed, operations)
    spentMs += elapsedUs / 1000
    usPerOperation = elapsedUs / operations
    operations = Math.min(operations * 2, SLICE_OPERATIONS_MAX)
  }
  const wanted = Math.round((sliceMs * 1000) / usPerOperation)
  return Math.min(Math.max(wanted, operationsMin), SLICE_OPERATIONS_MAX)
}

/** No forced collection before it: V8 would throw away optimized code too, and the slice would be a warm-up. */
async function runSlice(measured: System, operations: number): Promise<Slice> {
  measured.prepare(operations)
  let next = 0
  const lane = async () => {
    while (next < operations) await measured.run(next++)
  }
  const lanes: Promise<void>[] = []
  const cpuBefore = process.cpuUsage()
  const startedAt = process.hrtime.bigint()
  for (let i = 0; i < measured.inFlight; i++) lanes.push(lane())
  await Promise.all(lanes)
  const elapsedUs = Number(process.hrtime.bigint() - startedAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  return { operations, elapsedUs, cpuUs: cpu.user + cpu.system }
}

/** With what caused it: a failed check says why only there. */
function describe(error: unknown): string {
  const lines: string[] = []
  for (let at = error; at instanceof Error && lines.length < 4; at = at.cause) lines.push(at.message)
  return lines.join(': ') || String(error)
}
