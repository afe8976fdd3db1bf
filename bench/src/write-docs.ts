/**
 * `npm run docs -w @rescind/bench -- [NAME…]`: runs benchmarks, all unless some are named, and puts their
 * tables into `docs/benchmarks.md`, between `<!-- NAME -->` and `<!-- /NAME -->`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { BENCHMARKS } from './benchmarks.js'
import { machineToMarkdown, toMarkdown } from './report.js'
import { runBenchmark } from './run.js'

const ROUNDS = 7
const path = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url))

const names = process.argv.slice(2)
const unknown = names.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name))
if (unknown.length > 0) {
  process.stderr.write(`there is no benchmark ${unknown.join(', ')}\n`)
  process.exit(2)
}

for (const benchmark of BENCHMARKS) {
  if (names.length > 0 && !names.includes(benchmark.name)) continue
  process.stderr.write(`${benchmark.name} …\n`)
  const report = await runBenchmark(benchmark, {
    rounds: ROUNDS,
    quick: false,
    onSkipped: ({ system, why }) => process.stderr.write(`SKIPPED ${system}: ${why}\n`),
  })
  // Read again each time: someone may be writing on it meanwhile.
  const text = readFileSync(path, 'utf8')
  const withTables = between(text, benchmark.name, toMarkdown(report, new Date()))
  writeFileSync(path, between(withTables, 'machine', machineToMarkdown(report.machine)))
}

/** Replaces what stands between the two marks. */
function between(text: string, mark: string, content: string): string {
  const start = `<!-- ${mark} -->`
  const end = `<!-- /${mark} -->`
  const from = text.indexOf(start)
  const to = text.indexOf(end)
  if (from === -1 || to < from) throw new Error(`${path} lacks ${start} and ${end}`)
  return `${text.slice(0, from)}${start}\n\n${content}\n\n${text.slice(to)}`
}
