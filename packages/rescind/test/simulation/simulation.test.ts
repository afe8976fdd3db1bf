/**
 * Thousands of simulated histories, each from a seed: nodes of the library on a model of Redis that forks, is emptied,
 * trimmed, frozen and cut off, in simulated time. What the nodes answer must be right in every one of them.
 *
 * `RESCIND_SIMULATION_SEEDS`: how many seeds, default 1,000. `RESCIND_SEED`: only that one, with its trace.
 * `docs/simulation.md` says what is modelled.
 */
import type * as CryptoModule from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import type * as RecordModule from '../../src/core/record.js'
import { reduce } from './reduce.js'
import { type Outcome, simulate, type SimulationOptions } from './simulation.js'

vi.mock('node:crypto', async (importOriginal) => {
  const { seededCrypto } = await import('./seeded-crypto.js')
  return seededCrypto(await importOriginal<typeof CryptoModule>())
})
// Segments of eight records: a log of a few lines has several, as a large one has.
vi.mock('../../src/core/record.js', async (importOriginal) => ({
  ...(await importOriginal<typeof RecordModule>()),
  SEGMENT_BYTES_MAX: 9 * 32,
}))

const SEEDS = Number(process.env.RESCIND_SIMULATION_SEEDS ?? 1000)
const SEED = process.env.RESCIND_SEED
const FILE = 'packages/rescind/test/simulation/simulation.test.ts'
/** How often a failing schedule is tried again with fewer steps. */
const REDUCTIONS_MAX = 60
const CONTROL_SEEDS = 40
const LOSS = /said clear|all say clear|disagree/
const TIMEOUT_MS = 3_600_000

type Figures = Record<string, number>

/** Every seed in turn; stops at the first that fails, and says how to see it again. */
async function runAll(seeds: readonly number[]): Promise<Figures> {
  const sums: Figures = {}
  for (const seed of seeds) {
    const outcome = await simulate(seed)
    if (outcome.violations.length > 0) throw new Error(await explain(outcome))
    for (const [name, figure] of Object.entries(outcome.figures)) sums[name] = (sums[name] ?? 0) + figure
  }
  return sums
}

async function explain(outcome: Outcome): Promise<string> {
  const { seed } = outcome.plan
  const reduced = await reduce(outcome, (steps) => simulate(seed, { steps }), REDUCTIONS_MAX)
  const { steps, ...setting } = outcome.plan
  return [
    `Seed ${seed} fails: ${outcome.violations.slice(0, 3).join('; ')}`,
    `Again, with its trace: RESCIND_SEED=${seed} npx vitest run ${FILE}`,
    `${reduced.steps.size} of its ${steps.length} steps are enough. The setting: ${JSON.stringify(setting)}`,
    ...reduced.outcome.violations.slice(0, 3),
    ...reduced.outcome.trace,
  ].join('\n')
}

/** In how many of these seeds an acknowledged revocation is lost. */
async function losing(seeds: readonly number[], options: SimulationOptions): Promise<number> {
  let lost = 0
  for (const seed of seeds) {
    const { violations } = await simulate(seed, options)
    if (violations.some((violation) => LOSS.test(violation))) lost += 1
  }
  return lost
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

describe.skipIf(SEED !== undefined)('a simulation', () => {
  it(`is right for each of ${SEEDS} seeds`, { timeout: TIMEOUT_MS }, async () => {
    const figures = await runAll(upTo(SEEDS))
    if (process.env.RESCIND_FIGURES !== undefined) console.log(JSON.stringify({ seeds: SEEDS, ...figures }))
    // Most of what was asked was owed a refusal, or nothing was decided.
    expect(figures.owed).toBeGreaterThan(10 * SEEDS)
    expect(figures.clear).toBeGreaterThan(10 * SEEDS)
  })

  it('gives the same history for the same seed, and others for others', { timeout: TIMEOUT_MS }, async () => {
    const seeds = [3, 14, 15, 92]
    const hashes = []
    for (const seed of [...seeds, ...seeds]) hashes.push((await simulate(seed)).hash)
    expect(hashes.slice(seeds.length)).toEqual(hashes.slice(0, seeds.length))
    expect(new Set(hashes).size).toBe(seeds.length)
  })

  it.each([
    ['of the library that give nothing back', 'no reseed'],
    ['of a naive client', 'naive'],
  ] as const)('shows what nodes %s lose', { timeout: TIMEOUT_MS }, async (_, nodes) => {
    const lost = await losing(upTo(CONTROL_SEEDS), { nodes })
    if (process.env.RESCIND_FIGURES !== undefined) console.log(JSON.stringify({ nodes, CONTROL_SEEDS, lost }))
    expect(lost).toBeGreaterThan(CONTROL_SEEDS / 20)
  })
})

/** A tool, and no test of every run. */
if (SEED !== undefined)
  it(`seed ${SEED}`, { timeout: TIMEOUT_MS }, async () => {
    const { violations, trace, plan } = await simulate(Number(SEED), { isTraced: true })
    console.log([JSON.stringify(plan), ...trace].join('\n'))
    expect(violations).toEqual([])
  })
