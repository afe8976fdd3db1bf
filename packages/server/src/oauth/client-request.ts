/** What both endpoints begin with: a form with a token, from a client that proves who it is and has the role. */
import type { Context } from 'hono'
import { credentialsOf } from '../api/client-guard.js'
import type { Authentication, ClientAuthMethod } from '../clients/authenticate.js'
import { challenge } from '../clients/challenge.js'
import { type Client, hasRole } from '../clients/client.js'
import type { Role } from '../config/schema.js'
import type { Parts } from '../parts.js'
import { oauthError } from './answer.js'
import { readForm } from '../form.js'

export interface ClientRequest {
  readonly client: Client
  readonly token: string
  /** RFC 7009 §2.1: a hint, and whatever it says, never the truth. */
  readonly tokenTypeHint: string | undefined
}

/** The request, or the answer that refuses it. One of the roles is enough. */
export async function readClientRequest(
  c: Context,
  parts: Parts,
  roles: readonly Role[],
): Promise<ClientRequest | Response> {
  // RFC 7009 §2.1 and RFC 7662 §2.1: a form, sent by POST. What stands in the query is not looked at.
  const { form, problem, isTooLarge } = await readForm(c, parts.config.limits.bodyBytesMax)
  if (form === undefined) return oauthError(c, isTooLarge === true ? 413 : 400, 'invalid_request', problem)

  const found = await parts.authenticator.authenticate({ ...credentialsOf(c, parts), form })
  if (found.status !== 'client') return refuseClient(c, found)
  const { client, method } = found
  if (!roles.some((role) => hasRole(client, role))) return refuseRole(c, roles, method)

  const token = form.get('token')
  if (token === undefined) return oauthError(c, 400, 'invalid_request', 'The parameter token is missing')
  return { client, token, tokenTypeHint: form.get('token_type_hint') }
}

/** RFC 6749 §5.2. */
function refuseClient(c: Context, found: Exclude<Authentication, { status: 'client' }>): Response {
  switch (found.status) {
    case 'missing':
      return oauthError(
        c,
        401,
        'invalid_client',
        'The client does not say who it is',
        challenge('client_secret_basic'),
      )
    case 'refused':
      return oauthError(
        c,
        401,
        'invalid_client',
        'The credentials of the client are not accepted',
        challenge(found.method, 'invalid_token'),
      )
    case 'request-invalid':
      return oauthError(c, 400, 'invalid_request', found.reason)
    case 'limited':
      return oauthError(c, 429, 'temporarily_unavailable', 'Too many requests', {
        'retry-after': String(found.retryAfterSeconds),
      })
  }
}

/** RFC 6749 §5.2; for a bearer key, RFC 7662 §2.3 asks for the 401 of RFC 6750 §3. */
function refuseRole(c: Context, roles: readonly Role[], method: ClientAuthMethod): Response {
  const description = `This needs the role ${roles.join(' or ')}`
  if (method !== 'bearer') return oauthError(c, 400, 'unauthorized_client', description)
  return oauthError(c, 401, 'unauthorized_client', description, challenge(method, 'insufficient_scope'))
}
