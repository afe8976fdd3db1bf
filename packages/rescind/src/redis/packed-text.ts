/**
 * Short texts, packed: claims, reasons and actors as Redis holds them. Any well-formed text comes back exactly.
 *
 * A text is a head byte and what it announces:
 * - 0–127: so many packed bytes; 128–191: `(head - 128) * 256` plus the next byte, so many packed bytes
 * - 192: 16 bytes, a lower-case UUID; 193: 32 bytes, 43 characters of base64url (a SHA-256 digest)
 * - 194 and up: the whole text is number `head - 194` of `WORDS`
 *
 * A packed byte is a printable ASCII character (0x20–0x7e), or number 0 to 160 of those that are not (0x00–0x1f,
 * 0x7f–0xff, in that order):
 * - number 0, a length (as a head below 192) and so many bytes of UTF-8
 * - number 1 and 16 bytes: a lower-case UUID
 * - number 2, a byte N and N bytes: 2 N lower-case hex digits
 * - number 3 and up: `SYMBOLS`, what issuers, addresses and reasons are made of
 *
 * There is one way to write a text: a word, else a UUID, else 43 characters, else from left to right whichever
 * comes first of a UUID, 16 to 510 hex digits, the longest symbol, a printable character, a run of all others.
 * Both lists belong to the format: whoever changes one changes `FORMAT_VERSION`.
 */

/** Whole texts that take one byte: names of claims first. At most 62. */
const WORDS = (
  'iss jti sub sid client_id azp aud act scope email tenant tenant_id tid org_id oid device_id session_id ' +
  'session_state username preferred_username user_id uid groups roles acr amr nonce kid #sha256 true false 0 1 ' +
  'logout log-out logged_out logoff password_changed compromised leaked stolen lost_device banned suspended ' +
  'disabled deleted expired rotated security revoked admin system user support'
).split(' ')

/** Parts of texts that take one byte. At most 158. */
const SYMBOLS = (
  'https:// http:// https://login. https://auth. https://id. https://sso. https://accounts. https://api. urn: ' +
  '.com .com/realms/ .org .net .io .eu .de .fr .co.uk .dev .app .cloud .local .internal /realms/ /oauth2/ ' +
  '/v2.0 /auth /api .auth0.com/ .okta.com .amazonaws.com/ cognito-idp. microsoftonline.com/ google gmail. ' +
  'auth0| user admin service account client login logged token session password mail prod test stag tenant ' +
  'support secur devic ing ion ent ter com ple ice log out er in on an re en at es te or al ar le st ti it ed ' +
  'nd is ou ic ra ro li ma me co de se la ne ri el ch ha ca ni si io to ta tr us ur am ex im il ol as ad ck ll ' +
  'ss ee th he ve ke ly ie ia sa na mi mo da do di ho jo ka lo pe po pr sh su un vi wa wi be bo br by'
)
  .split(' ')
  .concat(' the ', ' by ', ' out ')

const HEAD_LONG = 128
const HEAD_UUID = 192
const HEAD_DIGEST = 193
const HEAD_WORD = 194
const UUID_BYTES = 16
const DIGEST_BYTES = 32
const [RAW, UUID, HEX, FIRST_SYMBOL] = [0, 1, 2, 3]

const UUID_PATTERN = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/y
const HEX_PATTERN = /(?:[0-9a-f]{2}){8,255}/y
const OTHERS_PATTERN = /[^ -~]+/y
/** The last of 43 characters has two spare bits, which are zero in the one spelling that is packed. */
const DIGEST_PATTERN = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

const wordHeads = new Map(WORDS.map((word, i) => [word, HEAD_WORD + i]))
/** By first character, the longest first. */
const symbolsFrom = new Map<string, { text: string; byte: number }[]>()
for (const [i, text] of SYMBOLS.entries()) {
  const first = text.charAt(0)
  symbolsFrom.set(
    first,
    [...(symbolsFrom.get(first) ?? []), { text, byte: special(FIRST_SYMBOL + i) }].sort(
      (a, b) => b.text.length - a.text.length,
    ),
  )
}

/** A place in bytes that are being read. */
export interface Cursor {
  readonly bytes: Buffer
  at: number
}

/** Appends a text to `out`. */
export function packText(text: string, out: number[]): void {
  const word = wordHeads.get(text)
  if (word !== undefined) {
    out.push(word)
  } else if (text.length === 36 && matchAt(UUID_PATTERN, text, 0) !== undefined) {
    out.push(HEAD_UUID)
    pushHex(text.replaceAll('-', ''), out)
  } else if (DIGEST_PATTERN.test(text)) {
    out.push(HEAD_DIGEST, ...Buffer.from(text, 'base64url'))
  } else {
    const packed: number[] = []
    packParts(text, packed)
    pushLength(packed.length, out)
    for (const byte of packed) out.push(byte)
  }
}

/** Reads a text. Throws a `RangeError` where the bytes end too early; what else is wrong, packing again shows. */
export function unpackText(cursor: Cursor): string {
  const head = readByte(cursor)
  if (head < HEAD_UUID) return unpackParts(readBytes(cursor, lengthOf(head, cursor)))
  if (head === HEAD_UUID) return uuidOf(readBytes(cursor, UUID_BYTES))
  if (head === HEAD_DIGEST) return readBytes(cursor, DIGEST_BYTES).toString('base64url')
  return entryOf(WORDS, head - HEAD_WORD)
}

export function readByte(cursor: Cursor): number {
  return cursor.bytes.readUInt8(cursor.at++)
}

export function readBytes(cursor: Cursor, length: number): Buffer {
  const end = cursor.at + length
  if (end > cursor.bytes.length) throw new RangeError('the bytes end too early')
  const bytes = cursor.bytes.subarray(cursor.at, end)
  cursor.at = end
  return bytes
}

function packParts(text: string, out: number[]): void {
  for (let at = 0; at < text.length;) {
    const uuid = matchAt(UUID_PATTERN, text, at)
    const hex = uuid === undefined ? matchAt(HEX_PATTERN, text, at) : undefined
    if (uuid !== undefined) {
      out.push(special(UUID))
      pushHex(uuid.replaceAll('-', ''), out)
      at += uuid.length
    } else if (hex !== undefined) {
      out.push(special(HEX), hex.length / 2)
      pushHex(hex, out)
      at += hex.length
    } else {
      at += packNext(text, at, out)
    }
  }
}

/** Packs a symbol, a character or a run of others, and returns how much of the text that was. */
function packNext(text: string, at: number, out: number[]): number {
  const symbol = symbolsFrom.get(text.charAt(at))?.find((each) => text.startsWith(each.text, at))
  if (symbol !== undefined) {
    out.push(symbol.byte)
    return symbol.text.length
  }
  const others = matchAt(OTHERS_PATTERN, text, at)
  if (others === undefined) {
    out.push(text.charCodeAt(at))
    return 1
  }
  const bytes = Buffer.from(others)
  out.push(special(RAW))
  pushLength(bytes.length, out)
  for (const byte of bytes) out.push(byte)
  return others.length
}

function unpackParts(bytes: Buffer): string {
  const cursor: Cursor = { bytes, at: 0 }
  let text = ''
  while (cursor.at < bytes.length) {
    const byte = readByte(cursor)
    const number = byte < 0x20 ? byte : byte - 0x7f + 0x20
    if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else if (number === RAW) text += readBytes(cursor, lengthOf(readByte(cursor), cursor)).toString()
    else if (number === UUID) text += uuidOf(readBytes(cursor, UUID_BYTES))
    else if (number === HEX) text += readBytes(cursor, readByte(cursor)).toString('hex')
    else text += entryOf(SYMBOLS, number - FIRST_SYMBOL)
  }
  return text
}

/** The byte for this number among those that are no printable ASCII. */
function special(number: number): number {
  return number < 0x20 ? number : number - 0x20 + 0x7f
}

function pushLength(length: number, out: number[]): void {
  if (length < HEAD_LONG) out.push(length)
  else if (length < (HEAD_UUID - HEAD_LONG) * 256) out.push(HEAD_LONG + (length >> 8), length & 0xff)
  else throw new RangeError('the text is too long to be packed')
}

function lengthOf(head: number, cursor: Cursor): number {
  if (head >= HEAD_UUID) throw new RangeError('there is no such length')
  return head < HEAD_LONG ? head : (head - HEAD_LONG) * 256 + readByte(cursor)
}

function pushHex(hex: string, out: number[]): void {
  for (const byte of Buffer.from(hex, 'hex')) out.push(byte)
}

function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function entryOf(list: readonly string[], number: number): string {
  const text = list[number]
  if (text === undefined) throw new RangeError('there is no such text')
  return text
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}
