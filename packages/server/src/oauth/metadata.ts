/** What clients find out by themselves: RFC 8414 for the endpoints, RFC 9728 for the API, and the keys of answers. */
import type { Handler } from 'hono'
import { ASSERTION_ALGORITHMS } from '../clients/assertion.js'
import { CLIENT_AUTH_METHODS } from '../clients/authenticate.js'
import type { Parts } from '../parts.js'

/** How long it may be kept, in seconds: it changes only with the configuration. */
const MAX_AGE_SECONDS = 300
const CACHED = { 'cache-control': `public, max-age=${MAX_AGE_SECONDS}` }

/** RFC 8414 §2. There is no endpoint that issues tokens here: no response types, no grant types. */
export function serverMetadata({ publicUrl, signer }: Parts): Handler {
  // An API key is sent as a bearer token, and such methods are named by their token type (RFC 8414 §2).
  const methods = [...CLIENT_AUTH_METHODS, 'Bearer']
  const metadata = {
    issuer: publicUrl,
    jwks_uri: `${publicUrl}/jwks.json`,
    response_types_supported: [],
    grant_types_supported: [],
    revocation_endpoint: `${publicUrl}/revoke`,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    introspection_endpoint: `${publicUrl}/introspect`,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    // RFC 9701 §7.
    introspection_signing_alg_values_supported: [signer.algorithm],
  }
  return (c) => c.json(metadata, 200, CACHED)
}

/** RFC 9728 §2. API keys are handed out by an admin: no authorization server is named. */
export function resourceMetadata({ publicUrl }: Parts): Handler {
  const metadata = {
    resource: publicUrl,
    resource_name: 'Rescind',
    bearer_methods_supported: ['header'],
  }
  return (c) => c.json(metadata, 200, CACHED)
}

/** RFC 7517 §5. */
export function keySet({ signer }: Parts): Handler {
  return (c) => c.json(signer.jwks, 200, { ...CACHED, 'content-type': 'application/jwk-set+json' })
}
