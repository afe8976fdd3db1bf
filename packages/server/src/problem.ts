/** Answers of the API that are no success: `application/problem+json` (RFC 9457). */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { RescindError } from 'rescind'

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Too large',
  415: 'Unsupported type',
  422: 'Cannot be done',
  429: 'Too many requests',
  500: 'Internal failure',
  503: 'Unavailable',
}

/** So many of what is wrong with a request are told. */
export const PROBLEMS_MAX = 32

/** `code` is stable, `detail` a sentence for a person. */
export function problem(
  c: Context,
  status: ContentfulStatusCode,
  code: string,
  detail: string,
  options: { headers?: Readonly<Record<string, string>>; problems?: readonly string[] } = {},
): Response {
  const { headers = {}, problems } = options
  const body = problemBody(status, code, detail)
  return c.body(JSON.stringify(problems === undefined ? body : { ...body, problems }), status, {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    ...headers,
  })
}

export interface ProblemBody {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
}

export function problemBody(status: number, code: string, detail: string): ProblemBody {
  return { type: `urn:rescind:problem:${code}`, title: TITLES[status] ?? 'Failure', status, detail, code }
}

/** Somebody asks more often than they may. */
export function rateProblem(c: Context, retryAfterSeconds: number): Response {
  return problem(c, 429, 'rate_limited', 'Too many requests', {
    headers: { 'retry-after': String(retryAfterSeconds) },
  })
}

/** A failure of the library as an answer: what the caller did wrong, or that the store is away. */
export function failureProblem(c: Context, error: unknown): Response {
  if (!(error instanceof RescindError)) throw error
  const status = failureStatus(error)
  return problem(
    c,
    status,
    problemCode(error),
    error.message,
    status === 503 ? { headers: { 'retry-after': '1' } } : {},
  )
}

/** The code of a failure, as it is answered: `ERR_STORE_FULL` is `store_full`. */
export function problemCode({ code }: RescindError): string {
  return code.replace(/^ERR_/, '').toLowerCase()
}

/** The status of a failure: 4xx for what the caller did wrong, 503 for what may be done later. */
export function failureStatus({ code }: RescindError): 400 | 410 | 422 | 503 {
  switch (code) {
    case 'ERR_TARGET_INVALID':
    case 'ERR_OPTION_INVALID':
    case 'ERR_CLAIM_INVALID':
    case 'ERR_ACK_UNSUPPORTED':
      return 400
    case 'ERR_TOKEN_MALFORMED':
    case 'ERR_TOKEN_INVALID':
    case 'ERR_TOKEN_EXPIRED':
    case 'ERR_TOKEN_UNNAMED':
    case 'ERR_SHAPES_EXCEEDED':
      return 422
    case 'ERR_LOG_CHANGED':
      return 410
    default:
      return 503
  }
}
