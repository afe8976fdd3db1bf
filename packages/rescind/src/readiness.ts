/** Waits until a node can answer, over the times when its store cannot. */
import { hasCode, isPassing, RescindError } from './errors.js'
import type { Surroundings } from './surroundings.js'

/** How long to wait. */
export interface ReadyOptions {
  /** Give up after this many milliseconds. Default 10,000, 1 to 600,000. */
  readonly timeoutMs?: number | undefined
  /** Gives up as well. */
  readonly signal?: AbortSignal | undefined
}

const TIMEOUT_MS = 10_000
const TIMEOUT_MS_MAX = 600_000
/** How soon it is tried again, in milliseconds. */
const RETRY_MS = 50

/** Resolves when `attempt` does, which is made again and again. Throws why it fails in the end. */
export async function waitUntilReady(
  attempt: () => Promise<void>,
  { timeoutMs = TIMEOUT_MS, signal }: ReadyOptions,
  surroundings: Surroundings,
): Promise<void> {
  checkTimeout(timeoutMs)
  const { monotonic, sleep } = surroundings
  const deadline = monotonic() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    try {
      await within(attempt(), deadline - monotonic(), surroundings)
      return
    } catch (error) {
      const mayPass =
        isPassing(error) || hasCode(error, 'ERR_REPLICA_STALE') || hasCode(error, 'ERR_LOG_CHANGED')
      if (!mayPass || monotonic() + RETRY_MS > deadline) throw error
      await sleep(RETRY_MS)
    }
  }
}

/** Throws `ERR_OPTION_INVALID` for a time that nobody can wait for: to a timer, more than it can hold is nothing. */
export function checkTimeout(timeoutMs: number): void {
  if (Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= TIMEOUT_MS_MAX) return
  throw new RescindError('ERR_OPTION_INVALID', `timeoutMs must be a whole number from 1 to ${TIMEOUT_MS_MAX}`)
}

async function within(work: Promise<void>, ms: number, { sleep }: Surroundings): Promise<void> {
  const ended = new AbortController()
  const late = sleep(Math.max(0, ms), { signal: ended.signal }).then(() => {
    throw new RescindError('ERR_REPLICA_STALE', 'the store has not answered in full in time')
  })
  late.catch(() => undefined)
  try {
    await Promise.race([work, late])
  } finally {
    ended.abort()
  }
}
