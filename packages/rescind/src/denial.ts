/**
 * The one table of denials: what a route answers when a token must not pass. RFC 6750 §3 (challenge, error
 * codes), RFC 9457 (problem body), RFC 9728 §5.1 (`resource_metadata`).
 *
 * A denial is data. Adapters send it as it is.
 */

/** Why a request is denied. */
export type DenialCode =
  | 'request_invalid'
  | 'token_missing'
  | 'token_malformed'
  | 'token_invalid'
  | 'token_expired'
  | 'token_revoked'
  | 'scope_insufficient'
  | 'check_unavailable'

/** The body of a denied request: `application/problem+json` (RFC 9457). */
export interface ProblemBody {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: DenialCode
}

/** A request that must not pass, as data: everything that an answer needs (RFC 6750 §3, RFC 9457). */
export interface Denial {
  readonly code: DenialCode
  readonly status: 400 | 401 | 403 | 503
  /** The value of `WWW-Authenticate`; absent where the check could not be made. */
  readonly challenge?: string
  /** Every header of the answer, names in lower case: content type, cache control, challenge, retry. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: ProblemBody
}

interface Row {
  readonly status: Denial['status']
  readonly title: string
  /** RFC 6750 §3.1; none where the request had no credentials, or where the fault is not the client's. */
  readonly error?: 'invalid_request' | 'invalid_token' | 'insufficient_scope'
  readonly detail: string
}

const TABLE: Readonly<Record<DenialCode, Row>> = {
  request_invalid: {
    status: 400,
    title: 'Malformed request',
    error: 'invalid_request',
    detail: 'The request presents a token in a way that cannot be read',
  },
  token_missing: { status: 401, title: 'Token missing', detail: 'This resource needs a bearer token' },
  token_malformed: {
    status: 401,
    title: 'Token malformed',
    error: 'invalid_token',
    detail: 'The token is not of the expected format',
  },
  token_invalid: {
    status: 401,
    title: 'Token invalid',
    error: 'invalid_token',
    detail: 'The token is not accepted here',
  },
  token_expired: {
    status: 401,
    title: 'Token expired',
    error: 'invalid_token',
    detail: 'The token has expired',
  },
  token_revoked: {
    status: 401,
    title: 'Token revoked',
    error: 'invalid_token',
    detail: 'The token was revoked',
  },
  scope_insufficient: {
    status: 403,
    title: 'Scope insufficient',
    error: 'insufficient_scope',
    detail: 'The token does not have the scope that this resource needs',
  },
  check_unavailable: {
    status: 503,
    title: 'Check unavailable',
    detail: 'The token cannot be checked at the moment; try again',
  },
}

/** Every code, for tests and documentation. */
export const DENIAL_CODES = Object.keys(TABLE) as DenialCode[]

export interface DenialContext {
  /** The protection space (RFC 9110 §11.5); a challenge always carries it. */
  readonly realm: string
  /** The URL of the protected resource's metadata (RFC 9728). */
  readonly resourceMetadata?: string | undefined
  /** Seconds after which a client may try again when the check could not be made. */
  readonly retryAfterSeconds: number
}

/** Makes the denial of a code. `detail` replaces the table's sentence; `scope` is named where scope lacks. */
export function makeDenial(
  code: DenialCode,
  context: DenialContext,
  details: { detail?: string | undefined; scope?: readonly string[] } = {},
): Denial {
  const row = TABLE[code]
  const detail = details.detail ?? row.detail
  const challenge = row.status === 503 ? undefined : makeChallenge(row, detail, context, details.scope)
  return {
    code,
    status: row.status,
    ...(challenge === undefined ? {} : { challenge }),
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(challenge === undefined
        ? { 'retry-after': String(context.retryAfterSeconds) }
        : { 'www-authenticate': challenge }),
    },
    body: { type: `urn:rescind:denial:${code}`, title: row.title, status: row.status, detail, code },
  }
}

/** RFC 6750 §3: at least one parameter, each at most once. */
function makeChallenge(
  row: Row,
  detail: string,
  context: DenialContext,
  scope: readonly string[] | undefined,
): string {
  const parameters = [`realm="${quoted(context.realm)}"`]
  if (row.error !== undefined) {
    parameters.push(`error="${row.error}"`, `error_description="${quoted(detail)}"`)
  }
  if (row.error === 'insufficient_scope' && scope !== undefined) {
    parameters.push(`scope="${quoted(scope.join(' '))}"`)
  }
  if (context.resourceMetadata !== undefined) {
    parameters.push(`resource_metadata="${quoted(context.resourceMetadata)}"`)
  }
  return `Bearer ${parameters.join(', ')}`
}

/** Keeps what RFC 6750 §3 allows in a value: %x20-21 / %x23-5B / %x5D-7E. */
export function quoted(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '_')
}
