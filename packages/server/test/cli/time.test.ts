import { describe, expect, it } from 'vitest'
import { isoOf, parseDuration, parseTime, relativeTo } from '../../src/cli/time.js'

const NOW = Date.UTC(2026, 0, 31, 12) / 1000

describe('a duration', () => {
  it('is a number with its unit, or several', () => {
    expect(parseDuration('--lifetime', '90s')).toBe(90)
    expect(parseDuration('--lifetime', '1h30m')).toBe(5400)
    expect(parseDuration('--lifetime', '2w')).toBe(1_209_600)
  })

  it.each(['', '5', 'm', '-5m', '1.5h', '1h 30m', '0s', '99999w', '1y'])('is not "%s"', (text) => {
    expect(() => parseDuration('--lifetime', text)).toThrow('--lifetime takes a duration')
  })
})

describe('a time', () => {
  it('is ISO 8601 with its zone, a date, seconds, now, or how long ago', () => {
    expect(parseTime('--since', '2026-01-31T12:00:00Z', 0)).toBe(NOW)
    expect(parseTime('--since', '2026-01-31 13:00+01:00', 0)).toBe(NOW)
    expect(parseTime('--since', '2026-01-31', 0)).toBe(NOW - 43_200)
    expect(parseTime('--since', String(NOW), 0)).toBe(NOW)
    expect(parseTime('--since', 'now', NOW + 0.7)).toBe(NOW)
    expect(parseTime('--since', '-2h', NOW)).toBe(NOW - 7200)
  })

  it.each([
    '',
    'yesterday',
    '2026-13-01',
    '2026-02-31',
    '2027-02-29T12:00:00+01:00',
    '2026-01-31T12:00:00',
    '1.5',
    '2026'.repeat(4),
    '31.1.2026',
  ])('is not "%s"', (text) => {
    expect(() => parseTime('--since', text, NOW)).toThrow('--since takes a time')
  })

  it('is told in both ways', () => {
    expect(isoOf(NOW)).toBe('2026-01-31T12:00:00Z')
    expect(relativeTo(NOW + 90, NOW)).toBe('in 90 s')
    expect(relativeTo(NOW - 5400, NOW)).toBe('90 min ago')
    expect(relativeTo(NOW + 86_400 * 3, NOW)).toBe('in 3 days')
    expect(relativeTo(NOW, NOW)).toBe('now')
  })
})
