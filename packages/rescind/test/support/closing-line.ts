/** Ends a run with one plain line, `N passed, N failed`, that any reader of logs understands. */
import type { Reporter, TestModule } from 'vitest/node'

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state] += 1
      if (module.state() === 'failed' && module.errors().length > 0) count.failed += 1
    }
    const skipped = count.skipped + count.pending
    console.log(
      `${count.passed} passed, ${count.failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`,
    )
  }
}
