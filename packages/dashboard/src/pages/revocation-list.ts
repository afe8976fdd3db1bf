/** Reads the list of revocations, a page at a time, whatever is looked for. */
import { ask } from '../service/ask.js'
import type { Revocation, RevocationPage } from '../service/types.js'

export interface Filter {
  readonly search: string
  /** `NAME=VALUE`. */
  readonly claim: string
  readonly actor: string
  /** A date, as the browser gives it. */
  readonly since: string
}

/** As the service takes it: each holds over the whole list. */
export const ORDERS = {
  newest: { label: 'Newest first', text: 'the newest first' },
  oldest: { label: 'Oldest first', text: 'the oldest first' },
  'ending-first': { label: 'Ends first', text: 'what ends first at the top' },
  'ending-last': { label: 'Ends last', text: 'what ends last at the top' },
} as const
export type Order = keyof typeof ORDERS

export const PAGE_LENGTH = 50
/** The service looks through so many for one answer. */
const BATCH_MAX = 1000

export function isEmptyFilter(filter: Filter): boolean {
  return Object.values(filter).every((value) => value === '')
}

interface ReadOptions {
  readonly filter: Filter
  readonly order?: Order
  readonly cursor: string | undefined
  readonly signal: AbortSignal
  readonly length?: number
  /** Told how many answers were read on the way to a page. */
  readonly onLooked?: (count: number) => void
}

/** An answer may be short or empty before the last one: it reads on until the page is full. */
export async function readPage(options: ReadOptions): Promise<RevocationPage> {
  const { filter, order = 'newest', signal, length = PAGE_LENGTH, onLooked } = options
  const found: Revocation[] = []
  let { cursor } = options
  for (let looked = 1; ; looked++) {
    const limit = String(Math.min(length - found.length, BATCH_MAX))
    const query = new URLSearchParams({ limit, order })
    if (cursor !== undefined) query.set('cursor', cursor)
    const { search, claim, actor, since } = filter
    if (search !== '') query.set('search', search)
    if (claim !== '') query.set('claim', claim)
    if (actor !== '') query.set('actor', actor)
    if (since !== '') query.set('since', new Date(since).toISOString())
    const page = await ask<RevocationPage>(`/api/v1/revocations?${query}`, { signal })
    found.push(...page.revocations)
    cursor = page.cursor
    if (cursor === undefined) return { revocations: found }
    if (found.length >= length) return { revocations: found, cursor }
    onLooked?.(looked)
  }
}
