/** Times and durations, as people write and read them. Seconds since 1970 within. */
import { RescindError } from 'rescind'

const UNITS: readonly (readonly [unit: string, seconds: number])[] = [
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
]
const DURATION = /^(\d{1,9}[wdhms])+$/
const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?$/
/** 10 years. */
export const DURATION_MAX_SECONDS = 315_360_000

/** `90s`, `30m`, `12h`, `7d`, `1h30m`. Throws `ERR_OPTION_INVALID`, naming the flag. */
export function parseDuration(flag: string, text: string, maxSeconds = DURATION_MAX_SECONDS): number {
  let seconds = 0
  if (DURATION.test(text)) {
    for (const [, count, unit] of text.matchAll(/(\d+)([wdhms])/g))
      seconds += Number(count) * (UNITS.find(([name]) => name === unit)?.[1] ?? 0)
  }
  if (seconds < 1 || seconds > maxSeconds)
    throw new RescindError(
      'ERR_OPTION_INVALID',
      `${flag} takes a duration such as 90s, 30m, 12h, 7d or 1h30m, of at most ` +
        (maxSeconds === DURATION_MAX_SECONDS ? 'ten years' : `${maxSeconds}s`),
    )
  return seconds
}

/** `now`, ISO 8601 with its zone, a date (UTC), seconds since 1970, or how long ago: `-2h`. */
export function parseTime(flag: string, text: string, nowSeconds: number): number {
  if (text === 'now') return Math.floor(nowSeconds)
  if (text.startsWith('-')) return Math.floor(nowSeconds) - parseDuration(flag, text.slice(1))
  if (/^\d{1,11}$/.test(text)) return Number(text)
  const ms = ISO.test(text) && isOnCalendar(text) ? Date.parse(text.replace(' ', 'T')) : NaN
  if (!Number.isNaN(ms)) return ms / 1000
  throw new RescindError(
    'ERR_OPTION_INVALID',
    `${flag} takes a time such as 2026-01-31T12:00:00Z, 2026-01-31, now, -2h (two hours ago) or seconds since 1970`,
  )
}

/** `Date.parse` takes the 31st of February for the 3rd of March. */
function isOnCalendar(iso: string): boolean {
  const date = iso.slice(0, 10)
  const ms = Date.parse(date)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date)
}

export function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, 'Z')
}

/** `in 29 min`, `3 h ago`, `now`. */
export function relativeTo(seconds: number, nowSeconds: number): string {
  const difference = Math.round(seconds - nowSeconds)
  if (difference === 0) return 'now'
  const span = spanOf(Math.abs(difference))
  return difference > 0 ? `in ${span}` : `${span} ago`
}

/** ISO and relative: `2026-01-31T12:00:00Z (in 29 min)`. */
export function timeOf(seconds: number, nowSeconds: number): string {
  return `${isoOf(seconds)} (${relativeTo(seconds, nowSeconds)})`
}

function spanOf(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} days`
}
