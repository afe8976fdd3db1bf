/**
 * From a request to the token it presents: the one parser of RFC 6750 §2, for every adapter.
 *
 * Two methods at once, a repeated parameter or an empty `Bearer` is a malformed request (400). Anything else
 * after `Bearer` is the token, and if it is not of a token's syntax, a malformed token (401): no spelling of a
 * revoked token gets another answer than 401.
 */

/** What of a request the gate looks at. Adapters fill it in and decide nothing. */
export interface RequestHead {
  /** Every `Authorization` field of the request, in order; frameworks that drop repeats hide an attack. */
  readonly authorization: readonly string[]
  /** The raw query string, with or without `?`; read only where a route opts in. */
  readonly query?: string | undefined
  /** The parsed form body; read only where a route opts in (RFC 6750 §2.2). */
  readonly form?: unknown
}

/** Where a route takes tokens from. `query` (RFC 6750 §2.3) ends up in logs and histories: avoid it. */
export type TokenSource = 'header' | 'form' | 'query'

export type Credentials =
  | { readonly status: 'present'; readonly token: string; readonly source: TokenSource }
  | { readonly status: 'missing' }
  | { readonly status: 'request-invalid'; readonly reason: string }
  | { readonly status: 'token-malformed'; readonly reason: string }

/** In UTF-16 units; longer tokens are not parsed at all. */
export const TOKEN_LENGTH_MAX = 8192
/** In UTF-16 units; a longer query is not searched for a token. */
const QUERY_LENGTH_MAX = 16_384

/** RFC 6750 §2.1: b64token. */
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/

/** Reads the token from the sources that the route allows. */
export function readCredentials(head: RequestHead, sources: readonly TokenSource[]): Credentials {
  const found: { token: string; source: TokenSource }[] = []
  if (sources.includes('header')) {
    if (head.authorization.length > 1)
      return requestInvalid('The request has more than one Authorization field')
    const token = bearerToken(head.authorization[0])
    if (token === '') return requestInvalid('The Authorization field has no token')
    if (token !== undefined) found.push({ token, source: 'header' })
  }
  for (const source of ['form', 'query'] as const) {
    if (!sources.includes(source)) continue
    const tokens = source === 'form' ? formTokens(head.form) : queryTokens(head.query)
    if (tokens.length > 1) return requestInvalid('The parameter access_token is repeated')
    const token = tokens[0]
    if (token === '') return requestInvalid('The parameter access_token is empty')
    if (token !== undefined) found.push({ token, source })
  }
  if (found.length > 1) return requestInvalid('The request has a token in more than one place')
  const [only] = found
  if (only === undefined) return { status: 'missing' }
  if (only.token.length > TOKEN_LENGTH_MAX) {
    return { status: 'token-malformed', reason: `The token is longer than ${TOKEN_LENGTH_MAX} characters` }
  }
  if (!B64TOKEN.test(only.token)) {
    return { status: 'token-malformed', reason: 'The token has characters that no token has' }
  }
  return { status: 'present', ...only }
}

/** What follows `Bearer`; empty when nothing does; undefined for another scheme. The scheme ignores case (RFC 9110 §11.1). */
function bearerToken(field: string | undefined): string | undefined {
  if (field === undefined) return undefined
  const value = field.trim()
  if (value.slice(0, 6).toLowerCase() !== 'bearer') return undefined
  if (value.length === 6) return ''
  const gap = value[6]
  return gap === ' ' || gap === '\t' ? value.slice(7).trim() : undefined
}

function formTokens(form: unknown): string[] {
  if (typeof form !== 'object' || form === null || !Object.hasOwn(form, 'access_token')) return []
  const value = (form as Record<string, unknown>).access_token
  const values: unknown[] = Array.isArray(value) ? value : [value]
  return values.map((item) => (typeof item === 'string' ? item : ''))
}

function queryTokens(query: string | undefined): string[] {
  if (query === undefined || query.length > QUERY_LENGTH_MAX) return []
  return new URLSearchParams(query).getAll('access_token')
}

function requestInvalid(reason: string): Credentials {
  return { status: 'request-invalid', reason }
}
