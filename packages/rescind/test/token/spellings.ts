/** Other spellings of a signed token, which some libraries accept as the same: what an attacker would try. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** The order of the P-256 group: (r, s) and (r, n − s) verify alike. */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** Candidates, whether or not any library accepts them. None is equal to the token. */
export function otherSpellings(token: string, algorithm: string): string[] {
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const signatures = [
    ...spareBits(signature),
    ...['=', '==', '===', ' ', '\t', '\n', '\r\n', '\f', '!', '*', '\u0000', '\u00a0', '%3D'].map(
      (end) => signature + end,
    ),
    ...[' ', '\n', '!', '=', '.'].map((inside) => signature.slice(0, 5) + inside + signature.slice(5)),
    ...[' ', '\n', '='].map((before) => before + signature),
    signature.replaceAll('-', '+').replaceAll('_', '/'),
    ...(algorithm === 'ES256' ? [negated(signature), ...spareBits(negated(signature))] : []),
  ]
  const whole = [
    ...signatures.map((other) => `${header}.${payload}.${other}`),
    ...[...spareBits(header), `${header}=`, `${header} `, ` ${header}`].map(
      (other) => `${other}.${payload}.${signature}`,
    ),
    ...[...spareBits(payload), `${payload}=`, `${payload}\n`].map(
      (other) => `${header}.${other}.${signature}`,
    ),
    `${token}.`,
    `${token},${token}`,
  ]
  return [...new Set(whole)].filter((other) => other !== token)
}

/** The last character carries bits that decode to nothing. */
function spareBits(part: string): string[] {
  const spare = ((part.length * 6) % 8) % 8
  const last = ALPHABET.indexOf(part.at(-1) as string)
  return Array.from(
    { length: 2 ** spare },
    (_, bits) => part.slice(0, -1) + ALPHABET[((last >> spare) << spare) | bits],
  ).filter((other) => other !== part)
}

function negated(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url')
  const s = BigInt(`0x${bytes.toString('hex', 32)}`)
  const other = (P256_ORDER - s).toString(16).padStart(64, '0')
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, 'hex')]).toString('base64url')
}
