/** Which revocations of a list are asked for, and in which order. */
import type { Revocation } from './core/revocation.js'
import { parseTarget, type Target, targetOf } from './core/target.js'
import { RescindError } from './errors.js'
import { secondsOf } from './statement.js'

/** `newest`: as the log has them, backwards. The others are orders of a time: of the revocation, or of its end. */
export const LIST_ORDERS = ['newest', 'oldest', 'ending-first', 'ending-last'] as const
/** One of {@link LIST_ORDERS}. */
export type ListOrder = (typeof LIST_ORDERS)[number]

/** Which revocations are listed: those that fit everything that is given. */
export interface ListQuery {
  /**
   * Default `newest`. The others hold over the whole list too, and need the replica: each page looks through all that it
   * holds (some tens of milliseconds for a million).
   */
  readonly order?: ListOrder | undefined
  /** Revocations per page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined
  /** `cursor` of the page before, in the same order. */
  readonly cursor?: string | undefined
  /** Only targets that contain these claims. */
  readonly target?: Target | undefined
  readonly actor?: string | undefined
  /** Only those revoked at or after this time. */
  readonly revokedSince?: Date | number | undefined
  /** Only those with this text in a claim's value, the reason, the actor or the id, in any case. At most 256 characters. */
  readonly search?: string | undefined
}

const LIMIT_MAX = 1000
const SEARCH_LENGTH_MAX = 256

/** How many are asked for, and in which order. Throws `ERR_OPTION_INVALID`. */
export function pageOf({ limit = 100, order = 'newest' }: ListQuery): { limit: number; order: ListOrder } {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    throw new RescindError('ERR_OPTION_INVALID', `limit must be a whole number from 1 to ${LIMIT_MAX}`)
  if (!LIST_ORDERS.includes(order))
    throw new RescindError('ERR_OPTION_INVALID', `order must be one of: ${LIST_ORDERS.join(', ')}`)
  return { limit, order }
}

/** True where it does not keep everything. */
export function isFiltered({ target, actor, revokedSince, search }: ListQuery): boolean {
  return [target, actor, revokedSince, search].some((wanted) => wanted !== undefined)
}

/** Keeps what the query asks for. Throws `ERR_OPTION_INVALID` and `ERR_TARGET_INVALID`. */
export function filterOf(query: ListQuery): (revocation: Revocation) => boolean {
  const wanted = query.target === undefined ? undefined : targetOf(parseTarget(query.target))
  const since = query.revokedSince === undefined ? 0 : secondsOf('revokedSince', query.revokedSince)
  const search = query.search === undefined ? undefined : searchOf(query.search)
  return (revocation) => {
    const { target, actor, revokedAt } = revocation
    if (revokedAt < since || (query.actor !== undefined && actor !== query.actor)) return false
    if (search !== undefined && !contains(revocation, search)) return false
    return (
      wanted === undefined ||
      Object.entries(wanted).every(([name, value]) => Object.hasOwn(target, name) && target[name] === value)
    )
  }
}

function searchOf(search: unknown): string {
  if (typeof search === 'string' && search !== '' && search.length <= SEARCH_LENGTH_MAX)
    return search.toLowerCase()
  throw new RescindError(
    'ERR_OPTION_INVALID',
    `search must be a text of 1 to ${SEARCH_LENGTH_MAX} characters`,
  )
}

function contains({ id, target, actor, reason }: Revocation, search: string): boolean {
  return [id, actor, reason, ...Object.values(target)].some(
    (text) => text !== undefined && String(text).toLowerCase().includes(search),
  )
}
