/**
 * Ends a run with one plain line, `N passed, N failed`, that any reader of logs understands. Before it stands what the
 * numbers do not tell: which tests were skipped and why, and which passed only when they were tried again.
 *
 * On CI a test that is skipped without a reason counts as failed: nobody would notice that a proof is gone.
 */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node'
import { closingText, failuresIn, type FileTally } from './tally.js'

/** How the name of a test says why it is not run: see `namedBy` of `net-namespaces.ts`. */
const REASON_IN_NAME = /\[NOT RUN: (.*?)\]/

export interface ClosingLineOptions {
  readonly isCI?: boolean
  /** The file to write the `Tally` to, as JSON. Default: it is not written. */
  readonly tallyPath?: string | undefined
}

export class ClosingLine implements Reporter {
  #vitest: Vitest | undefined
  readonly #isCI: boolean
  readonly #tallyPath: string | undefined

  constructor({
    isCI = process.env['CI'] === 'true',
    tallyPath = process.env['RESCIND_TEST_TALLY'],
  }: ClosingLineOptions = {}) {
    this.#isCI = isCI
    this.#tallyPath = tallyPath
  }

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const root = this.#vitest?.config.root ?? process.cwd()
    const paths = errors.map((error) => (error as { VITEST_TEST_PATH?: string }).VITEST_TEST_PATH)
    const files = modules.map((module) => {
      const thrownBeside = paths.filter((path) => path === module.moduleId).length
      return this.#tallyOf(module, relative(root, module.moduleId), thrownBeside)
    })
    const unplaced = paths.filter((path) => !modules.some(({ moduleId }) => moduleId === path)).length
    const tally = { files, unplaced }
    if (failuresIn(tally) > 0) process.exitCode = 1
    if (this.#tallyPath !== undefined) writeFileSync(this.#tallyPath, JSON.stringify(tally))
    console.log(closingText(tally))
  }

  #tallyOf(module: TestModule, path: string, thrownBeside: number): FileTally {
    const count = { passed: 0, failed: thrownBeside, skipped: 0, pending: 0 }
    const remarks: string[] = []
    // With a filter most are skipped, and it is known why.
    const isFiltered = this.#vitest?.config.testNamePattern !== undefined
    // A hook that fails skips the tests of its suite, and is told of nowhere else.
    const broken = [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0)
    count.failed += broken.length
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      count[state] += 1
      if (test.diagnostic()?.flaky === true) remarks.push(`Passed only when tried again: ${test.fullName}`)
      if (state !== 'skipped' || isFiltered || broken.some((suite) => isWithin(test, suite))) continue
      const reason = reasonOf(test)
      const isInName = REASON_IN_NAME.test(test.fullName)
      remarks.push(`Skipped: ${test.fullName}${isInName ? '' : `: ${reason ?? 'nobody says why'}`}`)
      if (reason === undefined && this.#isCI) count.failed += 1
    }
    return {
      path,
      passed: count.passed,
      failed: count.failed,
      skipped: count.skipped + count.pending,
      remarks,
    }
  }
}

/** A `todo` has it in its name. */
function reasonOf(test: TestCase): string | undefined {
  if (test.options.mode === 'todo') return 'to do'
  const result = test.result()
  return (result.state === 'skipped' ? result.note : undefined) ?? REASON_IN_NAME.exec(test.fullName)?.[1]
}

function isWithin(test: TestCase, suite: TestSuite | TestModule): boolean {
  for (let parent: TestSuite | TestModule = test.parent; ; parent = parent.parent) {
    if (parent === suite) return true
    if (parent.type === 'module') return false
  }
}
