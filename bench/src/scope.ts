/** What was opened is closed in reverse order, all of it, whatever fails on the way. */
export class Scope {
  readonly #closers: (() => unknown)[] = []

  defer(close: () => unknown): void {
    this.#closers.push(close)
  }

  async close(): Promise<void> {
    const failures: unknown[] = []
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close()
      } catch (failure) {
        failures.push(failure)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'something could not be closed')
  }
}
