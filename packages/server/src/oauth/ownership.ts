/**
 * Whose is a token, and who may see it? By what it claims, before anything is verified: what these refuse is refused
 * alike whether the token is genuine, forged, expired or revoked, so that nobody learns about tokens of others.
 */
import { type Client, hasRole } from '../clients/client.js'

type Claims = Readonly<Record<string, unknown>>

/** RFC 7009 §2.1: by `client_id` (RFC 9068 §2.2), else `azp`, else by being its audience. */
export function isIssuedTo({ client_id, azp, aud }: Claims, client: Client): boolean {
  return client_id === undefined && azp === undefined
    ? audiencesOf(aud).includes(client.id)
    : (client_id ?? azp) === client.id
}

/** RFC 7662 §2.2 and §4: tokens that were issued to it, or that are meant for it. */
export function maySee(claims: Claims, client: Client): boolean {
  const { audiences } = client
  if (audiences === '*' || hasRole(client, 'admin') || isIssuedTo(claims, client)) return true
  return audiencesOf(claims.aud).some((audience) => audiences.includes(audience))
}

/** RFC 7519 §4.1.3: one text, or a list. */
function audiencesOf(aud: unknown): readonly string[] {
  return [aud].flat().filter((audience): audience is string => typeof audience === 'string')
}
