import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DIGEST_WORDS, TargetHasher } from '../../src/core/target-hash.js'

const uint32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value])
const counted = (text: string) => Buffer.concat([uint32(Buffer.byteLength(text)), Buffer.from(text)])
const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((64 - (bytes.length % 64)) % 64)])

/** The definition, word for word. */
function messageOf(names: readonly string[], values: readonly string[]): Buffer {
  const header = [Buffer.from('rescind/target/2'), uint32(names.length), ...names.map(counted)]
  return Buffer.concat([
    padded(Buffer.concat(header)),
    ...values.slice(0, -1).map((value) => padded(counted(value))),
    ...values.slice(-1).map(counted),
  ])
}
function digestOf(names: readonly string[], values: readonly string[]): string {
  return createHash('sha256').update(messageOf(names, values)).digest().subarray(0, 16).toString('base64url')
}

function digestBy(hasher: TargetHasher, values: readonly string[]): string {
  const out = new Int32Array(DIGEST_WORDS + 3).fill(7)
  hasher.digestInto(values, out, 2)
  expect([out[0], out[1], out[6]]).toEqual([7, 7, 7])
  const bytes = Buffer.alloc(16)
  for (let i = 0; i < DIGEST_WORDS; i++) bytes.writeInt32LE(out[2 + i] as number, 4 * i)
  return bytes.toString('base64url')
}
const digest = (names: readonly string[], values: readonly string[]) =>
  digestBy(new TargetHasher(names), values)

/** Short and long texts, mostly ASCII, with every length of a character in UTF-8. */
const text = (maxLength: number) =>
  fc.oneof(
    fc.string({ minLength: 1, maxLength: Math.min(maxLength, 70) }),
    fc.string({ minLength: 1, maxLength, size: 'max' }),
    fc.string({
      minLength: 1,
      maxLength: Math.floor(maxLength / 2),
      size: 'max',
      unit: fc.constantFrom(
        'a',
        '\u0000',
        '\u007f',
        '\u0080',
        'ÿ',
        'Ā',
        '߿',
        'ࠀ',
        '\uffff',
        '𝒳',
        '\u{10ffff}',
      ),
    }),
  )
const names = fc
  .uniqueArray(text(128), { maxLength: 8 })
  .map((list) => list.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))

describe('the digest of a target, version 2', () => {
  it('is fixed for ever: stores that were written before must be found again', () => {
    // From an implementation in Python (hashlib).
    expect(digest([], [])).toBe('OCUUfeWuCacBQsF2gehUoA')
    expect(digest(['sub'], ['alice'])).toBe('vgtvTpoiSvmjXUgU_-epZg')
    expect(digest(['iss', 'jti'], ['https://as.example/ü', '1'])).toBe('UF8kw_Oj5W_hYPzB6XYj2Q')
  })

  it('is what any SHA-256 makes of the documented bytes, for ASCII values of every length', () => {
    const one = new TargetHasher(['jti'])
    const two = new TargetHasher(['iss', 'jti'])
    for (let length = 0; length <= 1024; length += length < 270 ? 1 : 13) {
      const value = 'x'.repeat(length)
      expect(digestBy(one, [value]), `${length}`).toBe(digestOf(['jti'], [value]))
      expect(digestBy(two, [value, 'a']), `${length}`).toBe(digestOf(['iss', 'jti'], [value, 'a']))
      expect(digestBy(two, ['b', value]), `${length}`).toBe(digestOf(['iss', 'jti'], ['b', value]))
    }
  })

  it('is the same for values that are not ASCII, of every length and wherever the character stands', () => {
    const hasher = new TargetHasher(['iss', 'jti'])
    for (const character of ['\u0080', 'ÿ', 'ก', '𝒳']) {
      for (let length = 0; length <= 140; length++) {
        for (const value of [character + 'x'.repeat(length), 'x'.repeat(length) + character]) {
          for (const values of [
            [value, 'a'],
            ['b', value],
          ]) {
            expect(digestBy(hasher, values)).toBe(digestOf(['iss', 'jti'], values))
          }
        }
      }
    }
    const longest = ['\uffff'.repeat(1024), '\uffff'.repeat(1024)]
    expect(digestBy(hasher, longest)).toBe(digestOf(['iss', 'jti'], longest))
  })

  it('takes headers of every length', () => {
    for (let length = 1; length <= 128; length++) {
      const name = ['n'.repeat(length)]
      expect(digest(name, ['v']), `${length}`).toBe(digestOf(name, ['v']))
    }
    const long = Array.from({ length: 8 }, (_, i) => `${i}`.padEnd(128, '\uffff'))
    expect(digest(long, long)).toBe(digestOf(long, long))
  })

  it('agrees with node:crypto for any names and values, in any order that makes use of what was kept', () => {
    const claims = names.chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        // Few values a claim, so that they come again; now and then one of the others.
        pools: fc.tuple(
          ...shape.map(() => fc.array(text(1024), { minLength: 1, maxLength: 3, size: 'max' })),
        ),
        picks: fc.array(fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }), {
          minLength: 1,
          maxLength: 12,
        }),
      }),
    )
    fc.assert(
      fc.property(claims, ({ shape, pools, picks }) => {
        const hasher = new TargetHasher(shape)
        for (const pick of picks) {
          const values = pools.map((pool, i) => pool[(pick[i] as number) % pool.length] as string)
          expect(digestBy(hasher, values)).toBe(digestOf(shape, values))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('goes on right after a value that was refused', () => {
    const shape = ['a', 'b', 'c', 'd']
    const hasher = new TargetHasher(shape)
    const tooLong = 'ü'.repeat(1025)
    expect(digestBy(hasher, ['1', '2', '3', '4'])).toBe(digestOf(shape, ['1', '2', '3', '4']))
    expect(() => digestBy(hasher, ['x', tooLong, '3', '4'])).toThrow(RangeError)
    for (const values of [
      ['x', '2', '3', '4'],
      ['1', '2', '3', '4'],
      ['x', '2', '3', '5'],
    ]) {
      expect(digestBy(hasher, values)).toBe(digestOf(shape, values))
    }
    expect(() => digestBy(hasher, ['1', '2', '3', tooLong])).toThrow(RangeError)
    expect(digestBy(hasher, ['1', '2', '3', '4'])).toBe(digestOf(shape, ['1', '2', '3', '4']))
  })

  it('is refused for more or fewer values than claims', () => {
    expect(() => digest(['a', 'b'], ['1'])).toThrow(RangeError)
    expect(() => digest(['a'], ['1', '2'])).toThrow(RangeError)
    expect(() => digest([], ['1'])).toThrow(RangeError)
  })

  it('does not mix up hashers that are used in turns', () => {
    const [a, b] = [new TargetHasher(['iss', 'jti']), new TargetHasher(['iss', 'sub'])]
    for (const value of ['1', '2', 'ü', '3'.repeat(100)]) {
      expect(digestBy(a, ['i', value])).toBe(digestOf(['iss', 'jti'], ['i', value]))
      expect(digestBy(b, ['i', value])).toBe(digestOf(['iss', 'sub'], ['i', value]))
    }
  })

  it('differs however the texts are split over names and values', () => {
    const targets: [string[], string[]][] = [
      [[], []],
      [['a'], ['b:c']],
      [['a:b'], ['c']],
      [['a'], ['b']],
      [['a'], ['b\u0000']],
      [['a\u0000'], ['b']],
      [['a'], ['\u0000']],
      [['a'], ['\u0000\u0000']],
      [['a'], ['']],
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
      [
        ['a', 'b'],
        ['d', 'c'],
      ],
      [
        ['a', 'b'],
        ['c\u0000', 'd'],
      ],
      [
        ['a', 'b'],
        ['', ''],
      ],
      // A value that looks like the zeros and the value behind it.
      [['a'], [padded(counted('c')).toString('latin1') + counted('d').toString('latin1')]],
      [['a\u0000\u0000\u0000\u0001b'], ['d']],
    ]
    expect(new Set(targets.map(([shape, values]) => digest(shape, values))).size).toBe(targets.length)
  })

  it('can be read back: no two targets share a message', () => {
    fc.assert(
      fc.property(
        names.chain((shape) => fc.tuple(fc.constant(shape), fc.tuple(...shape.map(() => text(80))))),
        ([shape, values]) => {
          expect(readBack(messageOf(shape, values))).toEqual([shape, values])
        },
      ),
    )
  })
})

/** Names and values from the message alone: that this is possible at all is what keeps targets apart. */
function readBack(message: Buffer): [string[], string[]] {
  let at = 16
  const count = message.readUInt32BE(at)
  at += 4
  const next = () => {
    const end = at + 4 + message.readUInt32BE(at)
    const read = message.toString('utf8', at + 4, end)
    at = end
    return read
  }
  const skip = () => (at = Math.ceil(at / 64) * 64)
  const shape = Array.from({ length: count }, next)
  skip()
  const values = shape.map((_, i) => {
    const value = next()
    if (i < count - 1) skip()
    return value
  })
  expect(at).toBe(message.length)
  return [shape, values]
}
