/**
 * Keeps a slow or frozen server from holding the requests of the node: a cap on the work in flight, and a
 * circuit that opens after several time-outs in a row and lets one attempt through at a time until one
 * succeeds. Refused work fails at once.
 */
import { hasCode, RescindError } from '../errors.js'

export interface BreakerOptions {
  /** At most this many in flight. */
  readonly inFlightMax: number
  /** Opens after so many time-outs without a success between them. */
  readonly timeoutsMax: number
  /** While open, one attempt in so many milliseconds. */
  readonly retryMs: number
  /** A monotonic clock in milliseconds. */
  readonly monotonic: () => number
}

export class Breaker {
  readonly #options: BreakerOptions
  #inFlight = 0
  #timeouts = 0
  #nextTryAt = 0

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const { inFlightMax, timeoutsMax, retryMs, monotonic } = this.#options
    if (this.#inFlight >= inFlightMax) {
      throw new RescindError('ERR_STORE_OVERLOADED', `${inFlightMax} checks wait for the store already`)
    }
    if (this.#timeouts >= timeoutsMax) {
      const now = monotonic()
      if (now < this.#nextTryAt) {
        throw new RescindError(
          'ERR_STORE_UNAVAILABLE',
          'the store did not answer lately, and is asked again soon',
        )
      }
      this.#nextTryAt = now + retryMs
    }
    this.#inFlight += 1
    try {
      const result = await work()
      this.#timeouts = 0
      return result
    } catch (error) {
      if (hasCode(error, 'ERR_STORE_TIMEOUT')) this.#timeouts += 1
      throw error
    } finally {
      this.#inFlight -= 1
    }
  }
}
