import { describe, expect, test } from 'vitest'
import { toSvg } from '../src/chart.js'
import type { Result } from '../src/measure.js'
import type { Report } from '../src/report.js'

function reportOf(results: Result[]): Report {
  const machine = {
    cpu: 'any',
    cores: 1,
    memoryGiB: 1,
    system: 'any',
    node: 'v1',
    versions: {},
    loadBefore: 0,
  }
  const nothing = { ratios: {}, cpuRatios: {}, derived: {}, skipped: [] }
  return { name: 'check', unit: 'microseconds', rounds: 3, quick: false, machine, results, ...nothing }
}

const result = (system: string, median: number): Result => ({
  system,
  median,
  min: median * 0.9,
  max: median * 1.1,
})

const barWidths = (svg: string) =>
  [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width))

describe('toSvg', () => {
  test('draws a bar for every system, ours in another colour, with its name and value', () => {
    const svg = toSvg(reportOf([result('rescind', 10), result('peer <&>', 20)]))
    expect(svg.match(/<rect class="ours"/g)).toHaveLength(1)
    expect(svg.match(/<rect class="peer"/g)).toHaveLength(1)
    expect(svg).toContain('>peer &lt;&amp;&gt;</text>')
    expect(svg).toContain('>20.0</text>')
    expect(svg).toContain('prefers-color-scheme:dark')
    expect(svg).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('is linear, from zero, while the values are alike', () => {
    const svg = toSvg(reportOf([result('a', 10), result('b', 20)]))
    const [a = 0, b = 0] = barWidths(svg)
    expect(b / a).toBeCloseTo(2, 1)
    expect(svg).not.toContain('logarithmic')
  })

  test('is logarithmic, and says so, when they are far apart', () => {
    const svg = toSvg(reportOf([result('a', 0.2), result('b', 200)]))
    expect(svg).toContain('logarithmic scale')
    expect(barWidths(svg).every((width) => width >= 1 && width <= 420)).toBe(true)
  })
})
