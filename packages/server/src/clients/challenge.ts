/** What a refused client is told of how to prove who it is: `WWW-Authenticate`, in the scheme that it used (RFC 9110 §11.6.1). */
import type { ClientAuthMethod } from './authenticate.js'

/** What stands in a form has no scheme of its own. `error`: of RFC 6750 §3.1, for a bearer key. */
export function challenge(
  method: ClientAuthMethod,
  error?: 'invalid_token' | 'insufficient_scope',
): { 'www-authenticate': string } {
  if (method !== 'bearer') return { 'www-authenticate': 'Basic realm="rescind"' }
  return { 'www-authenticate': `Bearer realm="rescind"${error === undefined ? '' : `, error="${error}"`}` }
}
