/** Lets only clients with a role pass: for the API and for what else answers in problem+json. */
import type { HttpBindings } from '@hono/node-server'
import type { Context, MiddlewareHandler } from 'hono'
import { RescindError } from 'rescind'
import { challenge } from '../clients/challenge.js'
import { type Client, hasRole } from '../clients/client.js'
import type { Role } from '../config/schema.js'
import type { Parts } from '../parts.js'
import { sourceOf } from '../source.js'
import type { Authentication, ClientAuthMethod } from '../clients/authenticate.js'
import type { Session } from '../ui/session.js'
import { endWithSession, whoIsSignedIn } from '../ui/session-guard.js'
import { failureProblem, problem, rateProblem } from '../problem.js'

export interface ClientVariables {
  client: Client
}

/** One of the roles is enough; an admin has them all. `c.get('client')` is who asks. */
export function requireRole(
  parts: Parts,
  ...roles: readonly Role[]
): MiddlewareHandler<{ Variables: ClientVariables }> {
  return async (c, next) => {
    const found = await whoAsks(c, parts)
    if (found instanceof Response) return found
    if (!roles.some((role) => hasRole(found.client, role))) return refuseRole(c, roles, found.method)
    c.set('client', found.client)
    await next()
    return found.session === undefined ? undefined : endWithSession(c, parts, found.session)
  }
}

interface WhoAsks {
  readonly client: Client
  /** How it has proved who it is. */
  readonly method?: ClientAuthMethod
  readonly session?: Session
}

/** The client, by its key or by a session of the dashboard; or the answer to give where that is nobody. */
async function whoAsks(c: Context, parts: Parts): Promise<WhoAsks | Response> {
  try {
    const credentials = credentialsOf(c, parts)
    const bySession = credentials.authorization.length === 0 ? await whoIsSignedIn(c, parts) : undefined
    return bySession ?? byKey(c, await parts.authenticator.authenticate(credentials))
  } catch (error) {
    if (error instanceof RescindError) return failureProblem(c, error)
    throw error
  }
}

/** What a key has proved, or the answer to give. */
export function byKey(c: Context, found: Authentication): WhoAsks | Response {
  switch (found.status) {
    case 'client':
      return found
    case 'missing':
      return problem(c, 401, 'key_missing', 'This needs the key of a client: Authorization: Bearer KEY', {
        headers: challenge('bearer'),
      })
    case 'refused':
      return problem(c, 401, 'key_invalid', 'The key is not accepted here', {
        headers: challenge(found.method, 'invalid_token'),
      })
    case 'request-invalid':
      return problem(c, 400, 'request_invalid', found.reason)
    case 'limited':
      return rateProblem(c, found.retryAfterSeconds)
  }
}

/** Every `Authorization` field, and where the request comes from. */
export function credentialsOf(
  c: Context,
  { config }: Parts,
): { authorization: readonly string[]; source: string } {
  const { incoming } = c.env as HttpBindings
  const fields = incoming.rawHeaders.filter(
    (_, i, all) => i % 2 === 1 && (all[i - 1] as string).toLowerCase() === 'authorization',
  )
  return { authorization: fields, source: sourceOf(incoming, config.listen.trustedHops) }
}

function refuseRole(c: Context, roles: readonly Role[], method: ClientAuthMethod | undefined): Response {
  return problem(c, 403, 'role_insufficient', `This needs the role ${roles.join(' or ')}`, {
    headers: method === 'bearer' ? challenge(method, 'insufficient_scope') : {},
  })
}
