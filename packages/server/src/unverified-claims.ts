/**
 * What a JWT claims, without a proof: good for choosing whose keys to try, and for refusing; never for letting anybody in,
 * and never to be written down.
 */

/** As the library's own verifier: nothing longer is looked at. */
export const TOKEN_LENGTH_MAX = 8192

/** Undefined for what is no signed JWT. */
export function unverifiedClaims(token: string): Readonly<Record<string, unknown>> | undefined {
  if (token.length > TOKEN_LENGTH_MAX) return undefined
  const parts = token.split('.')
  if (parts.length !== 3 || parts.some((part) => !/^[A-Za-z0-9_-]+$/.test(part))) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims)
      ? (claims as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
