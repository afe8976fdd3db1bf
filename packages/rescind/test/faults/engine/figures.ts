/**
 * What a test has shown, as lines of JSON in the file that `RESCIND_FAULTS_FIGURES` names: `scripts/test-faults.ts`
 * sets it and joins them. Without it they go nowhere.
 */
import { appendFileSync } from 'node:fs'
import { expect } from 'vitest'
import type { Line, PROMISES, PromiseId } from './promises.js'
import { LIMITS, type Report } from './checker.js'

/** True for the counts of the promises; otherwise the short form, for every run of the suite. */
export const isLong = process.env['RESCIND_FAULTS'] === 'long'

/** How often, in the long form and in the short one. */
export function times(long: number, short: number): number {
  return isLong ? long : short
}

/**
 * How long a recovery may take before its test fails. The short form runs on any machine beside anything else, and only
 * its figure tells whether the promise holds.
 */
export function allowedMs(promisedMs: number): number {
  return isLong ? promisedMs : 3 * promisedMs
}

type PartOf<Id extends PromiseId> = (typeof PROMISES)[Id][number]

/** Tells the figure of a promise. The test fails by its own assertions. */
export function promise<Id extends PromiseId>(
  id: Id,
  part: PartOf<Id>,
  figure: string,
  holds: boolean,
): void {
  write({ test: testName(), promise: id, part, figure, holds })
}

/** Tells what the naive client lost in the same run. */
export function control(scenario: string, naiveLost: number): void {
  write({ test: testName(), scenario, naiveLost })
}

/** Every answer came in time, and no memory called itself fresh for longer than the bound. */
export function promiseDeadline(part: PartOf<'deadline-and-bound'>, { figures, counts }: Report): void {
  const { late, behindTimerMaxMs, lateMaxMs, answers, silenceMaxMs } = figures
  const total = answers.clear + answers.revoked + answers.unknown
  const silence = silenceMaxMs > 0 ? `; fresh for ${Math.round(silenceMaxMs)} ms of silence at the most` : ''
  promise(
    'deadline-and-bound',
    part,
    `${late} of ${total} answers late, ${Math.round(behindTimerMaxMs)} ms behind a timer and ` +
      `${Math.round(Math.max(0, lateMaxMs))} ms behind the deadline at the most${silence}`,
    late === 0 && behindTimerMaxMs <= LIMITS.lateMs && (counts.overdue ?? 0) === 0,
  )
}

/** All nodes were fresh again within `withinMs` of each heal. Returns the longest, in milliseconds. */
export function promiseRecovery(
  part: PartOf<'recovery'>,
  durationsMs: readonly number[],
  withinMs: number,
): number {
  const longestMs = Math.max(...durationsMs)
  const figure = `fresh again in ${Math.round(longestMs)} ms at the most of ${durationsMs.length} times`
  promise('recovery', part, figure, durationsMs.length > 0 && longestMs <= withinMs)
  return longestMs
}

function testName(): string {
  const { testPath = '', currentTestName = '' } = expect.getState()
  return `${testPath} ${currentTestName}`
}

function write(line: Line): void {
  const path = process.env['RESCIND_FAULTS_FIGURES']
  if (path !== undefined && path !== '') appendFileSync(path, `${JSON.stringify(line)}\n`)
}
