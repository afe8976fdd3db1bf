/** Every change of a store, in order and without a gap, over the times when it is away. */
import { isPassing, RescindError } from './errors.js'
import type { Change, Store } from './stores/store.js'
import type { Surroundings } from './surroundings.js'

/** Where a watch begins, and when it ends. */
export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined
  /** Begin after this position (of a change seen before). Default: now. */
  readonly after?: string | undefined
  /** Ask the store so often, in milliseconds. Default 250, 10 to 600,000. */
  readonly pollMs?: number | undefined
}

const POLL_MS = 250
const POLL_MS_MIN = 10
const POLL_MS_MAX = 600_000
const BATCH = 256
/** While the store is away, a watch asks again this often at the least, in milliseconds. */
const RETRY_MS = 1000

/**
 * Begins at the call, whenever the first change is asked for, and ends with the signal. Throws `ERR_OPTION_INVALID`;
 * while it runs, `ERR_LOG_CHANGED` when the log no longer holds the position.
 */
export function watchChanges(
  store: Store,
  options: WatchOptions & { readonly signal: AbortSignal },
  surroundings: Surroundings,
): AsyncGenerator<Change, void, undefined> {
  const { signal, after, pollMs = POLL_MS } = options
  if (!Number.isInteger(pollMs) || pollMs < POLL_MS_MIN || pollMs > POLL_MS_MAX) {
    throw new RescindError(
      'ERR_OPTION_INVALID',
      `pollMs must be a whole number from ${POLL_MS_MIN} to ${POLL_MS_MAX}`,
    )
  }
  const begin = after === undefined ? store.position() : Promise.resolve(after)
  // Whoever asks for no change is told of no failure.
  begin.catch(() => undefined)
  return changesFrom(store, begin, { signal, pollMs }, surroundings)
}

async function* changesFrom(
  store: Store,
  begin: Promise<string>,
  { signal, pollMs }: { readonly signal: AbortSignal; readonly pollMs: number },
  { sleep }: Surroundings,
): AsyncGenerator<Change, void, undefined> {
  let asked: Promise<string> | undefined = begin
  let position: string | undefined
  while (!signal.aborted) {
    let waitMs = pollMs
    try {
      if (position === undefined) {
        const asking = asked ?? store.position()
        asked = undefined
        position = await asking
      }
      const read = await store.changes(position, BATCH)
      for (const change of read.changes) {
        if (signal.aborted) return
        yield change
        position = change.position
      }
      position = read.position
      if (read.changes.length === BATCH) waitMs = 0
    } catch (error) {
      if (signal.aborted) return
      if (!isPassing(error)) throw error
      waitMs = Math.max(pollMs, RETRY_MS)
    }
    if (waitMs > 0) await sleep(waitMs, { signal, isIdle: true }).catch(() => undefined)
  }
}
