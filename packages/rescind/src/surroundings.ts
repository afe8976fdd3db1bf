/**
 * What the code takes from the machine: time, chance, and turns of the event loop. A simulation puts its own in
 * place, and then a run depends on nothing but its seed.
 */
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'

export interface Surroundings {
  /** The clock, in milliseconds since 1970. */
  now(): number
  /** Milliseconds that only ever grow. */
  monotonic(): number
  /** From 0 up to 1. */
  random(): number
  /** Resolves after so many milliseconds; rejects when aborted. */
  sleep(ms: number, options?: SleepOptions): Promise<void>
  /** Lets others have their turn. Rejects when aborted. */
  turn(signal?: AbortSignal): Promise<void>
}

export interface SleepOptions {
  readonly signal?: AbortSignal | undefined
  /** Keeps no process alive. */
  readonly isIdle?: boolean | undefined
}

export const MACHINE: Surroundings = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  sleep: (ms, { signal, isIdle = false } = {}) =>
    wait(ms, undefined, signal === undefined ? { ref: !isIdle } : { signal, ref: !isIdle }),
  turn: (signal) => nextTurn(undefined, signal === undefined ? {} : { signal }),
}
