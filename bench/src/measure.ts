/**
 * Measures systems in turn: every round each of them once, in an order that is rotated, so that what else the
 * machine does falls on all alike. A system that fails leaves the run and is reported with the reason.
 */
import type { Benchmark, Measured, Sample } from './benchmark.js'
import { median, ratio, rotated, rounded } from './statistics.js'

/** Over the rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Result extends Spread {
  readonly system: string
  /** Median CPU time of the client process per operation, in microseconds. */
  readonly cpu?: number
  /** Median CPU time of the Redis server per operation, in microseconds. */
  readonly serverCpu?: number
  readonly figures?: Readonly<Record<string, Spread>>
}

export interface Skipped {
  readonly system: string
  readonly why: string
}

export interface Outcome {
  readonly results: readonly Result[]
  /** By `PEER/OURS`; larger is better for us. */
  readonly ratios: Readonly<Record<string, number>>
  /** The same of the CPU time of the client process, which other work on the machine disturbs less. */
  readonly cpuRatios: Readonly<Record<string, number>>
  /** Arithmetic on the results: see `Benchmark.derive`. */
  readonly derived: Readonly<Record<string, number>>
  readonly skipped: readonly Skipped[]
}

export interface MeasureOptions {
  readonly rounds: number
  /** Told at once of a system that failed. */
  readonly onSkipped: (skipped: Skipped) => void
}

/** Rejects when one of our own systems fails: without it there is nothing to compare. */
export async function measureInTurn(
  benchmark: Pick<Benchmark, 'better' | 'comparisons' | 'derive'>,
  systems: readonly Measured[],
  { rounds, onSkipped }: MeasureOptions,
): Promise<Outcome> {
  const ours = new Set(benchmark.comparisons.map(([, own]) => own))
  const running = new Set(systems)
  const skipped: Skipped[] = []
  const samples = new Map<Measured, Map<string, Sample[]>>(systems.map((system) => [system, new Map()]))
  const attempt = async (measured: Measured, step: () => Promise<void>) => {
    try {
      await step()
    } catch (cause) {
      if (!running.delete(measured)) return
      const { system } = measured
      const why = messageOf(cause)
      if (ours.has(system)) throw new Error(`${system} failed: ${why}`, { cause })
      skipped.push({ system, why })
      onSkipped({ system, why })
    }
  }

  await Promise.all([...running].map((measured) => attempt(measured, () => measured.open())))
  for (const measured of [...running]) await attempt(measured, () => measured.warmUp())
  for (let round = 0; round < rounds; round++) {
    for (const measured of rotated([...running], round)) {
      await attempt(measured, async () => {
        for (const [name, sample] of Object.entries(await measured.measure())) {
          keep(samples.get(measured) as Map<string, Sample[]>, name, sample)
        }
      })
    }
  }

  const results = [...running].flatMap((measured) =>
    [...(samples.get(measured) as Map<string, Sample[]>)].map(([name, list]) => resultOf(name, list)),
  )
  const derived = Object.entries(benchmark.derive?.(results) ?? {})
  return {
    results,
    ...compare(benchmark, results),
    derived: Object.fromEntries(derived.map(([name, value]) => [name, rounded(value)])),
    skipped,
  }
}

function keep(bySystem: Map<string, Sample[]>, name: string, sample: Sample): void {
  if (!Number.isFinite(sample.value) || sample.value <= 0) throw new Error(`it measured ${sample.value}`)
  const list = bySystem.get(name)
  if (list === undefined) bySystem.set(name, [sample])
  else list.push(sample)
}

function resultOf(system: string, samples: readonly Sample[]): Result {
  const cpu = samples.flatMap((sample) => sample.cpu ?? [])
  const serverCpu = samples.flatMap((sample) => sample.serverCpu ?? [])
  return {
    system,
    ...spreadOf(samples.map(({ value }) => value)),
    ...(cpu.length === 0 ? {} : { cpu: rounded(median(cpu)) }),
    ...(serverCpu.length === 0 ? {} : { serverCpu: rounded(median(serverCpu)) }),
    ...figuresOf(samples),
  }
}

/** A figure that one round lacks is taken from the others. */
function figuresOf(samples: readonly Sample[]): { figures?: Record<string, Spread> } {
  const names = [...new Set(samples.flatMap(({ figures }) => Object.keys(figures ?? {})))]
  if (names.length === 0) return {}
  const spread = (name: string) => spreadOf(samples.flatMap(({ figures }) => figures?.[name] ?? []))
  return { figures: Object.fromEntries(names.map((name) => [name, spread(name)])) }
}

function spreadOf(values: readonly number[]): Spread {
  return {
    median: rounded(median(values)),
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
  }
}

function compare(
  { comparisons, better }: Pick<Benchmark, 'better' | 'comparisons'>,
  results: readonly Result[],
): Pick<Outcome, 'ratios' | 'cpuRatios'> {
  const ratios: Record<string, number> = {}
  const cpuRatios: Record<string, number> = {}
  for (const [peerName, ownName] of comparisons) {
    const peer = results.find(({ system }) => system === peerName)
    const own = results.find(({ system }) => system === ownName)
    if (peer === undefined || own === undefined) continue
    const key = `${peerName}/${ownName}`
    ratios[key] = rounded(ratio(peer.median, own.median, better))
    if (peer.cpu && own.cpu) cpuRatios[key] = rounded(ratio(peer.cpu, own.cpu, 'lower'))
  }
  return { ratios, cpuRatios }
}

/** In one line: programs that fail write several. */
function messageOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause)
  return message
    .trim()
    .split(/\s*\n\s*/)
    .join(' / ')
}
