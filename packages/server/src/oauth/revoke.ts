/** The revocation endpoint, RFC 7009. Nothing of a token that was not verified is ever written. */
import type { Context, Handler } from 'hono'
import { hasCode, type Receipt } from 'rescind'
import { recordChange } from '../audit.js'
import { type Client, hasRole } from '../clients/client.js'
import type { Parts } from '../parts.js'
import { unverifiedClaims } from '../unverified-claims.js'
import { NO_STORE, oauthError } from './answer.js'
import { type ClientRequest, readClientRequest } from './client-request.js'
import { isIssuedTo } from './ownership.js'

const REASON = 'Revoked by a client at the revocation endpoint'
/** RFC 7516 §3.1: an encrypted token, which only its issuer can read. */
const ENCRYPTED = /^[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+$/

export function revokeEndpoint(parts: Parts): Handler {
  return async (c) => {
    const request = await readClientRequest(c, parts, ['revoke:own', 'revoke:any'])
    if (request instanceof Response) return request
    const refusal = refuseType(c, request) ?? refuseOthers(c, request)
    if (refusal !== undefined) return refusal
    const receipt = await revokeIfGenuine(parts, request)
    if (receipt !== undefined) await record(parts, request.client, receipt)
    return done(c)
  }
}

/**
 * RFC 7009 §2.2.1: whoever is told 200 takes the token for dead, so what is plainly a live token of another kind is
 * refused. By its form alone, and by what the client itself calls it.
 */
function refuseType(c: Context, { token, tokenTypeHint }: ClientRequest): Response | undefined {
  const isOpaqueRefreshToken = tokenTypeHint === 'refresh_token' && unverifiedClaims(token) === undefined
  if (!isOpaqueRefreshToken && !ENCRYPTED.test(token)) return undefined
  return oauthError(c, 400, 'unsupported_token_type', 'Only signed JWTs can be revoked here')
}

/**
 * RFC 7009 §2.1: a client revokes tokens that were issued to it. Decided before the token is verified, and so alike for
 * a token of another client and for what only pretends to be one.
 */
function refuseOthers(c: Context, { client, token }: ClientRequest): Response | undefined {
  if (hasRole(client, 'revoke:any')) return undefined
  const claims = unverifiedClaims(token)
  // RFC 7009 §2.2: what is no token is answered as one that is dead already.
  if (claims === undefined || isIssuedTo(claims, client)) return undefined
  return oauthError(c, 400, 'unauthorized_client', 'The token was not issued to this client')
}

/** RFC 7009 §2.2: undefined for a token that is dead already. Throws when that cannot be told, or not written. */
async function revokeIfGenuine(
  { manager }: Parts,
  { client, token }: ClientRequest,
): Promise<Receipt | undefined> {
  try {
    return await manager.revokeToken(token, { reason: REASON, actor: client.id })
  } catch (error) {
    const isDead =
      hasCode(error, 'ERR_TOKEN_MALFORMED') ||
      hasCode(error, 'ERR_TOKEN_INVALID') ||
      hasCode(error, 'ERR_TOKEN_EXPIRED')
    if (isDead) return undefined
    throw error
  }
}

function record(parts: Parts, client: Client, { target }: Receipt): Promise<void> {
  return recordChange(parts, {
    client,
    operation: 'revoke',
    scope: 'token',
    target,
    reason: REASON,
    via: 'oauth',
  })
}

/** RFC 7009 §2.2: clients ignore the body. */
function done(c: Context): Response {
  return c.body(null, 200, NO_STORE)
}
