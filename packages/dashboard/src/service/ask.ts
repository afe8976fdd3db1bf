/**
 * Requests to the service. They carry the session by its cookie, and a header that shows that this page has sent them.
 * What is refused is a `Refused` with the service's own words; what has no answer at all is `Unreachable`.
 */

export const UI_HEADER = 'x-rescind-ui'
/** A service that is silent for so long is taken to be gone. */
const TIMEOUT_MS = 15_000

export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly problems: readonly string[],
    readonly retryAfterSeconds: number | undefined,
  ) {
    super(detail)
  }
}

export class Unreachable extends Error {
  constructor() {
    super('The service does not answer')
  }
}

export interface Ask {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly body?: unknown
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

let onSessionEnded: () => void = () => undefined

/** Called whenever the service says that the session has ended. */
export function whenSessionEnds(listener: () => void): void {
  onSessionEnded = listener
}

export async function ask<T>(path: string, options: Ask = {}): Promise<T> {
  const answer = await send(path, options)
  const isJson = /\bjson\b/.test(answer.headers.get('content-type') ?? '')
  const body: unknown = isJson ? await answer.json().catch(() => undefined) : undefined
  if (answer.ok) {
    // It broke off, or something between has answered: whether it was done is not known.
    if (body === undefined && answer.status !== 204) throw new Unreachable()
    return body as T
  }
  const refused = refusedBy(answer, body)
  if (answer.status === 401 && !path.startsWith('/ui/')) onSessionEnded()
  throw refused
}

async function send(path: string, options: Ask): Promise<Response> {
  const { method = 'GET', body, signal, timeoutMs = TIMEOUT_MS } = options
  const late = AbortSignal.timeout(timeoutMs)
  try {
    return await fetch(path, {
      method,
      headers: {
        [UI_HEADER]: '1',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    })
  } catch (error) {
    // Whoever has called it off wants no answer.
    if (signal?.aborted === true) throw error
    throw new Unreachable()
  }
}

function refusedBy(answer: Response, body: unknown): Refused {
  const { code, detail, problems } = (body ?? {}) as {
    code?: string
    detail?: string
    problems?: readonly string[]
  }
  const wait = Number(answer.headers.get('retry-after') ?? Number.NaN)
  return new Refused(
    answer.status,
    code ?? 'unknown',
    detail ?? `The service has answered ${answer.status}`,
    problems ?? [],
    Number.isFinite(wait) ? wait : undefined,
  )
}

/** What to tell a person, and what they can do. */
export function explain(error: unknown): { title: string; detail: string } {
  if (error instanceof Unreachable)
    return {
      title: 'The service does not answer',
      detail: 'Check that it runs and that this machine reaches it, then try again.',
    }
  if (!(error instanceof Refused))
    return { title: 'Something went wrong in this page', detail: String(error) }
  const detail = [error.message, ...error.problems].join('. ')
  if (error.code === 'ack_not_reached')
    return { title: 'It is revoked, but not everybody has said so', detail }
  switch (error.status) {
    case 403:
      return { title: 'You may not do this', detail }
    case 429:
      return {
        title: 'Too many requests',
        detail: `Try again in ${error.retryAfterSeconds ?? 'a few'} seconds.`,
      }
    case 503:
      return { title: 'The store cannot be reached', detail: `${detail}. Nothing was lost; try again.` }
    default:
      return { title: 'The service has refused this', detail }
  }
}
