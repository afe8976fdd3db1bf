/** A condition becomes true, or the wait ends with a message that names what was waited for. */

// Taken at load, so that a test which installs fake timers can still wait for a real server.
const { setTimeout, clearTimeout } = globalThis
const nowMs = performance.now.bind(performance)

export interface UntilOptions {
  /** What is waited for, in the words of the failure: "Waited 5000 ms for <what>". */
  what: string
  /** How long to wait before giving up. Default: 5000. */
  timeoutMs?: number
  /** How long to rest between two looks. Default: 10. */
  intervalMs?: number
}

/** What remains of a type once it is known to be truthy. */
export type Truthy<T> = Exclude<T, false | 0 | 0n | '' | null | undefined>

/**
 * Resolves with the first truthy value of `condition`. A condition that throws counts as not yet true, and
 * the last thing it threw is the `cause` of the failure; one that hangs is given up at `timeoutMs` too. An assertion
 * that fails within it ends the wait: what must never be is no matter of time.
 *
 * @example await until(() => seen.length === 3, { what: 'three revocations' })
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = 5000, intervalMs = 10 }: UntilOptions,
): Promise<Truthy<T>> {
  const deadlineMs = nowMs() + timeoutMs
  let lastFailure: unknown
  for (;;) {
    const attempt = (async () => condition())().catch((failure: unknown) => {
      if (failure instanceof Error && failure.name === 'AssertionError') throw failure
      lastFailure = failure
    })
    const value = await settledWithin(attempt, deadlineMs - nowMs())
    if (value) return value as Truthy<T>
    if (nowMs() + intervalMs >= deadlineMs) throw tooLate(what, timeoutMs, lastFailure)
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}

/** The value of `attempt`, or undefined if it is not there in time. */
async function settledWithin<T>(attempt: Promise<T>, remainingMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, remainingMs))
  })
  try {
    return await Promise.race([attempt, late])
  } finally {
    clearTimeout(timer)
  }
}

function tooLate(what: string, timeoutMs: number, lastFailure: unknown): Error {
  const because = lastFailure instanceof Error ? `: ${lastFailure.message}` : ''
  return new Error(`Waited ${timeoutMs} ms for ${what}${because}`, { cause: lastFailure })
}
