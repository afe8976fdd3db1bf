/**
 * Signed assertions, `private_key_jwt`: who may sign one for a client (RFC 7523 §3), and with what. A key set that
 * cannot be fetched proves nothing, neither for its client nor against it.
 */
import { JwtVerifier } from 'rescind'
import { invalid, keySetIn } from '../config/load.js'
import type { ClientConfig } from '../config/schema.js'

/** What proves a holder, and nothing that a public key could forge. */
export const ASSERTION_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

/**
 * For a client that has a key set. Audience, subject and first use are for whoever asks. Throws `ERR_CONFIG_INVALID` for
 * a key set that cannot be used; `place`: where the client stands in the configuration.
 */
export function assertionVerifier(
  client: ClientConfig,
  place: string,
  clockToleranceSeconds: number | undefined,
): JwtVerifier | undefined {
  const { id, jwksFile, jwksUrl, jwksAllowHttp } = client
  const jwks = jwksFile === undefined ? client.jwks : keySetIn(`${place}.jwksFile`, jwksFile)
  if (jwks === undefined && jwksUrl === undefined) return undefined
  try {
    return new JwtVerifier({
      ...{ issuer: id, audience: null, typ: null, requiredClaims: ['exp', 'jti'] },
      algorithms: ASSERTION_ALGORITHMS,
      clockToleranceSeconds,
      ...{ jwks, jwksUrl, jwksAllowHttp },
    })
  } catch (cause) {
    const { problems = ['its key set cannot be read'] } = cause as { problems?: readonly string[] }
    throw invalid(
      problems.map((problem) => `${place}: ${problem}`),
      cause,
    )
  }
}
