/**
 * The adapter of everything that speaks Fetch: handlers from `Request` to `Response`.
 *
 * ```ts
 * export default { fetch: protect(gate, (request, auth) => Response.json(auth.claims)) }
 * ```
 */
import type { Denial } from '../denial.js'
import type { Auth, Gate, Policy } from '../gate.js'
import type { RequestHead } from '../token/credentials.js'
import { authorizationFields, authOf, queryOf, remember, takesForm } from './request.js'

export { authOf }

/** A longer form is not searched for a token. */
const FORM_BYTES_MAX = 65_536

/**
 * What the gate reads of a request. The body is read, from a clone, only where the policy takes tokens from forms, and
 * was not read before. `Headers` joins repeated fields, so that two tokens look like one malformed token; where the
 * server shows its `rawHeaders` (names and values by turns, as in Node), they are told apart.
 */
export async function requestHead(
  request: Request,
  policy: Policy = {},
  rawHeaders?: readonly string[],
): Promise<RequestHead> {
  return {
    authorization: authorizationFields(rawHeaders, request.headers.get('authorization')),
    query: queryOf(request.url),
    form: takesForm(request, policy.tokenFrom) ? await readForm(request) : undefined,
  }
}

/** A denial as a response: status, headers and problem body (RFC 9457). */
export function denialResponse(denial: Denial): Response {
  return new Response(JSON.stringify(denial.body), { status: denial.status, headers: denial.headers })
}

/** A handler that runs only for tokens that pass; what follows the request is passed on. */
export function protect<R extends Request, Rest extends unknown[]>(
  gate: Gate,
  handler: (request: R, auth: Auth, ...rest: Rest) => Response | Promise<Response>,
  policy?: Policy,
): (request: R, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    const verdict = await gate.check(await requestHead(request, policy), policy)
    if (!verdict.allowed) return denialResponse(verdict.denial)
    remember(request, verdict.auth)
    return withHeaders(await handler(request, verdict.auth, ...rest), verdict.headers)
  }
}

/** The response with headers added. Those that it has already stay. */
function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  const missing = Object.entries(headers).filter(([name]) => !response.headers.has(name))
  if (missing.length === 0) return response
  // The headers of a redirect, or of a response that was fetched, cannot be changed.
  const copy = new Response(response.body, response)
  for (const [name, value] of missing) copy.headers.set(name, value)
  return copy
}

async function readForm(request: Request): Promise<{ access_token: string[] } | undefined> {
  // Somebody has read it before, and nobody can again.
  if (request.bodyUsed) return undefined
  const body = request.clone().body as ReadableStream<Uint8Array> | null
  const reader = body?.getReader()
  if (reader === undefined) return undefined
  const decoder = new TextDecoder()
  let text = ''
  for (let size = 0; ;) {
    const { done, value } = await reader.read()
    if (done) return { access_token: new URLSearchParams(text + decoder.decode()).getAll('access_token') }
    size += value.length
    if (size > FORM_BYTES_MAX) {
      // It settles when the handler has read its own copy, so nobody waits for it.
      reader.cancel().catch(() => undefined)
      return undefined
    }
    text += decoder.decode(value, { stream: true })
  }
}
