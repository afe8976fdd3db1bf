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

/** A live node that has a revocation. */
export interface Confirmation {
  /** The name of the node; two may have the same. */
  readonly name: string
  /**
   * How long after the store had the revocation this node had told that it has it too, in milliseconds: it had it by
   * then. 0: before anybody could ask.
   */
  readonly afterMs: number
}

/**
 * Waits until every live node has read up to the position; returns them by name, each with when it had told so. Throws
 * `ERR_ACK_NOT_REACHED`, whose `problems` are the names of the stragglers.
 */
export async function waitForNodes(
  store: Store,
  position: string,
  timeoutMs: number,
  { monotonic, sleep }: Surroundings,
): Promise<readonly Confirmation[]> {
  const startedAt = monotonic()
  /** By the id of a node that has read far enough, the first time it was seen to have told so. */
  const toldAfterMs = new Map<string, number>()
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
      const sinceMs = monotonic() - startedAt
      const reached = seen.filter((node) => hasReached(node.position, position))
      for (const { id, ageMs } of reached)
        if (!toldAfterMs.has(id)) toldAfterMs.set(id, Math.max(0, sinceMs - ageMs))
      if (reached.length === seen.length)
        return reached.map(({ id, name }) => ({ name, afterMs: toldAfterMs.get(id) ?? 0 }))
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
