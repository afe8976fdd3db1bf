/**
 * Did our own page ask? A cookie comes along with whatever a browser sends here, so what comes by cookie must show that
 * it was sent by a script of this origin: by `Sec-Fetch-Site`, which no page can set, where the browser sends it, and for
 * what changes something by a header that another origin may not send without being allowed to, which nobody is.
 */
import type { Context } from 'hono'

export const UI_HEADER = 'x-rescind-ui'
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD'])

export function isFromOurPage(c: Context): boolean {
  const isRead = READS.has(c.req.method)
  const site = c.req.header('sec-fetch-site')
  // `none`: a person has typed the address.
  if (site !== undefined && site !== 'same-origin' && !(isRead && site === 'none')) return false
  return isRead || c.req.header(UI_HEADER) === '1'
}
