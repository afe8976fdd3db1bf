/** Runs one benchmark from beginning to end; whatever it started is gone when this settles. */
import type { Benchmark } from './benchmark.js'
import type { RunOptions } from './arguments.js'
import { describeMachine } from './machine.js'
import { measureInTurn, type Skipped } from './measure.js'
import type { Report } from './report.js'
import { Scope } from './scope.js'

export interface RunBenchmarkOptions extends RunOptions {
  readonly onSkipped: (skipped: Skipped) => void
}

export async function runBenchmark(benchmark: Benchmark, options: RunBenchmarkOptions): Promise<Report> {
  const { rounds, quick, only = '', onSkipped } = options
  const { name, unit } = benchmark
  const machine = await describeMachine()
  const scope = new Scope()
  try {
    const systems = (await benchmark.systems({ scope, quick })).filter(({ system }) => system.includes(only))
    if (systems.length === 0) throw new Error(`no system has ${JSON.stringify(only)} in its name`)
    const outcome = await measureInTurn(benchmark, systems, { rounds, onSkipped })
    return { name, unit, ...outcome, rounds, quick, machine }
  } finally {
    await scope.close()
  }
}
