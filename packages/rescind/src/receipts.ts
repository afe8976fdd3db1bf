/**
 * Receipts: when does every live node have a revocation? Nodes tell the store how far they have read; here
 * somebody waits until all of them have read far enough, or says who has not.
 */
import { RescindError } from './errors.js'
import { hasReached } from './stores/position.js'
import type { LiveNode, Store } from './stores/store.js'
import type { Surroundings } from './surroundings.js'

/** How often the list is read, at first and later; how often the doorbell is rung again. In milliseconds. */
const LOOK_MS = 20
const LOOK_MS_MAX = 200
const RING_MS = 500
/** How many stragglers a message names. */
const NAMES_MAX = 10

/**
 * Waits until every live node has read up to the position; returns their names. Throws `ERR_ACK_NOT_REACHED`,
 * whose `problems` are the names of the stragglers.
 */
export async function waitForNodes(
  store: Store,
  position: string,
  timeoutMs: number,
  { monotonic, sleep }: Surroundings,
): Promise<readonly string[]> {
  const startedAt = monotonic()
  let rungAt = -Infinity
  let lookMs = LOOK_MS
  let seen: readonly LiveNode[] | undefined
  let failure: unknown
  for (;;) {
    const now = monotonic()
    if (now - rungAt >= RING_MS) {
      rungAt = now
      // A hint: whoever does not hear it announces itself within a second all the same.
      await store.ringForReceipts().catch(() => undefined)
    }
    try {
      seen = await store.nodes()
      failure = undefined
      if (seen.every((node) => hasReached(node.position, position))) return seen.map(({ name }) => name)
    } catch (error) {
      failure = error
    }
    const leftMs = startedAt + timeoutMs - monotonic()
    if (leftMs <= 0) throw notReached(seen, position, timeoutMs, failure)
    await sleep(Math.min(lookMs, leftMs))
    lookMs = Math.min(lookMs * 1.5, LOOK_MS_MAX)
  }
}

function notReached(
  seen: readonly LiveNode[] | undefined,
  position: string,
  timeoutMs: number,
  failure: unknown,
): RescindError {
  const cause = failure instanceof RescindError ? { cause: failure } : {}
  if (seen === undefined) {
    const message = `the store has the revocation, but the list of nodes could not be read within ${timeoutMs} ms`
    return new RescindError('ERR_ACK_NOT_REACHED', message, cause)
  }
  const problems = seen.filter((node) => !hasReached(node.position, position)).map(({ name }) => name)
  const names = problems.slice(0, NAMES_MAX).join(', ') + (problems.length > NAMES_MAX ? ', …' : '')
  return new RescindError(
    'ERR_ACK_NOT_REACHED',
    `the store has the revocation, but ${problems.length} of ${seen.length} live nodes have not confirmed it within ${timeoutMs} ms: ${names}`,
    { ...cause, problems },
  )
}
