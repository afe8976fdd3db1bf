/** What a benchmark is made of: systems that are measured in turn, and which of them are compared. */
import type { Result } from './measure.js'
import type { Scope } from './scope.js'

/** One reading of one system in one round. */
export interface Sample {
  /** In the unit of the benchmark. */
  readonly value: number
  /** CPU time of the client process per operation, in microseconds. */
  readonly cpu?: number | undefined
  /** CPU time of the Redis server per operation, in microseconds. */
  readonly serverCpu?: number | undefined
  /** What else was counted or measured, by a name that ends in its unit. */
  readonly figures?: Readonly<Record<string, number>> | undefined
}

/** A system under measurement. Whatever throws ends it: it is reported as skipped, with the reason. */
export interface Measured {
  readonly system: string
  /** Connects and fills; runs beside the others. */
  open(): Promise<void>
  /** Runs alone, before the first round. */
  warmUp(): Promise<void>
  /** Runs alone. One sample by name: usually of `system`, sometimes of parts of it too. */
  measure(): Promise<Readonly<Record<string, Sample>>>
}

export interface Benchmark {
  readonly name: string
  /** One line for people. */
  readonly summary: string
  readonly unit: string
  /** `lower` for times and sizes, `higher` for rates. */
  readonly better: 'lower' | 'higher'
  /** `[peer, ours]`: each pair becomes one ratio. Like is compared with like first. */
  readonly comparisons: readonly (readonly [peer: string, ours: string])[]
  /** What is not measured but follows from the results, by a name that says how. */
  derive?(results: readonly Result[]): Readonly<Record<string, number>>
  /** Makes the systems; what they need is closed by the scope. */
  systems(setting: Setting): Promise<readonly Measured[]>
}

export interface Setting {
  readonly scope: Scope
  /** A smoke run: small and short, its numbers mean nothing. */
  readonly quick: boolean
}
