/**
 * How long a token can be used, and so how long a revocation has to live: the one place that knows, for gates that
 * refuse a token, statements that end, and connections that end with their token. All times are seconds since 1970.
 */
import { type Claims, own } from './core/target.js'
import type { RevocationSettings } from './settings.js'

/** What bounds the life of a token, and how far clocks may be apart. */
export type LifeSettings = Pick<
  RevocationSettings,
  'lifetimeMaxSeconds' | 'ttl' | 'clockToleranceSeconds' | 'skewMarginSeconds'
>

/** Why a token is refused for its age, in a sentence for the client. */
export interface AgeProblem {
  readonly code: 'token_invalid' | 'token_expired'
  readonly detail: string
}

/** `exp`, where a token has one that can be read. */
export function expOf(claims: Claims): number | undefined {
  return secondsIn(claims, 'exp')
}

/** By its `exp` and by its age, whichever comes first, it is not accepted from then on; Infinity: nothing ends it. */
export function endOfToken(claims: Claims, settings: LifeSettings): number {
  const oldest = (secondsIn(claims, 'iat') ?? Infinity) + ageMax(settings)
  return Math.min((expOf(claims) ?? Infinity) + settings.clockToleranceSeconds, oldest)
}

/**
 * Revocations by claims live for `lifetimeMaxSeconds`: a token that could be older would come back to life, so it is
 * refused, and one whose age cannot be told as well.
 */
export function ageProblem(claims: Claims, now: number, settings: LifeSettings): AgeProblem | undefined {
  const iat = secondsIn(claims, 'iat')
  if (iat === undefined) return { code: 'token_invalid', detail: 'The token does not say when it was issued' }
  if (iat - aheadMax(settings) > now)
    return { code: 'token_invalid', detail: 'The token was issued in the future' }
  if (now < iat + ageMax(settings)) return undefined
  const detail = `The token is older than the ${settings.lifetimeMaxSeconds} seconds that are accepted here`
  return { code: 'token_expired', detail }
}

/** Every token that is accepted now has ended by then, by every clock. */
export function endOfTokensUntil(now: number, settings: LifeSettings): number {
  const { lifetimeMaxSeconds, clockToleranceSeconds } = settings
  return now + aheadMax(settings) + lifetimeMaxSeconds + clockToleranceSeconds
}

/** A token with this `exp` has ended by then, by every clock. */
export function endOfExp(exp: number, { clockToleranceSeconds, skewMarginSeconds }: LifeSettings): number {
  return exp + clockToleranceSeconds + skewMarginSeconds
}

/** A revocation of a fixed time has no second beyond it, and so has no token. */
function ageMax({ lifetimeMaxSeconds, ttl, clockToleranceSeconds }: LifeSettings): number {
  return ttl === 'fixed' ? lifetimeMaxSeconds : lifetimeMaxSeconds + clockToleranceSeconds
}

/** How far ahead of this clock a token may have been issued: then it lives for so much longer, too. */
function aheadMax({ clockToleranceSeconds, skewMarginSeconds }: LifeSettings): number {
  return Math.max(clockToleranceSeconds, skewMarginSeconds)
}

function secondsIn(claims: Claims, name: 'exp' | 'iat'): number | undefined {
  const seconds = own(claims, name)
  return typeof seconds === 'number' && Number.isFinite(seconds) ? seconds : undefined
}
