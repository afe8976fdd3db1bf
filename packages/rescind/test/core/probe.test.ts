import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestFromBytes } from '../../src/core/digest.js'
import { DIGEST_WORDS, KnownDigests, ProbeSet } from '../../src/core/probe.js'
import {
  type Claims,
  digestsOf,
  parseTarget,
  type Shape,
  type Subject,
  TOKEN_DIGEST,
} from '../../src/core/target.js'

/** The digests that a set leaves in its words. */
function written(set: ProbeSet, subject: Subject): string[] {
  const count = set.write(subject)
  const bytes = Buffer.from(set.words.slice(0, count).buffer)
  return Array.from({ length: count / DIGEST_WORDS }, (_, i) => digestFromBytes(bytes, i * 4 * DIGEST_WORDS))
}

/** All the words that are kept with a subject. */
function remembered({ knownCount, known0, known1, known2, known3, knownRest }: KnownDigests): number[] {
  return [known0, known1, known2, known3, ...(knownRest ?? [])].slice(0, knownCount)
}

class Known extends KnownDigests implements Subject {
  constructor(
    readonly claims: Claims,
    readonly tokenDigest?: string,
  ) {
    super()
  }
}

const TOKEN = 'A'.repeat(43)
const SHAPES: readonly Shape[] = [
  ['iss', 'jti'],
  ['sub'],
  ['client_id', 'sub'],
  [TOKEN_DIGEST],
  ['groups'],
  [],
]
const value = fc.oneof(
  fc.constantFrom('a', 'b', '', '\ud800', 7, -0, true, null),
  fc.array(fc.constantFrom('a', 'b', 'c', 1, {}), { maxLength: 4 }),
)
const claims = fc.dictionary(fc.constantFrom('iss', 'jti', 'sub', 'client_id', 'groups', 'x'), value)

describe('ProbeSet', () => {
  it('writes the digests of every target that a subject matches, shape by shape, and nothing else', () => {
    const tokens = fc.option(fc.constant(TOKEN), { nil: undefined })
    fc.assert(
      fc.property(fc.shuffledSubarray([...SHAPES]), claims, tokens, (shapes, claims, tokenDigest) => {
        const subject = { claims, tokenDigest }
        expect(written(new ProbeSet(shapes), subject)).toEqual(
          shapes.flatMap((shape) => digestsOf(shape, subject)),
        )
      }),
    )
  })

  it('keeps with a subject what it writes, for none, one and many', () => {
    for (const claims of [{}, { sub: 'a' }, { sub: ['a', 'b', 'c'], groups: ['x', 'y'] }]) {
      const set = new ProbeSet([['sub'], ['groups']])
      const subject = new Known(claims)
      set.remember(subject)
      expect(subject.knownBy).toBe(set)
      expect(remembered(subject)).toEqual([...set.words.slice(0, set.write(subject))])
      // The words of another subject in their place change nothing.
      const before = remembered(subject)
      set.write({ claims: { sub: ['q', 'r', 's'], groups: 'z' } })
      expect(remembered(subject)).toEqual(before)
    }
  })

  it('names the target of each digest', () => {
    const set = new ProbeSet(SHAPES)
    fc.assert(
      fc.property(claims, (claims) => {
        const subject = { claims, tokenDigest: TOKEN }
        const digests = written(set, subject)
        const targets = digests.map((_, place) => set.targetAt(subject, place))
        for (const [i, target] of targets.entries()) {
          if (Object.keys(target ?? {}).length > 0) expect(parseTarget(target).digest).toBe(digests[i])
          else expect(target).toEqual({})
        }
        expect(set.targetAt(subject, digests.length)).toBeUndefined()
      }),
    )
  })

  it('tells whether a token may be revoked by its own digest', () => {
    expect(new ProbeSet(SHAPES).usesTokenDigest).toBe(true)
    expect(new ProbeSet([['sub']]).usesTokenDigest).toBe(false)
    expect(new ProbeSet([]).usesTokenDigest).toBe(false)
  })

  it('does not pass over a claim that cannot be compared in full', () => {
    const set = new ProbeSet([['sub'], ['groups']])
    for (const claims of [{ sub: 2 ** 60 }, { groups: Array.from({ length: 65 }, (_, i) => `g${i}`) }])
      expect(() => set.write({ claims })).toThrow(expect.objectContaining({ code: 'ERR_CLAIM_INVALID' }))
  })

  it('has room for the most digests that there can be', () => {
    const members = Array.from({ length: 64 }, (_, i) => `m${i}`)
    const shapes = Array.from({ length: 64 }, (_, i) => [`claim-${i}`])
    const subject = { claims: Object.fromEntries(shapes.map(([name]) => [name, members])) }
    const digests = written(new ProbeSet(shapes), subject)
    expect(new Set(digests).size).toBe(64 * 64)
    expect(digests.at(-1)).toBe(parseTarget({ 'claim-63': 'm63' }).digest)
  })
})
