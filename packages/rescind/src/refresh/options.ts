/** The settings of families of refresh tokens: defaults, and one error for all that is wrong. */
import { throwProblems } from '../config.js'
import { CLAIM_NAME_LENGTH_MAX, type Claims, type Target } from '../core/target.js'
import type { TokenManager } from '../token-manager.js'

/** What a `RefreshFamilies` is made of. */
export interface RefreshFamiliesOptions {
  /** Asked whether a family is revoked, and told of reuse. Its store keeps the marks. */
  readonly manager: TokenManager
  /**
   * The claims that name a family, one log-in of one client; `iss` is added where a token has it. Access tokens that
   * carry them too end with the family. 1 to 6 names. Default `['sid']`, a value of which `begin` makes.
   */
  readonly claims?: readonly string[] | undefined
  /**
   * For so long after its first use a token may be presented again, for parallel requests and lost answers, in whole
   * seconds of the clocks of the nodes. Default 10, 0 to 60. With 0 each is used once.
   */
  readonly graceSeconds?: number | undefined
  /**
   * A refresh token that is not used for so long expires, in seconds. Default: `lifetimeMaxSeconds` of the manager, and
   * not more than that, for a revocation must outlive the tokens that it ends; 1 at least.
   */
  readonly idleSeconds?: number | undefined
  /** A family ends so long after its log-in, however often it is used, in seconds. Default 30 days, 1 to 315,360,000. */
  readonly lifetimeSeconds?: number | undefined
  /**
   * How sure a use must be before its successor is given out. Default `accepted`. `replicated`: a failover to a replica
   * that has it forgets no use.
   */
  readonly ack?: 'accepted' | 'replicated' | undefined
  /** Told of each reuse before the family is revoked, for alarms. What it throws changes nothing. */
  readonly onReuse?: ((reuse: Reuse) => void) | undefined
}

/** What a family begins with, beside the claims of the log-in. */
export interface BeginOptions {
  /**
   * When the log-in was, in whole seconds since 1970. Default: now, and a second from now at the most. A log-in in the
   * very second in which the person was logged out everywhere is dead (`issuedBefore` is inclusive): give
   * `issuedBefore + 1` of that revocation.
   */
  readonly issuedAt?: number | undefined
}

/** A refresh token was presented that had been used. */
export interface Reuse {
  /** The family, which is revoked now. */
  readonly target: Target
  /** Of the token that was presented. */
  readonly claims: Claims
}

/** The options of a `RefreshFamilies`, with defaults for what was left out. */
export interface FamilySettings {
  readonly claims: readonly string[]
  readonly graceSeconds: number
  readonly idleSeconds: number
  readonly lifetimeSeconds: number
  readonly ack: 'accepted' | 'replicated'
}

/** Claims of a refresh token that are made here, and by nobody else. */
export const MADE_CLAIMS: readonly string[] = ['iat', 'exp', 'nbf', 'jti', 'begun', 'generation']

const GRACE_SECONDS_NORMAL = 10
const GRACE_SECONDS_MAX = 60
const LIFETIME_SECONDS_NORMAL = 30 * 86_400
const LIFETIME_SECONDS_MAX = 315_360_000
/** With `iss`, and with when the family began, there are as many as a target may have. */
const CLAIMS_MAX = 6
const ACKS: readonly unknown[] = ['accepted', 'replicated']

/** Throws `ERR_CONFIG_INVALID`. */
export function checkedOptions(options: RefreshFamiliesOptions): FamilySettings {
  const { lifetimeMaxSeconds } = options.manager.settings
  const {
    claims = ['sid'],
    graceSeconds = GRACE_SECONDS_NORMAL,
    idleSeconds = lifetimeMaxSeconds,
    lifetimeSeconds = LIFETIME_SECONDS_NORMAL,
    ack = 'accepted',
  } = options
  const problems: string[] = []
  if (!Array.isArray(claims) || claims.length < 1 || claims.length > CLAIMS_MAX || !claims.every(isName))
    problems.push(`claims must list 1 to ${CLAIMS_MAX} names, none of ${[...MADE_CLAIMS, 'iss'].join(', ')}`)
  if (new Set(claims).size !== claims.length) problems.push('claims must list each name once')
  wholeNumber('graceSeconds', graceSeconds, 0, GRACE_SECONDS_MAX)
  wholeNumber('lifetimeSeconds', lifetimeSeconds, 1, LIFETIME_SECONDS_MAX)
  wholeNumber('idleSeconds', idleSeconds, 1, LIFETIME_SECONDS_MAX)
  if (idleSeconds > lifetimeMaxSeconds) {
    problems.push(
      `idleSeconds must not exceed lifetimeMaxSeconds of the manager (${lifetimeMaxSeconds}), or a revocation ends before the refresh tokens that it covers: raise RESCIND_LIFETIME_MAX_SECONDS on every node that revokes`,
    )
  }
  if (!ACKS.includes(ack)) problems.push('ack must be accepted or replicated')
  throwProblems(problems)
  return { claims: [...claims], graceSeconds, idleSeconds, lifetimeSeconds, ack }

  function wholeNumber(name: string, value: number, min: number, max: number): void {
    if (!Number.isInteger(value) || value < min || value > max)
      problems.push(`${name} must be a whole number from ${min} to ${max}`)
  }
}

function isName(name: unknown): boolean {
  if (typeof name !== 'string' || name.length > CLAIM_NAME_LENGTH_MAX) return false
  return /^[\w.:/-]+$/.test(name) && name !== '__proto__' && name !== 'iss' && !MADE_CLAIMS.includes(name)
}
