/** The introspection endpoint, RFC 7662: what the gate says of a token, to whom it concerns. */
import type { Handler } from 'hono'
import type { Auth } from 'rescind'
import type { Parts } from '../parts.js'
import { unverifiedClaims } from '../unverified-claims.js'
import { NO_STORE } from './answer.js'
import { type ClientRequest, readClientRequest } from './client-request.js'
import { JWT_ANSWER, signedAnswer, wantsJwt } from './introspection-jwt.js'
import { maySee } from './ownership.js'

/** RFC 7662 §2.2. */
export type Introspection = Readonly<Record<string, unknown>> & { readonly active: boolean }

/** RFC 7662 §2.2: and nothing else, whatever the reason. */
const INACTIVE: Introspection = { active: false }

export function introspectEndpoint(parts: Parts): Handler {
  return async (c) => {
    const request = await readClientRequest(c, parts, ['introspect'])
    if (request instanceof Response) return request
    const introspection = isVisible(request) ? await introspect(parts, request.token) : INACTIVE
    if (!wantsJwt(c)) return c.json(introspection, 200, NO_STORE)
    const jwt = await signedAnswer(parts, request.client, introspection)
    return c.body(jwt, 200, { ...NO_STORE, 'content-type': JWT_ANSWER })
  }
}

/** RFC 7662 §4. Before the token is verified: how long it takes, or that it fails, tells nothing of others' tokens. */
function isVisible({ client, token }: ClientRequest): boolean {
  const claims = unverifiedClaims(token)
  return claims !== undefined && maySee(claims, client)
}

/**
 * RFC 7662 §4: signature, time, audience, age and revocation, decided where protected routes decide it. Throws when
 * nobody can tell.
 */
async function introspect({ gate, metrics }: Parts, token: string): Promise<Introspection> {
  const verdict = await gate.check({ authorization: [`Bearer ${token}`] })
  metrics.checks.inc({ answer: verdict.allowed ? 'allowed' : verdict.denial.code })
  if (verdict.allowed) return describe(verdict.auth)
  if (verdict.cause !== undefined) throw verdict.cause
  return INACTIVE
}

/** RFC 7662 §2.2: the claims of the token, and over them the members that are named there. */
function describe({ claims, scopes }: Auth): Introspection {
  const { client_id = claims.azp, cnf } = claims
  const isBoundToKey = typeof cnf === 'object' && cnf !== null && 'jkt' in cnf
  return {
    ...claims,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    ...(client_id === undefined ? {} : { client_id }),
    // RFC 9449 §6.2.
    token_type: isBoundToKey ? 'DPoP' : 'Bearer',
    active: true,
  }
}
