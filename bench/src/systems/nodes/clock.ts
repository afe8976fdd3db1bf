/** The one monotonic clock that all processes of a Linux machine share, in milliseconds. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1_000_000
}
