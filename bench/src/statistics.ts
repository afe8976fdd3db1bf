/** The few statistics that the reports are made of. Pure. */

/** The middle value; of an even number of values, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of no values')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** The value that so many of them (0 to 1) do not exceed, by the nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('a quantile of no values')
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number
}

/** How ours stands against a peer, written so that larger is better for us: 2 means twice as good. */
export function ratio(peer: number, ours: number, better: 'lower' | 'higher'): number {
  return better === 'lower' ? peer / ours : ours / peer
}

/** The list, begun at another place each round, so that no system always runs first or after the same one. */
export function rotated<T>(list: readonly T[], by: number): T[] {
  if (list.length === 0) return []
  const start = by % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}

/** Four significant digits: more would be noise. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
