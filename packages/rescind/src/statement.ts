/**
 * From what a caller says to the statement that a store keeps: since when, until when, why and by whom.
 */
import { ANY_TIME, type Entry, TIME_MAX } from './core/revocation.js'
import { type ParsedTarget, TOKEN_DIGEST } from './core/target.js'
import { RescindError } from './errors.js'
import type { RevocationSettings } from './settings.js'

export interface StatementOptions {
  /**
   * Tokens issued up to and in this second die: a `Date` or seconds since 1970. Default: now, so that the next
   * log-in works; for a target that names one token, and with `null`, whenever they were issued (a ban).
   */
  readonly issuedBefore?: Date | number | null | undefined
  /** The revocation ends then: a `Date` or seconds since 1970. Default: when the last such token has ended. */
  readonly expiresAt?: Date | number | undefined
  /** Why, for people; at most 512 characters. Never put a token into it. */
  readonly reason?: string | undefined
  /** Who did it; at most 256 characters. */
  readonly actor?: string | undefined
}

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
  if (end <= now) throw new RescindError('ERR_OPTION_INVALID', 'expiresAt lies in the past')
  return {
    at: Math.floor(now),
    end,
    issuedBefore,
    ...textOption('reason', options.reason, REASON_LENGTH_MAX),
    ...textOption('actor', options.actor, ACTOR_LENGTH_MAX),
  }
}

/** A target that carries the name of one token. */
export function namesOneToken(target: ParsedTarget): boolean {
  return target.shape.includes('jti') || target.shape.includes(TOKEN_DIGEST)
}

function issuedBeforeOf(target: ParsedTarget, wanted: StatementOptions['issuedBefore'], now: number): number {
  if (wanted === null || (wanted === undefined && namesOneToken(target))) return ANY_TIME
  if (wanted === undefined) return Math.floor(now)
  return Math.min(Math.max(0, Math.floor(secondsOf('issuedBefore', wanted))), ISSUED_BEFORE_MAX)
}

/** Invariant: no revocation ends before its token does, unless a fixed time was asked for by name. */
function endOf(
  options: StatementOptions,
  { now, exp, settings, warn }: Parameters<typeof makeStatement>[2],
): number {
  const { lifetimeMaxSeconds, ttl, clockToleranceSeconds, skewMarginSeconds } = settings
  if (options.expiresAt !== undefined)
    return Math.min(Math.ceil(secondsOf('expiresAt', options.expiresAt)), TIME_MAX)
  if (ttl === 'fixed') {
    const end = Math.ceil(now + lifetimeMaxSeconds)
    if (exp !== undefined && exp + clockToleranceSeconds > end) {
      warn({
        code: 'REVOCATION_ENDS_EARLY',
        message: `a token lives ${Math.ceil(exp - now)} s longer, but its revocation ends after ${lifetimeMaxSeconds} s (ttl "fixed"): then it is accepted again`,
      })
    }
    return end
  }
  const tokenEnd = exp ?? now + lifetimeMaxSeconds
  return Math.min(Math.ceil(tokenEnd + clockToleranceSeconds + skewMarginSeconds), TIME_MAX)
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
