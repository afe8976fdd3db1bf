import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { targetDigest } from '../../src/core/digest.js'
import {
  CLAIM_COMBINATIONS_MAX,
  CLAIM_VALUE_LENGTH_MAX,
  digestsOf,
  EVERYTHING,
  isShape,
  isUnnamed,
  nameToken,
  parseTarget,
  TARGET_CLAIMS_MAX,
  TOKEN_DIGEST,
} from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'

const isInvalid = (error: unknown) => hasCode(error, 'ERR_TARGET_INVALID')
const matches = (target: unknown, claims: Record<string, unknown>) => {
  const { shape, digest } = parseTarget(target)
  return digestsOf(shape, { claims }).includes(digest)
}

describe('a shape', () => {
  it('is what a target has: every target is of one, and of none that is sorted otherwise or says a name twice', () => {
    const claims = fc.dictionary(fc.string({ unit: 'binary', maxLength: 12 }), fc.constant('x'), {
      maxKeys: 10,
    })
    fc.assert(
      fc.property(claims, (target) => {
        let shape: readonly string[]
        try {
          shape = parseTarget(target).shape
        } catch {
          return
        }
        expect(isShape(shape)).toBe(true)
        expect(isShape([...shape, shape.at(-1)])).toBe(false)
        if (shape.length > 1) expect(isShape([...shape].reverse())).toBe(false)
      }),
      { numRuns: 2000 },
    )
    expect(isShape(EVERYTHING.shape)).toBe(true)
    expect(isShape([TOKEN_DIGEST])).toBe(true)
    for (const none of [[''], ['#digest'], [TOKEN_DIGEST, 'iss'], [1], 'sub', null, { 0: 'sub', length: 1 }])
      expect(isShape(none), JSON.stringify(none)).toBe(false)
  })
})

describe('a digest', () => {
  it('is what any language computes: SHA-256 over length-prefixed names and values, cut to 128 bits', () => {
    const part = (text: string) => {
      const bytes = Buffer.from(text)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return Buffer.concat([length, bytes])
    }
    const padded = (...parts: Buffer[]) => {
      const bytes = Buffer.concat(parts)
      return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 63)])
    }
    const count = (number: number) => Buffer.from([0, 0, 0, number])
    const header = (...names: string[]) =>
      padded(Buffer.from('rescind/target/2'), count(names.length), ...names.map(part))
    const digestOf = (...parts: Buffer[]) =>
      createHash('sha256').update(Buffer.concat(parts)).digest().subarray(0, 16).toString('base64url')
    expect(parseTarget({ jti: 1, iss: 'https://as.example/ü' }).digest).toBe(
      digestOf(header('iss', 'jti'), padded(part('https://as.example/ü')), part('1')),
    )
    // Fixed for ever: stores that were written before must be found again.
    expect(parseTarget({ sub: 'alice' }).digest).toBe(digestOf(header('sub'), part('alice')))
    expect(parseTarget({ sub: 'alice' }).digest).toBe('vgtvTpoiSvmjXUgU_-epZg')
    expect(EVERYTHING.digest).toBe(digestOf(header()))
    expect(EVERYTHING.digest).toBe('OCUUfeWuCacBQsF2gehUoA')
  })

  it('differs for different targets, however their texts are split', () => {
    const text = fc.string({
      minLength: 1,
      maxLength: 6,
      unit: fc.constantFrom('a', 'b', ':', '\u0000', 'é', '𝒳'),
    })
    const pairs = fc.uniqueArray(fc.tuple(text, text), {
      minLength: 1,
      maxLength: 3,
      selector: ([name]) => name,
    })
    const sorted = pairs.map((list) =>
      list.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    )
    fc.assert(
      fc.property(sorted, sorted, (a, b) => {
        const digest = (list: [string, string][]) =>
          targetDigest(
            list.map(([name]) => name),
            list.map(([, value]) => value),
          )
        expect(digest(a) === digest(b)).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
      { numRuns: 2000 },
    )
  })

  it('has room for the largest target', () => {
    const large = Object.fromEntries(
      Array.from({ length: TARGET_CLAIMS_MAX }, (_, i) => [
        `${i}`.padEnd(128, '\uffff'),
        '\uffff'.repeat(CLAIM_VALUE_LENGTH_MAX),
      ]),
    )
    expect(matches(large, large)).toBe(true)
    expect(
      matches(large, { ...large, ['7'.padEnd(128, '\uffff')]: '\uffff'.repeat(CLAIM_VALUE_LENGTH_MAX - 1) }),
    ).toBe(false)
  })
})

describe('a target matches', () => {
  it.each<[unknown, Record<string, unknown>]>([
    [{ sub: 'alice' }, { sub: 'alice', other: {} }],
    [{ sub: 1 }, { sub: '1' }],
    [{ sub: '1' }, { sub: 1 }],
    [{ n: -0 }, { n: 0 }],
    [{ n: 1.5 }, { n: '1.5' }],
    [{ admin: true }, { admin: 'true' }],
    [{ aud: 'b' }, { aud: ['a', 'b'] }],
    [
      { aud: 'b', sub: 'x' },
      { aud: ['a', 'b'], sub: ['x'] },
    ],
    [
      { sub: 'x', aud: 'b' },
      { aud: ['a', 'b'], sub: ['x'] },
    ],
    [JSON.parse('{"__proto__":"x"}'), JSON.parse('{"__proto__":"x"}') as Record<string, unknown>],
    [Object.assign(Object.create(null), { sub: 'x' }), { sub: 'x' }],
  ])('%j a token with %j', (target, claims) => {
    expect(matches(target, claims)).toBe(true)
  })

  it.each<[unknown, Record<string, unknown>]>([
    [{ sub: 'alice' }, {}],
    [{ sub: 'alice' }, { sub: 'Alice' }],
    [{ sub: 'alice' }, { sub: { alice: 1 } }],
    [{ sub: 'alice' }, { sub: null }],
    [{ sub: 'alice', client_id: 'x' }, { sub: 'alice' }],
    [{ toString: 'x' }, {}],
    [{ sub: 'x' }, Object.create({ sub: 'x' }) as Record<string, unknown>],
    [{ sub: '\ufffd' }, { sub: '\ud800' }],
    [{ sub: 'a' }, { sub: [['a']] }],
    [{ sub: 'Infinity' }, { sub: Infinity }],
    [{ sub: 'null' }, { sub: null }],
    [{ sub: '[object Object]' }, { sub: {} }],
  ])('%j not a token with %j', (target, claims) => {
    expect(matches(target, claims)).toBe(false)
  })

  it('never by a claim that an issuer named like the digest of a token', () => {
    const target = { [TOKEN_DIGEST]: 'A'.repeat(43) }
    expect(matches(target, target)).toBe(false)
    const { shape, digest } = parseTarget(target)
    expect(digestsOf(shape, { claims: {}, tokenDigest: 'A'.repeat(43) })).toEqual([digest])
  })
})

describe('a target is refused with a clear error', () => {
  class Custom {
    sub = 'x'
  }
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'alice'],
    ['a list', [['sub', 'x']]],
    ['a Map', new Map([['sub', 'x']])],
    ['an object of a class', new Custom()],
    ['the empty target', {}],
    ['an undefined value', { sub: undefined }],
    ['a null value', { sub: null }],
    ['an empty text', { sub: '' }],
    ['an empty name', { '': 'x' }],
    ['an object as a value', { sub: { x: 1 } }],
    ['a list as a value', { aud: ['a'] }],
    ['a function', { sub: () => 'x' }],
    ['a bigint', { sub: 1n }],
    ['a symbol', { sub: Symbol('x') }],
    ['a symbol key', { sub: 'x', [Symbol('y')]: 1 }],
    ['NaN', { sub: NaN }],
    ['Infinity', { sub: Infinity }],
    ['a number that has lost digits', { sub: 2 ** 53 }],
    ['a lone surrogate', { sub: 'a\ud800' }],
    ['a lone surrogate in a name', { 'a\udc00': 'x' }],
    ['a long value', { sub: 'x'.repeat(CLAIM_VALUE_LENGTH_MAX + 1) }],
    ['a long name', { ['x'.repeat(129)]: 'x' }],
    [
      'too many claims',
      Object.fromEntries(Array.from({ length: TARGET_CLAIMS_MAX + 1 }, (_, i) => [`c${i}`, 'x'])),
    ],
    ['a reserved name', { '#other': 'x' }],
    ['a digest that is none', { [TOKEN_DIGEST]: 'x' }],
    ['a digest beside claims', { [TOKEN_DIGEST]: 'A'.repeat(43), sub: 'x' }],
  ])('%s', (_, target) => {
    expect(() => parseTarget(target)).toThrow(expect.toSatisfy(isInvalid))
  })

  it('whatever it is: no value makes it crash, and no message repeats a value', () => {
    const canary = 'canary-value'
    const value = fc.oneof(
      fc.anything(),
      fc.constant(canary + '\ud800'),
      fc.constant([canary]),
      fc.constant({ [canary]: canary }),
    )
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.dictionary(fc.string(), value), value), (target) => {
        try {
          parseTarget(target)
        } catch (error) {
          expect(isInvalid(error)).toBe(true)
          expect((error as Error).message).not.toContain(canary + '\ud800')
        }
      }),
      { numRuns: 3000 },
    )
  })
})

describe('claims that cannot be compared in full', () => {
  const shape = ['sub']
  it.each<[string, unknown]>([
    ['too many members', Array.from({ length: CLAIM_COMBINATIONS_MAX + 1 }, (_, i) => i)],
    ['a number that has lost digits', 2 ** 60],
  ])('%s are an error, never "no match"', (_, sub) => {
    expect(() => digestsOf(shape, { claims: { sub } })).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'ERR_CLAIM_INVALID')),
    )
  })

  it('too many combinations are an error too', () => {
    const list = Array.from({ length: 9 }, (_, i) => i)
    expect(() => digestsOf(['a', 'b'], { claims: { a: list, b: list } })).toThrow(/too many members/)
    expect(digestsOf(['a', 'b'], { claims: { a: list.slice(1), b: list.slice(1) } })).toHaveLength(64)
  })
})

describe('a token is named', () => {
  it('by issuer and jti, by jti where it has no issuer, else by the digest of what was signed', () => {
    expect(nameToken({ iss: 'i', jti: 'j' }, 's')).toEqual({ iss: 'i', jti: 'j' })
    expect(nameToken({ jti: 'j' }, 's')).toEqual({ jti: 'j' })
    const digest = { [TOKEN_DIGEST]: createHash('sha256').update('s').digest('base64url') }
    for (const claims of [
      {},
      { iss: 'i' },
      { jti: '' },
      { jti: {} },
      { jti: ['a'] },
      { jti: 'j', iss: {} },
      { jti: '\ud800' },
      { jti: 'x'.repeat(2000) },
      { jti: 2 ** 60 },
    ]) {
      expect(nameToken(claims, 's')).toEqual(digest)
      expect(isUnnamed([[TOKEN_DIGEST]], { claims })).toBe(true)
      expect(isUnnamed([['sub']], { claims })).toBe(false)
      expect(isUnnamed([[TOKEN_DIGEST]], { claims, tokenDigest: 'x' })).toBe(false)
    }
    expect(isUnnamed([[TOKEN_DIGEST]], { claims: { jti: 'j' } })).toBe(false)
  })

  it('so that its own name is always a target that matches it', () => {
    const claims = fc.record({ iss: fc.anything(), jti: fc.anything() }, { requiredKeys: [] })
    fc.assert(
      fc.property(claims, (claims) => {
        const target = nameToken(claims, 'signed')
        const { shape, digest } = parseTarget(target)
        const tokenDigest = target[TOKEN_DIGEST] as string | undefined
        expect(digestsOf(shape, { claims, tokenDigest })).toContain(digest)
      }),
      { numRuns: 2000 },
    )
  })
})
