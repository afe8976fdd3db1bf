/**
 * The path that a gateway tells, in the one form that routes are compared with. A gateway, the service and the
 * application behind may each read a path in their own way; one that could mean two things is refused, never guessed at.
 */

/** In UTF-16 units; a longer path is refused. */
const PATH_LENGTH_MAX = 8192
/**
 * What RFC 3986 §3.3 has no place for, what some take for a slash (`\`) or for the end of a segment (`;`, as Java's
 * servers do), and `#`. Beyond ASCII it must be percent-encoded.
 */
const UNCLEAR_CHARACTER = /[^\x21-\x7e]|[\\;#]/
/** Encoded slashes are slashes to some and letters to others. */
const ENCODED_SLASH = /%2f/i
/** Decoded: control characters, what ends a path, and what a second decoding would make of `%252e`. */
const UNCLEAR_DECODED = /[\x00-\x1f\x7f-\x9f\\;#?]|%[0-9a-f]{2}/i
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/

/**
 * Decoded, without its query and without a slash at its end, which makes no difference. Undefined for a path that can be
 * read in two ways: with dot segments, empty segments, encoded slashes, backslashes, `;`, control characters, text that
 * is encoded twice or no UTF-8.
 */
export function comparablePath(told: string): string | undefined {
  const end = told.indexOf('?')
  const raw = end === -1 ? told : told.slice(0, end)
  if (raw.length > PATH_LENGTH_MAX || UNCLEAR_CHARACTER.test(raw) || ENCODED_SLASH.test(raw)) return undefined
  const path = raw.includes('%') ? decoded(raw) : raw
  if (path === undefined || !path.startsWith('/') || path.includes('//') || DOT_SEGMENT.test(path))
    return undefined
  return withoutSlash(path)
}

/** True for what a route can be compared by: a path as it reads decoded, or with `/*` at its end everything below it. */
export function isRoutePath(path: string): boolean {
  const whole = path.endsWith('/*') ? path.slice(0, -1) : path
  if (whole.includes('*') || !whole.isWellFormed()) return false
  return comparablePath(encodeURI(whole)) === withoutSlash(whole)
}

/** `/admin` for `/admin/`; the root stays. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

function decoded(raw: string): string | undefined {
  try {
    const path = decodeURIComponent(raw)
    return UNCLEAR_DECODED.test(path) ? undefined : path
  } catch {
    return undefined
  }
}
