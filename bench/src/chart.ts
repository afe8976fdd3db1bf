/**
 * A run as a picture: a bar for every system, a line from the least to the greatest round. Plain SVG, readable
 * on light and on dark pages. Pure.
 */
import { format, type Report } from './report.js'
import type { Result } from './measure.js'

const ROW_HEIGHT = 22
const BAR_HEIGHT = 12
const NAME_WIDTH = 270
const BARS_WIDTH = 420
const VALUE_WIDTH = 90
const HEAD_HEIGHT = 58
const FOOT_HEIGHT = 26
const MARGIN = 12
/** Values that differ by more than this cannot share a linear scale. */
const LINEAR_MAX = 40
const OURS = /rescind|^nodes-|^replicas-/

interface Scale {
  readonly isLogarithmic: boolean
  /** From 0 to 1. */
  place(value: number): number
  readonly ticks: readonly number[]
}

export function toSvg(report: Report): string {
  const { name, unit, results, rounds } = report
  const scale = scaleOf(results)
  const width = MARGIN * 2 + NAME_WIDTH + BARS_WIDTH + VALUE_WIDTH
  const height = HEAD_HEIGHT + results.length * ROW_HEIGHT + FOOT_HEIGHT
  const bottom = HEAD_HEIGHT + results.length * ROW_HEIGHT
  const x = (value: number) => rounded(MARGIN + NAME_WIDTH + scale.place(value) * BARS_WIDTH)
  const described = `${capital(unit)}, median of ${rounds} rounds${scale.isLogarithmic ? ', logarithmic scale' : ''}`
  const ticks = scale.ticks.flatMap((tick) => [
    line(`class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${HEAD_HEIGHT - 6}" y2="${bottom}"`),
    text(x(tick), bottom + 16, 'tick', format(tick), 'middle'),
  ])
  const rows = results.flatMap((result, i) => {
    const middle = HEAD_HEIGHT + i * ROW_HEIGHT + ROW_HEIGHT / 2
    const start = MARGIN + NAME_WIDTH
    const size = `width="${rounded(Math.max(1, x(result.median) - start))}" height="${BAR_HEIGHT}"`
    const kind = OURS.test(result.system) ? 'ours' : 'peer'
    return [
      text(start - 8, middle + 4, 'name', result.system, 'end'),
      `<rect class="${kind}" x="${start}" y="${middle - BAR_HEIGHT / 2}" ${size} rx="2"/>`,
      line(`class="range" x1="${x(result.min)}" x2="${x(result.max)}" y1="${middle}" y2="${middle}"`),
      text(
        Math.max(x(result.median), x(result.max)) + 6,
        middle + 4,
        'value',
        format(result.median),
        'start',
      ),
    ]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(`${name}: ${described}`)}">`,
    `<style>${STYLE}</style>`,
    text(MARGIN, 22, 'title', name, 'start'),
    text(MARGIN, 40, 'tick', described, 'start'),
    ...ticks,
    ...rows,
    '</svg>',
    '',
  ].join('\n')
}

const STYLE = [
  'text{font:12px ui-sans-serif,system-ui,sans-serif;fill:#1f2328}',
  '.title{font-size:15px;font-weight:600}',
  '.tick,.value{font-size:11px;fill:#59636e}',
  '.grid{stroke:#d1d9e0;stroke-width:1}',
  '.range{stroke:#1f2328;stroke-width:1.5;opacity:.55}',
  '.ours{fill:#1a7f5a}',
  '.peer{fill:#8c959f}',
  '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick,.value{fill:#9198a1}.grid{stroke:#3d444d}' +
    '.range{stroke:#e6edf3}.ours{fill:#3fb68b}.peer{fill:#656c76}}',
].join('')

function scaleOf(results: readonly Result[]): Scale {
  const least = Math.min(...results.map(({ median }) => median))
  const greatest = Math.max(...results.map(({ max }) => max))
  if (greatest / least <= LINEAR_MAX) {
    const step = niceStep(greatest / 5)
    const top = Math.ceil(greatest / step) * step
    const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step)
    return { isLogarithmic: false, place: (value) => value / top, ticks }
  }
  const from = Math.floor(Math.log10(Math.min(...results.map(({ min }) => min))))
  const to = Math.ceil(Math.log10(greatest))
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i))
  return { isLogarithmic: true, place: (value) => (Math.log10(value) - from) / (to - from), ticks }
}

/** 1, 2 or 5 times a power of ten, at least so large. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10) * power
}

function text(
  x: number,
  y: number,
  kind: string,
  content: string,
  anchor: 'start' | 'middle' | 'end',
): string {
  return `<text class="${kind}" x="${rounded(x)}" y="${rounded(y)}" text-anchor="${anchor}">${escaped(content)}</text>`
}

function line(attributes: string): string {
  return `<line ${attributes}/>`
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function escaped(words: string): string {
  return words
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
