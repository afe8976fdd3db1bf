/**
 * How many hostile inputs each subject gets, from which seed, and a watch over the time that each of them takes.
 *
 * `RESCIND_HOSTILE_INPUTS`: inputs in all, default 50,000. `RESCIND_SEED`: the seed that a failure has printed.
 * `RESCIND_FIGURES`: when set, each subject ends with a line of its counts.
 */
import type { Parameters } from 'fast-check'
import { afterAll } from 'vitest'

const INPUTS_DEFAULT = 50_000
/** Hundredths of all inputs. Those that need a socket are few, for they cost a thousand times more. */
const SHARES = {
  headers: 16,
  tokens: 24,
  claims: 24,
  keys: 1,
  environment: 16,
  replies: 1,
  records: 15,
  log: 3,
} as const
/** No input may hold the event loop for longer, in milliseconds. */
export const HOLD_MAX_MS = 50
/** An input that was slow is tried again: a collection of garbage does not come three times in a row. */
const TRIES = 3
/** What an input may take in all with its sockets, in milliseconds: for the deadline of a test. */
const INPUT_MS: Readonly<Record<SubjectName, number>> = {
  ...{ headers: 2, tokens: 3, claims: 2, keys: 60, environment: 2, replies: 60, records: 1, log: 30 },
}
const TEST_MS = 60_000

export type SubjectName = keyof typeof SHARES

export class Hostile {
  readonly #name: SubjectName
  #tried = 0
  #slowestMs = 0

  constructor(name: SubjectName) {
    this.#name = name
    afterAll(() => {
      if (process.env['RESCIND_FIGURES'] === undefined) return
      console.log(
        `${name}: ${this.#tried} inputs, the slowest held the loop for ${Math.ceil(this.#slowestMs)} ms`,
      )
    })
  }

  /** For `fc.assert`: this part, 0 to 1, of the inputs of the subject. */
  runs<T>(part: number): Parameters<T> {
    const seed = process.env['RESCIND_SEED']
    return {
      numRuns: Math.max(1, Math.round(part * this.#inputs)),
      ...(seed === undefined ? {} : { seed: Number(seed) }),
    }
  }

  /** How long a test with all the inputs of the subject may take, in milliseconds. */
  get timeoutMs(): number {
    return TEST_MS + this.#inputs * INPUT_MS[this.#name]
  }

  /** Runs one input. Throws when it holds the loop for too long, each of three times. */
  now<T>(work: () => T): T {
    for (let tries = 0; tries < TRIES; tries++) {
      const [began, used] = [performance.now(), process.cpuUsage()]
      const result = work()
      if (this.#wasQuick(performance.now() - began, used)) return result
    }
    throw tooSlow()
  }

  /** The same for one that waits: what it waits does not count. Nothing else may run meanwhile. */
  async later<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 0; tries < TRIES; tries++) {
      const [began, used] = [performance.eventLoopUtilization(), process.cpuUsage()]
      const result = await work()
      if (this.#wasQuick(performance.eventLoopUtilization(began).active, used)) return result
    }
    throw tooSlow()
  }

  #wasQuick(passedMs: number, usedBefore: NodeJS.CpuUsage): boolean {
    const { user, system } = process.cpuUsage(usedBefore)
    // While others had the processor, the time passed and nothing was held.
    const heldMs = Math.min(passedMs, (user + system) / 1000)
    if (heldMs > HOLD_MAX_MS) return false
    this.#tried += 1
    this.#slowestMs = Math.max(this.#slowestMs, heldMs)
    return true
  }

  get #inputs(): number {
    const all = Number(process.env['RESCIND_HOSTILE_INPUTS'] ?? INPUTS_DEFAULT)
    if (!Number.isSafeInteger(all) || all < 1)
      throw new Error('RESCIND_HOSTILE_INPUTS must be a whole number of at least 1')
    return Math.ceil((all * SHARES[this.#name]) / 100)
  }
}

function tooSlow(): Error {
  return new Error(`an input held the event loop for more than ${HOLD_MAX_MS} ms, ${TRIES} times in a row`)
}
