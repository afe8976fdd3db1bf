/** What the systems of `check` are told, and how they make what they ask for. */
import { randomInt } from 'node:crypto'
import { NAMED_MAX } from '../../fill.js'
import { sharedNumber, sharedText, type Shared } from '../../system.js'
import { freshClaims, parsedClaims, revokedJti, secondsNow, type TokenClaims } from '../../tokens.js'

/** Which revocations are in use: many, ten times as many, or many with four shapes. */
export type Log = 'normal' | 'large' | 'fourShapes'

export const NAMESPACES: Readonly<Record<Log, string>> = {
  normal: 'one-shape',
  large: 'one-shape-large',
  fourShapes: 'four-shapes',
}

/** So many of them were revoked one by one and have records, for strict checks. */
export const RECORDED_COUNT_FIELD = 'recorded'

export function redisUrl(shared: Shared): string {
  return sharedText(shared, 'redisUrl')
}

export function countOf(shared: Shared, log: Log): number {
  return sharedNumber(shared, log === 'large' ? 'revocationsLarge' : 'revocations')
}

/** How many tokens come again: so many that they do not all stay in the processor's caches. */
export function knownOf(shared: Shared): number {
  return sharedNumber(shared, 'known')
}

/** Claims as a verifier hands them over, with a jti that nobody has seen before. */
export function clearClaims(): TokenClaims {
  return parsedClaims(freshClaims(secondsNow()))
}

/** Claims with a jti that is among the first `count` revoked ones. */
export function revokedClaims(count: number): TokenClaims {
  const jti = revokedJti(randomInt(Math.min(count, NAMED_MAX)))
  return parsedClaims({ ...freshClaims(secondsNow()), jti })
}
