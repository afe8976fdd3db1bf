/** What an OAuth endpoint answers when it does not do what it was asked: the JSON body of RFC 6749 §5.2. */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { RescindError } from 'rescind'
import { failureFields, type Logger } from '../log.js'

/** RFC 6749 §5.2, RFC 7009 §2.2.1; the last two are those of RFC 6749 §4.1.2.1, for want of others. */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'unauthorized_client'
  | 'unsupported_token_type'
  | 'temporarily_unavailable'
  | 'server_error'

/** No answer of these endpoints may be kept by a cache (RFC 7662 §4). */
export const NO_STORE = { 'cache-control': 'no-store' }
const RETRY_AFTER_SECONDS = 1

/** `description`: a sentence for a person, in the characters of RFC 6749 §5.2: no quotes and no backslash. */
export function oauthError(
  c: Context,
  status: ContentfulStatusCode,
  error: OAuthErrorCode,
  description: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return c.json({ error, error_description: description }, status, { ...NO_STORE, ...headers })
}

/** RFC 9110 §15.5.6. */
export function methodNotAllowed(c: Context, allow: string): Response {
  return oauthError(c, 405, 'invalid_request', `The method must be ${allow.replaceAll(',', ' or')}`, {
    allow,
  })
}

/** RFC 7009 §2.2.1: with 503 the client must assume that the token still exists, and may try again. */
export function failureAnswer(c: Context, error: Error, log: Logger): Response {
  if (error instanceof RescindError) {
    log.warn({ code: error.code }, 'an OAuth endpoint could not answer')
    return oauthError(c, 503, 'temporarily_unavailable', 'This cannot be done at the moment; try again', {
      'retry-after': String(RETRY_AFTER_SECONDS),
    })
  }
  log.error(failureFields(error), 'request failed')
  return oauthError(c, 500, 'server_error', 'The service has failed; its log says why')
}
