import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  advance,
  BEGINNING,
  GENERATION_MAX,
  type Mark,
  packMark,
  parseMark,
  usageOf,
} from '../../src/core/mark.js'
import { TIME_MAX } from '../../src/core/revocation.js'

const GRACE = 10
const mark = (generation: number, token = 'A', usedAt = 1000): Mark => {
  return { generation, token: token.repeat(22), usedAt }
}
/** What a family that stands at `held` says of the token that is presented with `wanted`. */
const use = (held: Mark | undefined, wanted: Mark, grace = GRACE) =>
  usageOf(advance(held, wanted), wanted, grace)

describe('the use of a refresh token', () => {
  it.each<[string, Mark | undefined, Mark, string]>([
    ['of the next generation', mark(1), mark(2), 'first'],
    ['of the first generation', mark(BEGINNING), mark(1), 'first'],
    ['of a generation much later: a failover rolled the mark back', mark(1), mark(9), 'first'],
    ['that was just used', mark(2), mark(2, 'A', 1009), 'again'],
    ['that was just used, by a clock that is behind', mark(2), mark(2, 'A', 991), 'again'],
    ['that was used so long ago as the grace', mark(2), mark(2, 'A', 1010), 'used'],
    ['that was used long ago, by a clock that is behind', mark(2), mark(2, 'A', 990), 'used'],
    ['of the same generation, but another', mark(2), mark(2, 'B', 1001), 'used'],
    ['of the generation before', mark(2), mark(1, 'A', 1001), 'used'],
    ['of a family that nobody knows', undefined, mark(3), 'forgotten'],
    ['of no generation, of a family that nobody knows: it begins', undefined, mark(BEGINNING), 'first'],
  ])('%s', (_, held, wanted, usage) => {
    expect(use(held, wanted)).toBe(usage)
  })

  it('without a grace no token is used again', () => {
    expect(use(mark(2), mark(2), 0)).toBe('used')
  })

  it('is first once at the most, in whatever order tokens come and however often', () => {
    const wanted = fc.record({
      generation: fc.integer({ min: 1, max: 6 }),
      token: fc.constantFrom('A', 'B').map((letter) => letter.repeat(22)),
      usedAt: fc.integer({ min: 1000, max: 1100 }),
    })
    fc.assert(
      fc.property(fc.array(wanted, { maxLength: 40 }), (uses) => {
        let held: Mark | undefined = mark(BEGINNING)
        const first: number[] = []
        for (const wanted of uses) {
          const advanced = advance(held, wanted)
          if (usageOf(advanced, wanted, GRACE) === 'first') first.push(wanted.generation)
          held = advanced.mark
        }
        // Each generation once, and none after a later one.
        expect(first).toEqual([...new Set(first)].sort((a, b) => a - b))
      }),
    )
  })
})

describe('a packed mark', () => {
  it('is read as it was, and any other text is none', () => {
    const digest = fc.stringMatching(/^[A-Za-z0-9_-]{22}$/)
    const any = fc.record({ generation: fc.nat(GENERATION_MAX), token: digest, usedAt: fc.nat(TIME_MAX) })
    fc.assert(
      fc.property(any, (mark) => {
        expect(parseMark(packMark(mark))).toEqual(mark)
      }),
    )
    const token = 'A'.repeat(22)
    for (const text of [
      ...[
        '',
        '1',
        `2 1 1 ${token}`,
        `1 1 1 ${token}A`,
        `1 1 1 ${token}\n`,
        ` 1 1 1 ${token}`,
        `1 -1 1 ${token}`,
      ],
      ...[`1 ${GENERATION_MAX + 1} 1 ${token}`, `1 1 ${TIME_MAX + 1} ${token}`, `1 1e3 1 ${token}`],
    ])
      expect(parseMark(text)).toBeUndefined()
  })
})
