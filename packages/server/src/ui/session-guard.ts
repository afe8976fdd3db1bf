/** Who asks by a session of the dashboard, or the answer to give where that is nobody. */
import type { Context } from 'hono'
import { failureProblem, problem, rateProblem } from '../problem.js'
import type { Client } from '../clients/client.js'
import type { Parts } from '../parts.js'
import { isFromOurPage } from './same-origin.js'
import { forgetSession, holdsClient, readSession, type Session } from './session.js'

/** How often the client of an open stream is looked up. */
const CLIENT_LOOK_MS = 5000

export interface BySession {
  readonly client: Client
  readonly session: Session
}

/** Undefined for a request without a session. Throws the failure of the records. */
export async function whoIsSignedIn(c: Context, parts: Parts): Promise<BySession | Response | undefined> {
  const result = await readSession(c, parts)
  switch (result.status) {
    case 'missing':
      return undefined
    case 'unknown':
      return failureProblem(c, result.cause)
    case 'ended':
      forgetSession(c, parts)
      return problem(c, 401, 'session_ended', 'The session has ended: sign in again', {
        headers: { 'www-authenticate': 'Bearer realm="rescind"' },
      })
  }
  if (!isFromOurPage(c)) return crossSite(c)
  const { session } = result
  const retryAfterSeconds = parts.authenticator.take(session.client)
  return retryAfterSeconds > 0 ? rateProblem(c, retryAfterSeconds) : { client: session.client, session }
}

/** A stream that was opened by a session ends with it, and when its client is let in no more. */
export function endWithSession(c: Context, parts: Parts, session: Session): undefined {
  const { body, headers } = c.res
  if (body === null || headers.get('content-type')?.startsWith('text/event-stream') !== true) return
  const over = new AbortController()
  const cut = new AbortController()
  const end = () => cut.abort()
  parts.manager.onRevoked(session.claims, over.signal).then(end, end)
  const looking = setInterval(() => {
    holdsClient(parts, session).then((holds) => holds || end(), end)
  }, CLIENT_LOOK_MS).unref()
  const through = new TransformStream<Uint8Array, Uint8Array>()
  const done = () => {
    clearInterval(looking)
    over.abort()
  }
  // Cut by us it ends as any answer does; the client comes back, and is told why not.
  body
    .pipeTo(through.writable, { signal: cut.signal, preventAbort: true })
    .catch((error: unknown) =>
      cut.signal.aborted ? through.writable.close() : through.writable.abort(error),
    )
    .then(done, done)
  c.res = new Response(through.readable, c.res)
}

export function crossSite(c: Context): Response {
  return problem(c, 403, 'cross_site', 'A session is good for requests of the dashboard itself only')
}
