/** Counts what stands, by walking the list of any backend within a bound. */
import type { Backend } from './backend/backend.js'
import { pagesOf } from './pages.js'
import { printable } from './output.js'

export interface Counted {
  /** Revocations that stand. */
  readonly standing: number
  /** There were more than were counted. */
  readonly isCut: boolean
  /** By the names of their claims: `sub`, `iss+jti`, `everything`. */
  readonly byClaims: Readonly<Record<string, number>>
  readonly revokedLastHour: number
  readonly revokedLastDay: number
  readonly endingNextHour: number
}

const COUNTED_MAX = 1_000_000
/** Different sets of names that are told apart; a store has at most 32 in use at once. */
const NAMES_MAX = 1000
const HOUR_SECONDS = 3600
const DAY_SECONDS = 86_400

/** `now`: seconds since 1970. */
export async function countRevocations(backend: Backend, now: number): Promise<Counted> {
  const byClaims = new Map<string, number>()
  let [standing, revokedLastHour, revokedLastDay, endingNextHour] = [0, 0, 0, 0]
  let isCut = false
  for await (const { revocations, cursor } of pagesOf(backend, {})) {
    for (const { target, revokedAt, expiresAt } of revocations) {
      const names = Object.keys(target).map(printable).sort().join('+') || 'everything'
      if (byClaims.has(names) || byClaims.size < NAMES_MAX)
        byClaims.set(names, (byClaims.get(names) ?? 0) + 1)
      standing++
      if (revokedAt > now - HOUR_SECONDS) revokedLastHour++
      if (revokedAt > now - DAY_SECONDS) revokedLastDay++
      if (expiresAt <= now + HOUR_SECONDS) endingNextHour++
    }
    isCut = cursor !== undefined && standing >= COUNTED_MAX
    if (isCut) break
  }
  const counted = [...byClaims].sort(([, a], [, b]) => b - a)
  return {
    standing,
    isCut,
    byClaims: Object.fromEntries(counted),
    revokedLastHour,
    revokedLastDay,
    endingNextHour,
  }
}
