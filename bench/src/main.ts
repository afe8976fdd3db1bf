/** `npm run bench -- NAME`: runs one benchmark and reports it on standard output. */
import { readArguments, ROUNDS_MAX } from './arguments.js'
import { BENCHMARKS } from './benchmarks.js'
import { toJson, toText } from './report.js'
import { runBenchmark } from './run.js'

const EXIT_FAILED = 1
const EXIT_USAGE = 2

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const command = readArguments(
    args,
    BENCHMARKS.map(({ name }) => name),
  )
  switch (command.kind) {
    case 'invalid':
      complain(command.message)
      return EXIT_USAGE
    case 'help':
      print(help())
      return 0
    case 'list':
      print(list())
      return 0
    case 'run':
      break
  }
  const benchmark = BENCHMARKS.find(({ name }) => name === command.name)
  if (benchmark === undefined) return EXIT_USAGE
  try {
    const report = await runBenchmark(benchmark, {
      rounds: command.rounds,
      quick: command.quick,
      ...(command.only === undefined ? {} : { only: command.only }),
      onSkipped: ({ system, why }) => complain(`SKIPPED ${system}: ${why}`),
    })
    print(command.json ? toJson(report) : toText(report))
    return 0
  } catch (error) {
    complain(`${benchmark.name}: ${error instanceof Error ? error.message : String(error)}`)
    return EXIT_FAILED
  }
}

function list(): string {
  const width = Math.max(...BENCHMARKS.map(({ name }) => name.length))
  const lines = BENCHMARKS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return ['Benchmarks, run with: npm run bench -- NAME', ...lines].join('\n')
}

function help(): string {
  return `Usage: npm run bench -- NAME [options]

${list()}

Options:
  --json      print one JSON object and nothing else (npm itself is silent with: npm run --silent bench)
  --rounds N  measure every system so many times, 1 to ${ROUNDS_MAX}; default 5, with --quick 2
  --quick     a small and short run that shows that everything works; its numbers mean nothing
  --only TEXT measure only systems whose names contain the text
  --help      print this`
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function complain(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
