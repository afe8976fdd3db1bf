/**
 * `npm test`: fetches the programs that the tests need and this machine has not, runs all tests, and those files in
 * which something failed once more, one after the other, with the machine to themselves. Real servers are killed and
 * frozen here while the clock runs, and a busy machine can be late by itself; what fails twice is broken. Nothing is
 * hidden: every file that needed its second run is named before the last line, `N passed, N failed`, which counts it once.
 *
 * `npm test -- ARGUMENTS`: as `vitest run ARGUMENTS`, without a second run.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import {
  closingText,
  failedFiles,
  failuresIn,
  type Tally,
  withSecondRun,
} from '../packages/rescind/test/support/tally.js'
import { fetchPrograms } from './test-programs.js'

const ROOT = resolve(import.meta.dirname, '..')
const VITEST = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
const EXIT_FAILED = 1
/** More than these are no accident. */
const SECOND_RUN_FILES_MAX = 8

interface Run {
  readonly exitCode: number
  /** Undefined where it did not come to its end. */
  readonly tally: Tally | undefined
}

const folder = mkdtempSync(join(tmpdir(), 'rescind-test-'))
try {
  process.exitCode = await main(process.argv.slice(2))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length > 0) return run('only', args).exitCode
  await fetchPrograms()
  const first = run('first', [])
  if (first.exitCode === 0 || first.tally === undefined || first.tally.unplaced > 0) return first.exitCode
  const files = failedFiles(first.tally)
  if (files.length === 0 || files.length > SECOND_RUN_FILES_MAX) return first.exitCode
  console.log(`\nOnce more, one after the other: ${files.join(', ')}\n`)
  const second = run('second', [...files, '--no-file-parallelism'])
  if (second.tally === undefined) return EXIT_FAILED
  const whole = withSecondRun(first.tally, second.tally)
  console.log(`\n${closingText(whole)}`)
  return second.exitCode === 0 && failuresIn(whole) === 0 ? 0 : EXIT_FAILED
}

function run(name: string, args: readonly string[]): Run {
  const tallyPath = join(folder, `${name}.json`)
  const { status } = spawnSync(process.execPath, [VITEST, 'run', ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, RESCIND_TEST_TALLY: tallyPath },
  })
  return { exitCode: status ?? EXIT_FAILED, tally: readTally(tallyPath) }
}

function readTally(path: string): Tally | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Tally
  } catch {
    return undefined
  }
}
