/** The list of a backend, page after page. */
import type { ListQuery, Page, Revocation } from 'rescind'
import type { Backend } from './backend/backend.js'
import { retrying } from './retrying.js'

const PAGE_LIMIT_MAX = 1000

/** To the end, over short outages once it has begun; a page may be empty before the last. */
export async function* pagesOf(backend: Backend, query: ListQuery): AsyncGenerator<Page, void> {
  let { cursor } = query
  do {
    const at = { ...query, limit: PAGE_LIMIT_MAX, cursor }
    const page = await (cursor === undefined ? backend.list(at) : retrying(() => backend.list(at)))
    yield page
    cursor = page.cursor
  } while (cursor !== undefined)
}

/** Asks on until there are as many as wanted, for a page may be short. */
export async function gather(backend: Backend, query: ListQuery, limit: number): Promise<Page> {
  const revocations: Revocation[] = []
  let { cursor } = query
  do {
    const wanted = Math.min(PAGE_LIMIT_MAX, limit - revocations.length)
    const page = await backend.list({ ...query, limit: wanted, cursor })
    revocations.push(...page.revocations)
    cursor = page.cursor
  } while (cursor !== undefined && revocations.length < limit)
  return cursor === undefined ? { revocations } : { revocations, cursor }
}
