/**
 * `npm run docs -w @rescind/bench -- [NAME…]`: runs benchmarks, all unless some are named, and keeps what they
 * measured in `results/NAME.json`; `profile` is the CPU profile of the gate. Then, from all results that there
 * are, it writes the tables of `docs/benchmarks.md` anew, between `<!-- NAME -->` and `<!-- /NAME -->`, and draws
 * `docs/charts/NAME.svg`, and `readme.svg`, a part of one. With `--render` it runs nothing; `--rounds=N` in place of 5.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { BENCHMARKS } from './benchmarks.js'
import { toSvg } from './chart.js'
import { profileGate, profileToMarkdown, type SelfTimes } from './profile.js'
import { machineToMarkdown, type Report, toMarkdown } from './report.js'
import { runBenchmark } from './run.js'

const ROUNDS = 5
const PROFILE = 'profile'
/** What the README shows: a request with a token that was seen before. */
const README_CHART = { from: 'gate', systems: / ES256 cached$/, name: 'A token that was seen before, ES256' }
const DOCS = new URL('../../docs/', import.meta.url)
const RESULTS = new URL('../results/', import.meta.url)

/** What is kept of a run. */
interface Kept<T> {
  /** When it was measured. */
  readonly date: string
  readonly measured: T
}

const args = process.argv.slice(2)
const isRenderOnly = args.includes('--render')
const rounds = Number(args.find((arg) => arg.startsWith('--rounds='))?.slice('--rounds='.length) ?? ROUNDS)
const names = args.filter((name) => !name.startsWith('--'))
const all = [...BENCHMARKS.map(({ name }) => name), PROFILE]
const unknown = names.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`there is no benchmark ${unknown.join(', ')}\n`)
  process.exit(2)
}

if (!isRenderOnly) {
  for (const name of all) {
    if (names.length > 0 && !names.includes(name)) continue
    process.stderr.write(`${name} …\n`)
    keep(name, await run(name))
  }
}
render()

async function run(name: string): Promise<Report | SelfTimes> {
  const benchmark = BENCHMARKS.find((candidate) => candidate.name === name)
  if (benchmark === undefined) return profileGate({ quick: false })
  return runBenchmark(benchmark, {
    rounds,
    quick: false,
    onSkipped: ({ system, why }) => process.stderr.write(`SKIPPED ${system}: ${why}\n`),
  })
}

function render(): void {
  const path = fileURLToPath(new URL('benchmarks.md', DOCS))
  let text = readFileSync(path, 'utf8')
  mkdirSync(new URL('charts/', DOCS), { recursive: true })
  let newest: Kept<Report> | undefined
  for (const { name } of BENCHMARKS) {
    const kept = keptOf<Report>(name)
    if (kept === undefined) continue
    const report = kept.measured
    writeFileSync(new URL(`charts/${name}.svg`, DOCS), toSvg(report))
    if (name === README_CHART.from) {
      const results = report.results.filter(({ system }) => README_CHART.systems.test(system))
      writeFileSync(
        new URL('charts/readme.svg', DOCS),
        toSvg({ ...report, name: README_CHART.name, results }),
      )
    }
    const chart = `![${name}: ${report.unit}](charts/${name}.svg)`
    text = between(text, name, `${chart}\n\n${toMarkdown(report, new Date(kept.date))}`)
    if (newest === undefined || kept.date > newest.date) newest = kept
  }
  if (newest !== undefined) text = between(text, 'machine', machineToMarkdown(newest.measured.machine))
  const profile = keptOf<SelfTimes>(PROFILE)
  if (profile !== undefined) text = between(text, PROFILE, profileToMarkdown(profile.measured))
  writeFileSync(path, text)
}

function keep(name: string, measured: Report | SelfTimes): void {
  mkdirSync(RESULTS, { recursive: true })
  const kept = { date: new Date().toISOString(), measured }
  writeFileSync(new URL(`${name}.json`, RESULTS), `${JSON.stringify(kept, null, 2)}\n`)
}

function keptOf<T>(name: string): Kept<T> | undefined {
  const url = new URL(`${name}.json`, RESULTS)
  return existsSync(url) ? (JSON.parse(readFileSync(url, 'utf8')) as Kept<T>) : undefined
}

/** Replaces what stands between the two marks. */
function between(text: string, mark: string, content: string): string {
  const start = `<!-- ${mark} -->`
  const end = `<!-- /${mark} -->`
  const from = text.indexOf(start)
  const to = text.indexOf(end)
  if (from === -1 || to < from) throw new Error(`docs/benchmarks.md lacks ${start} and ${end}`)
  return `${text.slice(0, from)}${start}\n\n${content}\n\n${text.slice(to)}`
}
