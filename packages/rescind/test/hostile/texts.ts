/** Texts, values and bytes that have broken parsers, and what makes more of them. */
import * as fc from 'fast-check'

/** Names that every object has without being told, or that change what it is. */
export const PROTOTYPE_NAMES = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'toJSON', 'then'],
] as const

/** Each with why it is nasty. */
export const TEXTS: Readonly<Record<string, string>> = {
  empty: '',
  'a blank, which trimming takes': ' ',
  'NUL, which ends a text in C': 'alice\u0000',
  'line breaks, which begin a new header': 'alice\r\nX-Admin: 1',
  'a lone high surrogate, which UTF-8 cannot say': 'alice\ud800',
  'a lone low surrogate': '\udc00alice',
  'what UTF-8 says in place of a surrogate': 'alice\ufffd',
  'composed (NFC)': 'ren\u00e9',
  'the same decomposed (NFD)': 'rene\u0301',
  'a ligature, which NFKC takes apart': '\ufb01sh',
  'a Cyrillic twin of alice': '\u0430lice',
  'right to left': '\u202ealice',
  'a zero-width joiner': 'al\u200dice',
  'a byte order mark': '\ufeffalice',
  'the long s, which upper case makes an S': '\u017f',
  'the Kelvin sign, which lower case makes a k': '\u212a',
  'an i without a dot': '\u0131ss',
  'what looks like the separator of another scheme': 'a:b|c/d\u001fe',
  'a path': '../../../../dev/random',
  'a query': "' OR 1=1 --",
  'a template': '${jndi:ldap://127.0.0.1/a}',
  'a number': '1',
  'a number with a plus': '+1',
  'a number in hexadecimal': '0x1',
  'a number in Arabic digits': '\u0661',
  'the name of infinity': 'Infinity',
  'longer than a claim may be': 'x'.repeat(1025),
  'as long as a claim may be, of 3 bytes each': '\uffff'.repeat(1024),
  'a megabyte': 'x'.repeat(1024 * 1024),
  'as many blanks, for patterns that go back': ' '.repeat(64 * 1024),
  'as many nested lists': '['.repeat(64 * 1024),
}

/** Numbers in JSON, as text: `JSON.parse` takes each. */
export const JSON_NUMBERS = [
  ...['0', '-0', '1', '-1', '0.1', '1e3', '1e308', '-1e308', '1e999', '-1e999', '5e-324', '9007199254740993'],
  ...['4294967295', '4294967296', '-2147483649', '1700000000000', '1.7976931348623157e308', '253402300800'],
] as const

/** Values in JSON, as text, where a claim should be. */
export const JSON_VALUES = [
  ...[
    'null',
    'true',
    'false',
    '{}',
    '[]',
    '[[]]',
    '""',
    '" "',
    '"1"',
    '"1e3"',
    '"NaN"',
    '"\\ud800"',
    '"\\u0000"',
  ],
  ...['{"__proto__":{"sub":"alice"}}', '{"toString":1,"valueOf":1}', '["a","b"]', '[null,1,true,{},["a"]]'],
  ...[
    '"ren\\u00e9"',
    '"rene\\u0301"',
    `[${'1,'.repeat(80)}1]`,
    `"${'x'.repeat(1100)}"`,
    `"${'x'.repeat(3000)}"`,
  ],
  ...[`${'['.repeat(900)}${']'.repeat(900)}`, `${'{"a":'.repeat(400)}1${'}'.repeat(400)}`],
  ...JSON_NUMBERS,
] as const

/** Any text, most often a nasty one. */
export function nastyText(lengthMax = 64): fc.Arbitrary<string> {
  const known = Object.values(TEXTS).filter(({ length }) => length <= lengthMax)
  return fc.oneof(
    fc.constantFrom(...known, ...PROTOTYPE_NAMES),
    fc.string({ maxLength: lengthMax, unit: 'binary' }),
    fc.string({ maxLength: lengthMax, unit: 'grapheme-ascii' }),
    fc
      .array(fc.constantFrom(...known.filter(({ length }) => length < 20)), { maxLength: 3 })
      .map((parts) => parts.join('')),
  )
}

/** Changes one text in one place, as an attacker or a bad line would. */
export interface Change {
  readonly kind: 'flip' | 'cut' | 'double' | 'insert' | 'drop' | 'swapCase' | 'replace'
  /** Where, as a part of the length. */
  readonly at: number
  readonly length: number
  readonly with: string
}

export const CHANGE: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'double', 'insert', 'drop', 'swapCase', 'replace'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 8 }),
  with: fc.oneof(
    fc.constantFrom(
      '.',
      '=',
      '-',
      '_',
      '+',
      '/',
      ' ',
      '\n',
      '\u0000',
      'A',
      'Bearer ',
      '%3D',
      ',',
      ';',
      '"',
      '\ud800',
    ),
    fc.string({ maxLength: 4, unit: 'binary' }),
  ),
})

export function changed(text: string, changes: readonly Change[]): string {
  return changes.reduce((now, change) => changedOnce(now, change), text)
}

function changedOnce(text: string, { kind, at, length, with: other }: Change): string {
  const start = Math.min(Math.floor(at * text.length), Math.max(0, text.length - 1))
  const [before, part, after] = [
    text.slice(0, start),
    text.slice(start, start + length),
    text.slice(start + length),
  ]
  switch (kind) {
    case 'flip':
      return (
        before +
        String.fromCharCode((text.charCodeAt(start) || 0) ^ (1 << (length - 1))) +
        text.slice(start + 1)
      )
    case 'cut':
      return before
    case 'double':
      return before + part + part + after
    case 'insert':
      return before + other + part + after
    case 'drop':
      return before + after
    case 'swapCase':
      return before + (part === part.toLowerCase() ? part.toUpperCase() : part.toLowerCase()) + after
    case 'replace':
      return before + other + after
  }
}

/** Changes bytes in a few places. */
export interface ByteChange {
  readonly kind: 'flip' | 'set' | 'cut' | 'double' | 'drop' | 'zero'
  readonly at: number
  readonly bit: number
  readonly length: number
}

export const BYTE_CHANGE: fc.Arbitrary<ByteChange> = fc.record({
  kind: fc.constantFrom('flip', 'set', 'cut', 'double', 'drop', 'zero'),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  bit: fc.integer({ min: 0, max: 255 }),
  length: fc.integer({ min: 1, max: 40 }),
})

export function changedBytes(bytes: Buffer, changes: readonly ByteChange[]): Buffer {
  return changes.reduce((now, change) => changedBytesOnce(now, change), bytes)
}

function changedBytesOnce(bytes: Buffer, { kind, at, bit, length }: ByteChange): Buffer {
  const start = Math.floor(at * bytes.length)
  const copy = Buffer.from(bytes)
  switch (kind) {
    case 'flip':
      if (copy.length > 0) copy[start] = (copy[start] as number) ^ (1 << (bit % 8))
      return copy
    case 'set':
      if (copy.length > 0) copy[start] = bit
      return copy
    case 'cut':
      return copy.subarray(0, start)
    case 'double':
      return Buffer.concat([copy.subarray(0, start + length), copy.subarray(start)])
    case 'drop':
      return Buffer.concat([copy.subarray(0, start), copy.subarray(start + length)])
    case 'zero':
      return copy.fill(0, start, Math.min(start + length, copy.length))
  }
}

/** One bit of these bytes is another. */
export function flipped(bytes: Buffer, offset: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[offset] = (copy[offset] as number) ^ 1
  return copy
}
