import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BUCKET_ENTRIES_MAX, ENTRY_BYTES, TokenCache } from '../../src/token/cache.js'

const NOW = 1_700_000_000
const LATER = NOW + 1000

/** A text of its own in memory, as the HTTP parser makes one for each request. */
const fresh = (text: string) => Buffer.from(text).toString('utf8')
/** Looks like a token: the number in its middle and, scrambled, in its end. */
const tokenOf = (i: number) =>
  `Bearer eyJhbGciOiJFUzI1NiJ9.${String(i).padStart(60, 'p')}.${String(Math.imul(i, 0x9e3779b1) >>> 0).padStart(86, 's')}`

type Step =
  | { type: 'set'; text: string; life: number }
  | { type: 'get'; text: string }
  | { type: 'wait'; seconds: number }
  | { type: 'clear' }

/** Few texts, among them many that agree in length and end, or are not ASCII, or short. */
const text = fc.oneof(
  fc.nat(6).map(tokenOf),
  fc.nat(12).map((i) => `Bearer ${String(i).padStart(3, '0')}${'t'.repeat(60)}`),
  fc.constantFrom('', 'a', 'b', 'ab', 'ba', 'é', 'é'.repeat(30), '€'.repeat(30), '€'.repeat(29) + '\ud800'),
  fc.nat(5).map((i) => String(i).repeat(i)),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({
      type: fc.constant('set' as const),
      text,
      life: fc.constantFrom(-5, 0, 0.5, 1, 10, 100, 1000, 1000, 1000, Infinity, NaN),
    }),
  },
  { weight: 60, arbitrary: fc.record({ type: fc.constant('get' as const), text }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('wait' as const), seconds: fc.constantFrom(0.25, 1, 20) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('clear' as const) }) },
)
const options = fc.record({
  entriesMax: fc.constantFrom(0, 1, 2, 3, 7, 64, 10_000),
  bytesMax: fc.constantFrom(0, ENTRY_BYTES, ENTRY_BYTES + 200, 5 * ENTRY_BYTES, 16 * 1024 * 1024),
})

describe('a token cache', () => {
  it('gives what a Map would or nothing, never past its end, and stays in its bounds', () => {
    let hits = 0
    fc.assert(
      fc.property(
        options,
        fc.array(step, { minLength: 60, maxLength: 120 }),
        ({ entriesMax, bytesMax }, steps) => {
          const cache = new TokenCache<object>({ entriesMax, bytesMax })
          const model = new Map<string, { value: object; expiresAt: number }>()
          let now = NOW
          for (const it of steps) {
            if (it.type === 'wait') now += it.seconds
            else if (it.type === 'clear') {
              cache.clear()
              model.clear()
              expect([cache.size, cache.bytes]).toEqual([0, 0])
            } else if (it.type === 'set') {
              const value = {}
              cache.set(fresh(it.text), value, now + it.life)
              model.set(it.text, { value, expiresAt: now + it.life })
              const fits = entriesMax > 0 && ENTRY_BYTES + it.text.length <= bytesMax
              // What was set last is there, however little room there is.
              expect(cache.get(fresh(it.text), now)).toBe(fits && it.life > 0 ? value : undefined)
            } else {
              const found = cache.get(fresh(it.text), now)
              const known = model.get(it.text)
              if (found === undefined) continue
              hits++
              expect(found).toBe(known?.value)
              expect(now).toBeLessThan(known?.expiresAt as number)
            }
            expect(cache.size).toBeLessThanOrEqual(entriesMax)
            expect(cache.bytes).toBeLessThanOrEqual(bytesMax)
            expect(cache.bytes).toBeGreaterThanOrEqual(cache.size * ENTRY_BYTES)
          }
        },
      ),
      { numRuns: 300 },
    )
    expect(hits).toBeGreaterThan(300)
  })

  it('forgets nothing while there is room', () => {
    const cache = new TokenCache<{ i: number }>()
    const count = 5000
    for (let i = 0; i < count; i++) cache.set(tokenOf(i), { i }, LATER)
    expect(cache.size).toBe(count)
    for (let i = 0; i < count; i++) expect(cache.get(fresh(tokenOf(i)), NOW)?.i).toBe(i)
    expect(cache.get(tokenOf(count), NOW)).toBeUndefined()
  })

  it('still finds what it holds after many times its size was set', () => {
    const cache = new TokenCache<{ i: number }>({ entriesMax: 500 })
    for (let i = 0; i < 20_000; i++) {
      cache.set(tokenOf(i), { i }, LATER)
      if (i % 7 === 0) expect(cache.get(fresh(tokenOf(i - (i % 100))), NOW)?.i).toBe(i - (i % 100))
    }
    expect(cache.size).toBe(500)
    let found = 0
    for (let i = 0; i < 20_000; i++) if (cache.get(tokenOf(i), NOW)?.i === i) found++
    expect(found).toBe(500)
  })

  it('ends an entry in the second of its end and lets it go', () => {
    const cache = new TokenCache<object>()
    const value = {}
    cache.set('token', value, NOW + 10)
    expect(cache.get('token', NOW + 9.999)).toBe(value)
    expect(cache.get('token', NOW + 10)).toBeUndefined()
    expect([cache.size, cache.bytes]).toEqual([0, 0])
    expect(cache.get('token', NOW)).toBeUndefined()
  })

  it('takes the newer value and end of a text', () => {
    const cache = new TokenCache<object>()
    const [older, newer] = [{}, {}]
    cache.set('token', older, NOW + 1000)
    cache.set(fresh('token'), newer, NOW + 10)
    expect(cache.size).toBe(1)
    expect(cache.get('token', NOW)).toBe(newer)
    expect(cache.get('token', NOW + 500)).toBeUndefined()
  })

  it('does not take a text for one that differs in a single character, wherever it stands', () => {
    const cache = new TokenCache<object>()
    const token = tokenOf(1)
    cache.set(token, {}, LATER)
    for (let at = 0; at < token.length; at++) {
      const other = `${token.slice(0, at)}~${token.slice(at + 1)}`
      expect(cache.get(other, NOW)).toBeUndefined()
    }
    expect(cache.get(token.slice(1), NOW)).toBeUndefined()
    expect(cache.get(`${token}=`, NOW)).toBeUndefined()
  })

  it('compares few texts however many agree in length, end and every sample, and keeps others', () => {
    const cache = new TokenCache<object>()
    const others = [tokenOf(1), tokenOf(2), tokenOf(3)]
    for (const token of others) cache.set(token, {}, LATER)
    // The spellings of `Bearer` differ where no sample is taken.
    const spellings = Array.from({ length: 64 }, (_, bits) =>
      [...'bearer'].map((c, i) => ((bits >> i) & 1 ? c.toUpperCase() : c)).join(''),
    )
    for (const spelling of spellings) {
      cache.set(`${spelling} ${'t'.repeat(300)}`, { spelling }, LATER)
      expect(cache.get(`${spelling} ${'t'.repeat(300)}`, NOW)).toEqual({ spelling })
    }
    // Only what stands in the one bucket is compared: no more than it may hold are left.
    const kept = others.filter((token) => cache.get(token, NOW) !== undefined).length
    expect(cache.size - kept).toBe(BUCKET_ENTRIES_MAX)
    // One in sixteen thousand times the secret puts another into that bucket.
    expect(kept).toBeGreaterThanOrEqual(others.length - 1)
  })

  it('spreads tokens that agree in their ends or in their beginnings', () => {
    const random = (i: number) => createHash('sha512').update(String(i)).digest('base64url')
    const kinds = [
      (i: number) => `Bearer ${random(i)}${'A'.repeat(12)}`,
      (i: number) => `Bearer ${'A'.repeat(200)}${random(i)}`,
    ]
    for (const kind of kinds) {
      const cache = new TokenCache<object>()
      for (let i = 0; i < 5000; i++) cache.set(kind(i), {}, LATER)
      expect(cache.size).toBe(5000)
    }
  })

  it('keeps tokens in use through a flood of tokens that are used once', () => {
    const entriesMax = 1000
    const cache = new TokenCache<object>({ entriesMax })
    const hot = Array.from({ length: 300 }, (_, i) => tokenOf(i))
    for (const token of hot) cache.set(token, {}, LATER)
    for (let round = 0; round < 3; round++) for (const token of hot) cache.get(token, NOW)
    const held = () => hot.filter((token) => cache.get(token, NOW) !== undefined).length

    // Twice as many as fit, and nobody asks for the hot ones meanwhile.
    for (let i = 0; i < 2 * entriesMax; i++) cache.set(tokenOf(1000 + i), {}, LATER)
    expect(held()).toBeGreaterThanOrEqual(hot.length - 2)
    // Fifty times as many, and each hot one is asked for now and then.
    let misses = 0
    for (let i = 0; i < 50 * entriesMax; i++) {
      cache.set(tokenOf(10_000 + i), {}, LATER)
      if (i % 2 === 1) continue
      const token = hot[(i / 2) % hot.length] as string
      if (cache.get(token, NOW) !== undefined) continue
      misses++
      cache.set(token, {}, LATER)
    }
    expect(misses).toBeLessThan(10)
    expect(held()).toBeGreaterThanOrEqual(hot.length - 2)
    // And then others are in use: those of before give way.
    const others = Array.from({ length: 900 }, (_, i) => tokenOf(1_000_000 + i))
    for (let round = 0; round < 8; round++) {
      for (const token of others) if (cache.get(token, NOW) === undefined) cache.set(token, {}, LATER)
    }
    expect(others.filter((token) => cache.get(token, NOW) !== undefined).length).toBeGreaterThan(890)
  })

  it('makes room for a large token by letting several small ones go, and refuses one past its bound', () => {
    const cache = new TokenCache<object>({ bytesMax: 10 * (ENTRY_BYTES + 200) })
    for (let i = 0; i < 30; i++) cache.set(tokenOf(i).padEnd(200, 'x'), {}, LATER)
    expect(cache.size).toBe(10)
    const large = 'l'.repeat(8000)
    cache.set(large, {}, LATER)
    expect(cache.get(large, NOW)).toBeDefined()
    expect(cache.size).toBeLessThan(5)
    const before = cache.size
    cache.set('h'.repeat(20_000), {}, LATER)
    expect(cache.get('h'.repeat(20_000), NOW)).toBeUndefined()
    expect(cache.size).toBe(before)
  })

  it('finds a text that was cut out of another or put together', () => {
    const cache = new TokenCache<object>()
    const header = `Authorization: ${tokenOf(1)} and more`
    const cut = header.slice(15, 15 + tokenOf(1).length)
    cache.set(cut, {}, LATER)
    const [half, rest] = [tokenOf(1).slice(0, 50), tokenOf(1).slice(50)]
    expect(cache.get(half + rest, NOW)).toBeDefined()
    expect(cache.get(tokenOf(1), NOW)).toBeDefined()
  })
})
