/**
 * What runs in the process of one system. Each has its own, so that none runs in code that another one has
 * made slow, or pays for another one's garbage.
 */
import type { DirectSystem, Shared, System, Systems, WaitingSystem } from './system.js'

export interface OpenRequest {
  /** The module that exports `systems`. */
  readonly module: string
  readonly system: string
  readonly shared: Shared
}

export interface Times {
  readonly warmUpMs: number
  readonly sliceMs: number
  /** More inputs than this are not made ahead: they would be mostly memory. */
  readonly batchMax: number
}

/** One measured stretch of operations. */
export interface Slice {
  readonly operations: number
  readonly elapsedUs: number
  readonly cpuUs: number
}

/** A batch of so many operations waiting at a time is the least that says anything. */
const BATCH_MIN_PER_LANE = 4
/** Making the inputs of fast systems takes far longer than the operations: a slice ends after so many times its time. */
const SLICE_WALL_FACTOR = 3

let system: System | undefined
let batch = 0
let sliceMs = 0

export async function open(request: OpenRequest): Promise<void> {
  const { systems } = (await import(request.module)) as { systems: Systems }
  const make = systems[request.system]
  if (make === undefined) throw new Error(`${request.module} has no system ${request.system}`)
  system = await make(request.shared)
}

/** Runs longer and longer batches for so long; from then on a batch has as many operations as fill a slice. */
export async function warmUp(times: Times): Promise<void> {
  const warmed = opened()
  const batchMax = Math.min(warmed.batchMax ?? times.batchMax, times.batchMax)
  const batchMin = 'runAll' in warmed ? batchMax : Math.min(warmed.inFlight * BATCH_MIN_PER_LANE, batchMax)
  const endsAt = performance.now() + times.warmUpMs * SLICE_WALL_FACTOR
  let operations = batchMin
  let usPerOperation = 0
  for (let spentMs = 0; spentMs < times.warmUpMs && performance.now() < endsAt;) {
    const { elapsedUs } = await runBatch(warmed, operations)
    spentMs += elapsedUs / 1000
    usPerOperation = elapsedUs / operations
    operations = Math.min(operations * 2, batchMax)
  }
  sliceMs = times.sliceMs
  const wanted = Math.round((sliceMs * 1000) / usPerOperation)
  batch = Math.min(Math.max(wanted, batchMin), batchMax)
}

/** Batches until a slice is full: most systems need one, fast ones many. */
export async function measure(): Promise<Slice> {
  const measured = opened()
  const endsAt = performance.now() + sliceMs * SLICE_WALL_FACTOR
  const sum = { operations: 0, elapsedUs: 0, cpuUs: 0 }
  do {
    const slice = await runBatch(measured, batch)
    sum.operations += slice.operations
    sum.elapsedUs += slice.elapsedUs
    sum.cpuUs += slice.cpuUs
    // Half a slice more would be too long: a batch that fills one by itself is run once.
  } while (sum.elapsedUs < sliceMs * 500 && performance.now() < endsAt)
  return sum
}

export async function close(): Promise<void> {
  await system?.close()
}

function opened(): System {
  if (system === undefined) throw new Error('the system was not opened')
  return system
}

/** No forced collection before it: V8 would throw away optimized code too, and the batch would be a warm-up. */
async function runBatch(measured: System, operations: number): Promise<Slice> {
  await measured.prepare(operations)
  const cpuBefore = process.cpuUsage()
  const startedAt = process.hrtime.bigint()
  if ('runAll' in measured) runDirectly(measured, operations)
  else await runInLanes(measured, operations)
  const elapsedUs = Number(process.hrtime.bigint() - startedAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  return { operations, elapsedUs, cpuUs: cpu.user + cpu.system }
}

function runDirectly(measured: DirectSystem, operations: number): void {
  measured.runAll(operations)
}

async function runInLanes(measured: WaitingSystem, operations: number): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < operations) await measured.run(next++)
  }
  await Promise.all(Array.from({ length: measured.inFlight }, lane))
}
