/** The calls that nodes were asked for: each must settle within its deadline, and fail only with an error of ours. */
import { RescindError } from '../../src/errors.js'
import type { Incarnation, Judge } from './judge.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

interface Call {
  readonly by: Incarnation
  readonly what: string
}

export class Calls {
  readonly #scheduler: Scheduler
  readonly #trace: Trace
  readonly #judge: Judge
  readonly #open = new Set<Call>()

  constructor(scheduler: Scheduler, trace: Trace, judge: Judge) {
    this.#scheduler = scheduler
    this.#trace = trace
    this.#judge = judge
  }

  /** Notes how a call ends. `maxMs`: how long it may take, in milliseconds of simulated time. */
  watch<T>(by: Incarnation, what: string, maxMs: number, call: Promise<T>, then: (result: T) => void): void {
    const startedMs = this.#scheduler.nowMs
    const open = { by, what }
    this.#open.add(open)
    const settle = (how: string) => {
      const tookMs = this.#scheduler.nowMs - startedMs
      this.#open.delete(open)
      this.#trace.note(`${what}: ${how} after ${tookMs.toFixed(0)} ms`, true)
      if (tookMs > maxMs)
        this.#judge.violate(`${what} took ${tookMs.toFixed(0)} ms, at most ${maxMs} allowed`)
    }
    call.then(
      (result) => {
        settle(outcomeOf(result))
        then(result)
      },
      (error: unknown) => {
        if (!(error instanceof RescindError)) this.#judge.violate(`${what}: ${String(error)}`)
        settle(error instanceof RescindError ? error.code : String(error))
      },
    )
  }

  /** Of a process that was killed nobody expects an answer. */
  forget(by: Incarnation): void {
    for (const call of this.#open) if (call.by === by) this.#open.delete(call)
  }

  /** Long after the last call: none may be open. */
  end(): void {
    for (const { what } of this.#open) this.#judge.violate(`${what} did not settle`)
  }
}

function outcomeOf(result: unknown): string {
  if (typeof result !== 'object' || result === null) return String(result)
  return 'status' in result ? String(result.status) : 'acknowledged'
}
