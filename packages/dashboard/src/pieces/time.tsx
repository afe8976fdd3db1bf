/** Times for people: how long ago, with the exact time to read on demand. */

const UNITS = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

export function exactTime(seconds: number): string {
  return exact.format(seconds * 1000)
}

export function relativeTime(seconds: number, nowMs = Date.now()): string {
  const difference = Math.round(seconds - nowMs / 1000)
  const size = Math.abs(difference)
  const [unit, length] = UNITS.find(([, unitLength]) => size >= unitLength) ?? (['second', 1] as const)
  return relative.format(Math.trunc(difference / length), unit)
}

export function duration(ms: number): string {
  if (ms < 1) return '< 1 ms'
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
  return `${Math.round(ms / 60_000)} min`
}

interface TimeProps {
  /** Since 1970. */
  readonly seconds: number
  readonly isExact?: boolean
}

export function Time({ seconds, isExact = false }: TimeProps) {
  const [shown, other] = isExact
    ? [exactTime(seconds), relativeTime(seconds)]
    : [relativeTime(seconds), exactTime(seconds)]
  return (
    <time dateTime={new Date(seconds * 1000).toISOString()} title={other} class="nowrap">
      {shown}
    </time>
  )
}
