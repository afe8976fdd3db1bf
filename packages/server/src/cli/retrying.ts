/** Does again what failed for a reason that passes by itself, for about 15 s in all. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, RescindError } from 'rescind'

/** Without what a store refuses: a wrong password stays one, and whoever typed it wants to know. */
const PASSING: ReadonlySet<string> = new Set<ErrorCode>([
  'ERR_STORE_UNAVAILABLE',
  'ERR_STORE_TIMEOUT',
  'ERR_STORE_OVERLOADED',
])
const TRIES_MAX = 8
/** The pause grows by so much with every try. */
const RETRY_MS = 500

export function isPassing(error: unknown): error is RescindError {
  return error instanceof RescindError && PASSING.has(error.code)
}

/** `work` may be done twice. Throws the last failure. */
export async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!isPassing(error) || tries === TRIES_MAX) throw error
      await sleep(tries * RETRY_MS)
    }
  }
}
