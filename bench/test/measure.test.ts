import { describe, expect, test } from 'vitest'
import type { Measured } from '../src/benchmark.js'
import { measureInTurn, type Result, type Skipped } from '../src/measure.js'
import { toText } from '../src/report.js'

const lower = { better: 'lower', comparisons: [['peer', 'ours']] } as const

/** A system that measures these values in turn, and then again from the first. */
function fake(system: string, values: number[], log: string[] = []): Measured {
  let round = 0
  return {
    system,
    open: async () => void log.push(`open ${system}`),
    warmUp: async () => void log.push(`warm ${system}`),
    measure: async () => {
      log.push(system)
      return { [system]: { value: values[round++ % values.length] as number } }
    },
  }
}

async function run(
  systems: Measured[],
  rounds: number,
  benchmark: Parameters<typeof measureInTurn>[0] = lower,
) {
  const told: Skipped[] = []
  const outcome = await measureInTurn(benchmark, systems, {
    rounds,
    onSkipped: (skipped) => told.push(skipped),
  })
  expect(told).toEqual(outcome.skipped)
  return outcome
}

test('a table has a line for each system, and the ratios below it', async () => {
  const outcome = await run([fake('ours', [3, 1, 2]), fake('peer', [10, 8, 50])], 3)
  const machine = {
    ...{ cpu: 'one', cores: 2, memoryGiB: 4, system: 'Linux', node: 'v22', versions: {}, loadBefore: 0 },
  }
  const report = {
    ...outcome,
    name: 'memory',
    unit: 'bytes per revocation',
    rounds: 3,
    quick: false,
    machine,
  }
  const text = toText(report)
  expect(text).toMatch(/^memory: bytes per revocation, median of 3 rounds\n/)
  expect(text).toMatch(/^ours +2/m)
  expect(text).toMatch(/^peer\/ours +5/m)
})

describe('measureInTurn', () => {
  test('opens all, warms each up, then measures in an order that rotates', async () => {
    const log: string[] = []
    await run([fake('ours', [1], log), fake('peer', [1], log), fake('third', [1], log)], 3)
    expect(log.slice(0, 6)).toEqual(
      ['open', 'warm'].flatMap((step) => ['ours', 'peer', 'third'].map((name) => `${step} ${name}`)),
    )
    expect(log.slice(6)).toEqual(['ours', 'peer', 'third', 'peer', 'third', 'ours', 'third', 'ours', 'peer'])
  })

  test('reports median, least and greatest, and the ratio of the medians', async () => {
    const { results, ratios } = await run([fake('ours', [3, 1, 2]), fake('peer', [10, 8, 50])], 3)
    expect(results).toEqual([
      { system: 'ours', median: 2, min: 1, max: 3 },
      { system: 'peer', median: 10, min: 8, max: 50 },
    ])
    expect(ratios).toEqual({ 'peer/ours': 5 })
  })

  test('compares CPU times too, where both have them', async () => {
    const withCpu = (system: string, cpu: number): Measured => ({
      ...fake(system, [1]),
      measure: async () => ({ [system]: { value: 1, cpu, serverCpu: cpu / 2 } }),
    })
    const { results, cpuRatios } = await run([withCpu('ours', 4), withCpu('peer', 6)], 1)
    expect(cpuRatios).toEqual({ 'peer/ours': 1.5 })
    expect(results[0]).toMatchObject({ cpu: 4, serverCpu: 2 })
  })

  test('reports what else was counted, each with its spread, and what follows from the results', async () => {
    let round = 0
    const counting: Measured = {
      ...fake('ours', [1]),
      measure: async () => ({ ours: { value: 1, figures: { calls: round++, p99Ms: 5 } } }),
    }
    const derive = (results: readonly Result[]) => ({ thrice: (results[0]?.median ?? 0) * 3 })
    const { results, derived } = await run([counting], 3, { ...lower, derive })
    expect(results[0]?.figures).toEqual({
      calls: { median: 1, min: 0, max: 2 },
      p99Ms: { median: 5, min: 5, max: 5 },
    })
    expect(derived).toEqual({ thrice: 3 })
  })

  test('writes the ratio of rates the other way round', async () => {
    const higher = { better: 'higher', comparisons: [['peer', 'ours']] } as const
    const { ratios } = await run([fake('ours', [20]), fake('peer', [10])], 1, higher)
    expect(ratios).toEqual({ 'peer/ours': 2 })
  })

  test.each(['open', 'warmUp', 'measure'] as const)(
    'reports a peer that fails in %s, drops what it had, and goes on with the others',
    async (step) => {
      const failing: Measured = {
        ...fake('peer', [1]),
        [step]: () => Promise.reject(new Error('the disk is full\n  try another\n')),
      }
      const outcome = await run([fake('ours', [2]), failing], 2)
      expect(outcome.skipped).toEqual([{ system: 'peer', why: 'the disk is full / try another' }])
      expect(outcome.results.map(({ system }) => system)).toEqual(['ours'])
      expect(outcome.ratios).toEqual({})
    },
  )

  test.each([NaN, Infinity, 0, -1])('takes a reading of %d for a failure', async (value) => {
    const { skipped } = await run([fake('ours', [2]), fake('peer', [1, value])], 2)
    expect(skipped).toEqual([{ system: 'peer', why: `it measured ${value}` }])
  })

  test('fails when one of our own systems does', async () => {
    const failing: Measured = {
      ...fake('ours', [1]),
      measure: () => Promise.reject(new Error('wrong answer')),
    }
    await expect(run([failing, fake('peer', [1])], 1)).rejects.toThrow('ours failed: wrong answer')
  })
})
