/**
 * `npm run test:faults -- [--long] [--json] [NAME…]`: runs the fault suite, or the named files of it, one after the
 * other, and tells which promises it has shown, by which figures, and what the naive clients lost meanwhile.
 *
 * `--long` (or `RESCIND_FAULTS=long`): with the counts of the promises. `--json`: the last line is
 * `{ "promises": [{ "id", "figure", "holds" }], "controls": [{ "scenario", "naiveLost" }] }`, and all else goes to the
 * standard error. The exit code is 0 when every test passed and every promise holds; with names, every one they show.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { joinLines, type Line, type Shown } from '../packages/rescind/test/faults/engine/promises.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = 'packages/rescind/test/faults'
const SUFFIX = '.test.ts'
const EXIT_FAILED = 1
const EXIT_USAGE = 2

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const known = readdirSync(join(ROOT, FOLDER))
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
  const command = readCommand(args, known)
  if (typeof command === 'string') {
    console.error(`${command}\nnpm run test:faults -- [--long] [--json] [NAME…]\nNAME: ${known.join(', ')}`)
    return EXIT_USAGE
  }
  const folder = mkdtempSync(join(tmpdir(), 'rescind-faults-'))
  try {
    const path = join(folder, 'figures.jsonl')
    const exitCode = await runTests(command, path)
    const shown = joinLines(readLines(path))
    console.log(command.json ? toJson(shown) : toText(shown))
    const isKept = shown.isKept && (shown.isWhole || command.names.length > 0)
    return exitCode !== 0 || !isKept ? EXIT_FAILED : 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Command {
  readonly long: boolean
  readonly json: boolean
  readonly names: readonly string[]
}

function readCommand(args: string[], known: readonly string[]): Command | string {
  try {
    const options = {
      long: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const unknown = positionals.filter((name) => !known.includes(name))
    if (unknown.length > 0) return `there is no ${unknown.join(', ')}`
    return { ...values, names: positionals }
  } catch (error) {
    return (error as Error).message
  }
}

/** Resolves with the exit code of the tests. Without names, the engine's own tests run too. */
function runTests({ long, json, names }: Command, figuresPath: string): Promise<number> {
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
  const files = names.length === 0 ? [`${FOLDER}/`] : names.map((name) => `${FOLDER}/${name}${SUFFIX}`)
  const child = spawn(
    process.execPath,
    [vitest, 'run', ...files, '--project', 'timed', '--no-file-parallelism'],
    {
      cwd: ROOT,
      stdio: ['ignore', json ? 2 : 1, 2],
      env: {
        ...process.env,
        RESCIND_FAULTS_FIGURES: figuresPath,
        ...(long ? { RESCIND_FAULTS: 'long' } : {}),
      },
    },
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal))
  return new Promise((resolve) => {
    child.once('error', () => resolve(EXIT_FAILED))
    child.once('exit', (code) => resolve(code ?? EXIT_FAILED))
  })
}

function readLines(path: string): Line[] {
  let text = ''
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    // No test had anything to tell: all promises are then not shown.
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

function toJson({ promises, controls }: Shown): string {
  return JSON.stringify({ promises, controls })
}

function toText({ promises, controls }: Shown): string {
  return [
    ...promises.map(({ id, figure, holds }) => `${holds ? 'holds' : 'DOES NOT HOLD'}  ${id}: ${figure}`),
    ...controls.map(({ scenario, naiveLost }) => `naive client, ${scenario}: ${naiveLost} lost or late`),
  ].join('\n')
}
