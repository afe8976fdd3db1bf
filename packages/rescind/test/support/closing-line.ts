/**
 * Ends a run with one plain line, `N passed, N failed`, that any reader of logs understands. Before it stands what the
 * numbers do not tell: which tests were skipped and why, and which passed only when they were tried again.
 *
 * On CI a test that is skipped without a reason counts as failed: nobody would notice that a proof is gone.
 */
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node'

/** How the name of a test says why it is not run: see `namedBy` of `net-namespaces.ts`. */
const REASON_IN_NAME = /\[NOT RUN: (.*?)\]/

export class ClosingLine implements Reporter {
  #vitest: Vitest | undefined

  constructor(private readonly isCI = process.env['CI'] === 'true') {}

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 }
    const lines: string[] = []
    // With a filter most are skipped, and it is known why.
    const isFiltered = this.#vitest?.config.testNamePattern !== undefined
    for (const module of modules) {
      // A hook that fails skips the tests of its suite, and is told of nowhere else.
      const broken = [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0)
      count.failed += broken.length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        count[state] += 1
        if (test.diagnostic()?.flaky === true) lines.push(`Passed only when tried again: ${test.fullName}`)
        if (state !== 'skipped' || isFiltered || broken.some((suite) => isWithin(test, suite))) continue
        const reason = reasonOf(test)
        const isInName = REASON_IN_NAME.test(test.fullName)
        lines.push(`Skipped: ${test.fullName}${isInName ? '' : `: ${reason ?? 'nobody says why'}`}`)
        if (reason === undefined && this.isCI) count.failed += 1
      }
    }
    if (count.failed > 0) process.exitCode = 1
    const skipped = count.skipped + count.pending
    const total = `${count.passed} passed, ${count.failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`
    console.log([...lines, total].join('\n'))
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
