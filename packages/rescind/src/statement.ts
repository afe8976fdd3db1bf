/**
 * From what a caller says to the statement that a store keeps: since when, until when, why and by whom.
 */
import { ANY_TIME, type Entry, TIME_MAX } from './core/revocation.js'
import { type ParsedTarget, type Shape, TOKEN_DIGEST } from './core/target.js'
import { RescindError } from './errors.js'
import type { RevocationSettings } from './settings.js'
import { endOfExp, endOfTokensUntil } from './token-life.js'

/** What a revocation says beside its target. */
export interface StatementOptions {
  /**
   * Tokens issued up to and in this second die: a `Date` or seconds since 1970. Default: now, so that the next
   * log-in works; for a target that names one token, and with `null`, whenever they were issued (a ban). It is compared
   * with the issuer's clock: where that may be ahead of this one, give a time so much later.
   */
  readonly issuedBefore?: Date | number | null | undefined
  /**
   * The revocation ends then: a `Date` or seconds since 1970. Default: when the last such token that exists now has
   * ended; a ban that shall outlast it says until when.
   */
  readonly expiresAt?: Date | number | undefined
  /** Why, for people; at most 512 characters. Never put a token into it. */
  readonly reason?: string | undefined
  /** Who did it; at most 256 characters. */
  readonly actor?: string | undefined
}

/** A revocation that was made, and will not do what was probably meant. */
export interface RevocationWarning {
  readonly code: 'REVOCATION_ENDS_EARLY'
  readonly message: string
}

const REASON_LENGTH_MAX = 512
const ACTOR_LENGTH_MAX = 256
/** The latest `issuedBefore` that is a time: those above have meanings of their own. */
const ISSUED_BEFORE_MAX = 0xffff_fffd

/** Makes the statement. `now` and `exp` (of the token, where there is one) are seconds since 1970. */
export function makeStatement(
  target: ParsedTarget,
  options: StatementOptions,
  context: {
    readonly now: number
    readonly exp: number | undefined
    readonly settings: RevocationSettings
    readonly warn: (warning: RevocationWarning) => void
  },
): Entry {
  const { now } = context
  const issuedBefore = issuedBeforeOf(target, options.issuedBefore, now)
  const end = endOf(options, context)
  if (end <= now) {
    throw options.expiresAt === undefined
      ? new RescindError('ERR_TOKEN_EXPIRED', 'the token has ended: nothing is left to revoke')
      : new RescindError('ERR_OPTION_INVALID', 'expiresAt lies in the past')
  }
  return {
    at: Math.floor(now),
    end,
    issuedBefore,
    ...textOption('reason', options.reason, REASON_LENGTH_MAX),
    ...textOption('actor', options.actor, ACTOR_LENGTH_MAX),
  }
}

/** What a target reaches: one token, every token that carries the claims, or every token. */
export type Scope = 'token' | 'claims' | 'everything'

/** By the names of its claims. */
export function scopeOf(shape: Shape): Scope {
  if (shape.length === 0) return 'everything'
  return shape.includes('jti') || shape.includes(TOKEN_DIGEST) ? 'token' : 'claims'
}

function issuedBeforeOf(target: ParsedTarget, wanted: StatementOptions['issuedBefore'], now: number): number {
  if (wanted === null || (wanted === undefined && scopeOf(target.shape) === 'token')) return ANY_TIME
  if (wanted === undefined) return Math.floor(now)
  return Math.min(Math.max(0, Math.floor(secondsOf('issuedBefore', wanted))), ISSUED_BEFORE_MAX)
}

/** Invariant: no revocation ends before its token does, unless a fixed time was asked for by name. */
function endOf(
  options: StatementOptions,
  { now, exp, settings, warn }: Parameters<typeof makeStatement>[2],
): number {
  const { expiresAt } = options
  if (expiresAt === undefined && settings.ttl !== 'fixed') {
    const end = exp === undefined ? endOfTokensUntil(now, settings) : endOfExp(exp, settings)
    return Math.min(Math.ceil(end), TIME_MAX)
  }
  const wanted =
    expiresAt === undefined ? now + settings.lifetimeMaxSeconds : secondsOf('expiresAt', expiresAt)
  const end = Math.min(Math.ceil(wanted), TIME_MAX)
  if (exp !== undefined && end > now && exp + settings.clockToleranceSeconds > end) {
    warn({
      code: 'REVOCATION_ENDS_EARLY',
      message:
        `a token lives ${Math.ceil(exp - now)} s longer, but its revocation ends in ${Math.ceil(end - now)} s ` +
        `(${expiresAt === undefined ? 'ttl "fixed"' : 'expiresAt'}): from then on only its age can have it refused`,
    })
  }
  return end
}

/** A time of a caller, in seconds since 1970. Throws `ERR_OPTION_INVALID`. */
export function secondsOf(name: string, value: Date | number): number {
  const seconds = value instanceof Date ? value.getTime() / 1000 : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) {
    throw new RescindError('ERR_OPTION_INVALID', `${name} must be a Date, or seconds since 1970`)
  }
  if (seconds > 100_000_000_000) {
    throw new RescindError('ERR_OPTION_INVALID', `${name} is in seconds since 1970, not in milliseconds`)
  }
  return seconds
}

function textOption(name: 'reason' | 'actor', value: string | undefined, lengthMax: number): Partial<Entry> {
  if (value === undefined) return {}
  if (typeof value !== 'string' || value.length > lengthMax || !value.isWellFormed()) {
    throw new RescindError(
      'ERR_OPTION_INVALID',
      `${name} must be well-formed text of at most ${lengthMax} characters`,
    )
  }
  return { [name]: value }
}

/** One warning a process is enough for a setting that will not change while it runs. */
export function warnOnce(): (warning: RevocationWarning) => void {
  let warned = false
  return ({ code, message }) => {
    if (warned) return
    warned = true
    process.emitWarning(message, { code })
  }
}
