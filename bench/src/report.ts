/** A finished run, as JSON, as text for a terminal and as Markdown. Pure. */
import type { Machine } from './machine.js'
import type { Outcome, Result } from './measure.js'

export interface Report extends Outcome {
  readonly name: string
  readonly unit: string
  readonly rounds: number
  readonly quick: boolean
  readonly machine: Machine
}

export function toJson(report: Report): string {
  return JSON.stringify(report)
}

export function toText(report: Report): string {
  const { name, unit, rounds, quick, machine, skipped } = report
  const warning = quick ? ' (--quick: the numbers mean nothing)' : ''
  return [
    `${name}: ${unit}, median of ${rounds} rounds${warning}`,
    '',
    ...aligned(resultTable(report)),
    '',
    'Ratios, larger is better for rescind:',
    ...aligned(ratioTable(report)),
    ...(hasDerived(report) ? ['', 'Arithmetic, not measured:', ...aligned(derivedTable(report))] : []),
    ...skipped.map(({ system, why }) => `SKIPPED ${system}: ${why}`),
    '',
    machineLine(machine),
  ].join('\n')
}

/** The tables of a run, for `docs/benchmarks.md`. */
export function toMarkdown(report: Report, date: Date): string {
  const { rounds, unit, skipped, machine } = report
  return [
    `Measured on ${date.toISOString().slice(0, 10)}, ${rounds} rounds, load ${machine.loadBefore} before. In ${unit}:`,
    '',
    ...markdown(resultTable(report)),
    '',
    'Ratios, larger is better for Rescind:',
    '',
    ...markdown(ratioTable(report)),
    ...(hasDerived(report) ? ['', 'Arithmetic, not measured:', '', ...markdown(derivedTable(report))] : []),
    ...skipped.flatMap(({ system, why }) => ['', `Skipped: \`${system}\`: ${why}.`]),
  ].join('\n')
}

export function machineToMarkdown({ cpu, cores, memoryGiB, system, node, versions }: Machine): string {
  return markdown([
    ['what', 'which'],
    ['processor', `${cpu}, ${cores} cores, ${memoryGiB} GiB`],
    ['system', system],
    ['Node.js', node],
    ...Object.entries(versions),
  ]).join('\n')
}

type Table = readonly (readonly string[])[]

/** A column is there when some system has it. */
function resultTable({ results }: Report): Table {
  const figures = [...new Set(results.flatMap((result) => Object.keys(result.figures ?? {})))]
  const columns: [name: string, valueOf: (result: Result) => number | undefined][] = [
    ['median', ({ median }) => median],
    ['min', ({ min }) => min],
    ['max', ({ max }) => max],
    ['client CPU, µs', ({ cpu }) => cpu],
    ['Redis CPU, µs', ({ serverCpu }) => serverCpu],
    ...figures.map((name): (typeof columns)[number] => [name, (result) => result.figures?.[name]?.median]),
  ]
  const used = columns.filter(([, valueOf]) => results.some((result) => valueOf(result) !== undefined))
  const cell = (value: number | undefined) => (value === undefined ? '–' : format(value))
  return [
    ['system', ...used.map(([name]) => name)],
    ...results.map((result) => [result.system, ...used.map(([, valueOf]) => cell(valueOf(result)))]),
  ]
}

function hasDerived({ derived }: Report): boolean {
  return Object.keys(derived).length > 0
}

function derivedTable({ derived }: Report): Table {
  return [['what', 'value'], ...Object.entries(derived).map(([name, value]) => [name, format(value)])]
}

function ratioTable({ ratios, cpuRatios }: Report): Table {
  const row = ([name, value]: [string, number]) => {
    const cpu = cpuRatios[name]
    return [name, value.toFixed(2), cpu === undefined ? '–' : cpu.toFixed(2)]
  }
  return [['ratio', 'by the unit', 'by client CPU'], ...Object.entries(ratios).map(row)]
}

function machineLine({ cpu, cores, memoryGiB, system, node, versions, loadBefore }: Machine): string {
  const libraries = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return (
    `Machine: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, load ${loadBefore} before; ` +
    `Node.js ${node}, ${libraries.join(', ')}.`
  )
}

export function format(value: number): string {
  if (value === 0 || value >= 1000) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toPrecision(2)
}

/** Text to the left, numbers to the right. */
function aligned(table: Table): string[] {
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? '').length)),
  )
  return table.map((row) =>
    row
      .map((text, i) => (i === 0 ? text.padEnd(widths[i] as number) : text.padStart(widths[i] as number)))
      .join('  '),
  )
}

function markdown(table: Table): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const [head = [], ...rows] = table
  return [
    line(head),
    line(head.map((_, i) => (i === 0 ? '---' : '--:'))),
    ...rows.map(([name = '', ...cells]) => line([`\`${name}\``, ...cells])),
  ]
}
