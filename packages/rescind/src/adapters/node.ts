/**
 * The adapter of `node:http`, and the conversions that all adapters on top of it share.
 *
 * ```ts
 * createServer(protect(gate, (req, res, auth) => res.end(auth.claims.sub)))
 * ```
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Denial } from '../denial.js'
import type { Auth, Gate, Policy, Verdict } from '../gate.js'
import type { RequestHead } from '../token/credentials.js'
import { authorizationFields, authOf, isForm, isPrivate, queryOf, remember } from './request.js'

export { authOf }

/**
 * What the gate reads of a request. A form is never read from the socket: `body` is what a body parser made of
 * it, by default what it left in `req.body`.
 */
export function requestHead(
  req: IncomingMessage,
  body: unknown = (req as { body?: unknown }).body,
): RequestHead {
  return {
    authorization: authorizationFields(req.rawHeaders, req.headers.authorization),
    query: queryOf(req.url),
    form: isForm(req.method, req.headers['content-type']) ? body : undefined,
  }
}

/** Ends the response with a denial: status, headers and problem body (RFC 9457). */
export function sendDenial(res: ServerResponse, denial: Denial): void {
  res.statusCode = denial.status
  for (const name in denial.headers) res.setHeader(name, denial.headers[name] as string)
  res.end(JSON.stringify(denial.body))
}

/**
 * Checks one request: sends the denial and gives nothing, or prepares the response and gives the auth. At once
 * where the gate can tell at once.
 */
export function admit(
  gate: Gate,
  req: IncomingMessage,
  res: ServerResponse,
  policy?: Policy,
): Auth | undefined | Promise<Auth | undefined> {
  const verdict = gate.check(requestHead(req), policy)
  return verdict instanceof Promise
    ? verdict.then((later) => settle(req, res, later))
    : settle(req, res, verdict)
}

function settle(req: IncomingMessage, res: ServerResponse, verdict: Verdict): Auth | undefined {
  if (!verdict.allowed) {
    sendDenial(res, verdict.denial)
    return undefined
  }
  const { headers } = verdict
  for (const name in headers)
    if (!isPrivate(res.getHeader(name))) res.setHeader(name, headers[name] as string)
  remember(req, verdict.auth)
  return verdict.auth
}

/**
 * A request listener that runs the handler only for tokens that pass. It returns the handler's promise: a
 * rejection is the server's to handle, and unhandled it ends the process as any other.
 */
export function protect(
  gate: Gate,
  handler: (req: IncomingMessage, res: ServerResponse, auth: Auth) => void | Promise<void>,
  policy?: Policy,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return async (req, res) => {
    const auth = await admit(gate, req, res, policy)
    if (auth !== undefined) await handler(req, res, auth)
  }
}
