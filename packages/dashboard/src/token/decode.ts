/**
 * What a pasted token says of itself, read in the browser and shown to the person who pasted it. Nothing of it is
 * believed: whether the token is genuine, the service says.
 */

export interface Decoded {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/** As the service takes it at most. */
export const TOKEN_LENGTH_MAX = 8192

/** Takes a token with what often comes along when it is copied: `Authorization: Bearer`, quotes, white space. */
export function cleanToken(text: string): string {
  return text
    .trim()
    .replace(/^(?:authorization\s*:\s*)?(?:bearer|dpop)\s+/i, '')
    .replace(/^["'`]+|["'`,;]+$/g, '')
    .replace(/\s+/g, '')
}

/** Undefined for what is no JWT: an opaque token, or something else. */
export function decode(token: string): Decoded | undefined {
  const [head, body, signature, ...rest] = token.split('.')
  if (head === undefined || body === undefined || signature === undefined || rest.length > 0) return undefined
  const header = objectIn(head)
  const claims = objectIn(body)
  return header === undefined || claims === undefined ? undefined : { header, claims }
}

/** Would be a token in a place where none belongs: in a search, a reason, a name. */
export function looksLikeToken(text: string): boolean {
  return /\beyJ[\w-]{8,}\.[\w-]{8,}/.test(text)
}

function objectIn(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (character) =>
      character.charCodeAt(0),
    )
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
