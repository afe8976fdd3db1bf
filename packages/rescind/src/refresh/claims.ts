/**
 * The claims of a refresh token of a family: the first ones, those of its successor, and the reading of what somebody
 * presents. Pure functions, but for the random `jti`; the clock is an argument.
 *
 * Two claims are our own. `generation` counts the rotations; `iat` cannot, for clocks differ, and with a rotation more
 * than every second it would run ahead, out of the reach of "everything issued until now". `begun` is when the family
 * began, in seconds since 1970: it tells a family from another of the same name, and its age from that of its tokens.
 */
import { randomUUID } from 'node:crypto'
import type { Digest } from '../core/digest.js'
import { BEGINNING, GENERATION_MAX } from '../core/mark.js'
import { TIME_MAX } from '../core/revocation.js'
import { type Claims, own, parseTarget, type Target } from '../core/target.js'
import { hasCode, RescindError } from '../errors.js'
import { type FamilySettings, MADE_CLAIMS } from './options.js'

/** All that the next refresh token must say. */
export interface RefreshClaims extends Claims {
  /** In seconds since 1970, as all times here. */
  readonly iat: number
  readonly exp: number
  /** Random: tells the tokens of a generation apart. */
  readonly jti: string
  /** When the family began. */
  readonly begun: number
  /** 1 for the first token of a family, one more with each rotation. */
  readonly generation: number
}

/** A refresh token that was read. */
export interface FamilyToken {
  readonly claims: Claims
  /** What names the family, to revoke. */
  readonly target: Target
  /** The name of the family's mark. */
  readonly mark: Digest
  /** The digest of the name of this token. */
  readonly token: Digest
  readonly generation: number
  readonly begun: number
  readonly exp: number
}

/** Reads what was presented: a token, or why it is none of a family. */
export function readFamilyToken(
  claims: Claims,
  names: readonly string[],
): FamilyToken | { readonly problem: string } {
  if (typeof claims !== 'object' || claims === null) return { problem: 'it has no claims' }
  const begun = wholeIn(claims, 'begun', TIME_MAX)
  const exp = wholeIn(claims, 'exp', TIME_MAX)
  const generation = wholeIn(claims, 'generation', GENERATION_MAX - 1) ?? BEGINNING
  const jti = own(claims, 'jti')
  if (begun === undefined || exp === undefined || typeof jti !== 'string')
    return { problem: 'begun, exp or jti is missing or not acceptable' }
  if (generation === BEGINNING) return { problem: 'generation is missing or not acceptable' }
  try {
    const target = familyTarget(claims, names)
    const token = parseTarget({ ...pick(claims, []), jti }).digest
    return { claims, target, mark: markName(target, begun), token, generation, begun, exp }
  } catch (error) {
    if (!hasCode(error, 'ERR_TARGET_INVALID')) throw error
    return { problem: 'jti, or a claim that names its family, is missing or not acceptable' }
  }
}

/** What names the family of these claims. Throws `ERR_TARGET_INVALID` when one is missing, or can name nothing. */
export function familyTarget(claims: Claims, names: readonly string[]): Target {
  const target = pick(claims, names)
  parseTarget(target)
  return target
}

/** What names its mark: a family of the same name that begins later has one of its own. */
export function markName(target: Target, begun: number): Digest {
  return parseTarget({ ...target, begun }).digest
}

export function firstClaims(claims: Claims, begun: number, settings: FamilySettings): RefreshClaims {
  const wrong = MADE_CLAIMS.filter((name) => Object.hasOwn(claims, name))
  if (wrong.length > 0)
    throw new RescindError('ERR_OPTION_INVALID', `these claims are made by begin: ${wrong.join(', ')}`)
  const needsSid = settings.claims.includes('sid') && own(claims, 'sid') === undefined
  const named = { ...claims, ...(needsSid ? { sid: randomUUID() } : {}) }
  return {
    ...named,
    ...timesFrom(begun, begun, settings),
    jti: randomUUID(),
    begun,
    generation: BEGINNING + 1,
  }
}

export function nextClaims(presented: FamilyToken, now: number, settings: FamilySettings): RefreshClaims {
  const { claims, begun, generation } = presented
  const { nbf: _, ...kept } = claims
  return {
    ...kept,
    ...timesFrom(now, begun, settings),
    jti: randomUUID(),
    begun,
    generation: generation + 1,
  }
}

function timesFrom(now: number, begun: number, { idleSeconds, lifetimeSeconds }: FamilySettings) {
  // Not before the log-in, of which a revocation of the second before tells it apart.
  const iat = Math.max(Math.floor(now), begun)
  return { iat, exp: Math.min(iat + idleSeconds, begun + lifetimeSeconds, TIME_MAX) }
}

/** These claims as a target, with `iss` where there is one. */
function pick(claims: Claims, names: readonly string[]): Target {
  const all = Object.hasOwn(claims, 'iss') ? ['iss', ...names] : names
  return Object.fromEntries(all.map((name) => [name, own(claims, name)])) as Target
}

function wholeIn(claims: Claims, name: string, max: number): number | undefined {
  const value = own(claims, name)
  const isWhole = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max
  return isWhole ? value : undefined
}
