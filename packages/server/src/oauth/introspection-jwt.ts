/** Introspection answers that can be shown to others: a signed JWT, RFC 9701. */
import type { Context } from 'hono'
import { accepts } from 'hono/accepts'
import type { Client } from '../clients/client.js'
import type { Parts } from '../parts.js'
import type { Introspection } from './introspect.js'

export const JWT_ANSWER = 'application/token-introspection+jwt'
const PLAIN_ANSWER = 'application/json'

/** RFC 9701 §4: true where the client prefers it (RFC 9110 §12.5.1); whoever does not care gets JSON. */
export function wantsJwt(c: Context): boolean {
  const chosen = accepts(c, {
    header: 'Accept',
    supports: [PLAIN_ANSWER, JWT_ANSWER],
    default: PLAIN_ANSWER,
    match: (ranges, { supports, default: normal }) => {
      const [best] = supports
        .map((type) => ({ type, ...preferenceFor(type, ranges) }))
        .filter(({ q }) => q > 0)
        .sort((a, b) => b.q - a.q || b.specificity - a.specificity || a.place - b.place)
      return best?.type ?? normal
    },
  })
  return chosen === JWT_ANSWER
}

/** RFC 9701 §5. No `sub` and no `exp` outside of `token_introspection`: it shall pass for no access token (§8.1). */
export function signedAnswer(
  { publicUrl, signer, now }: Parts,
  client: Client,
  introspection: Introspection,
): Promise<string> {
  return signer.sign(
    {
      iss: publicUrl,
      aud: client.id,
      iat: Math.floor(now() / 1000),
      token_introspection: introspection,
    },
    'token-introspection+jwt',
  )
}

interface Range {
  readonly type: string
  readonly q: number
}

/** RFC 9110 §12.5.1: the most specific range that fits a type decides on it. `place`: which stands first. */
function preferenceFor(type: string, ranges: readonly Range[]) {
  const fitting = [type, `${type.split('/')[0]}/*`, '*/*']
  let found = { q: 0, specificity: 0, place: 0 }
  for (const [place, range] of ranges.entries()) {
    const at = fitting.indexOf(range.type.toLowerCase())
    const specificity = at < 0 ? 0 : fitting.length - at
    if (specificity > found.specificity) found = { q: range.q, specificity, place }
  }
  return found
}
