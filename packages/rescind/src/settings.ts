/**
 * How long revocations live, and how old an answer may be. From options or from environment variables; all problems are reported at once.
 */
import { type Environment, EnvironmentReader, numberProblems, throwProblems } from './config.js'

/** How long revocations live, and how old an answer may be; each also by its environment variable. */
export interface RevocationSettings {
  /**
   * No token lives longer than this, in seconds: how long a revocation by claims, or of a token without `exp`,
   * lives. The gate refuses older tokens. Default 1,800 (30 minutes), 1 to 315,360,000.
   */
  readonly lifetimeMaxSeconds: number
  /**
   * `token` (default): a revocation lives as long as its token, plus tolerance and margin. `fixed`: exactly
   * `lifetimeMaxSeconds`, with a warning when the token outlives it.
   */
  readonly ttl: 'token' | 'fixed'
  /** At least the verifier's: for so long after `exp` a token is still accepted. Default 5, 0 to 300. */
  readonly clockToleranceSeconds: number
  /** Added to every life, for clocks that differ between issuer, nodes and Redis. Default 300, 0 to 86,400. */
  readonly skewMarginSeconds: number
  /**
   * A replica that has not heard from the store for longer does not count as fresh: then a check asks the store.
   * In milliseconds, default 1,000, 50 to 60,000. It polls four times as often.
   */
  readonly stalenessMaxMs: number
}

const NUMBERS = {
  lifetimeMaxSeconds: { variable: 'RESCIND_LIFETIME_MAX_SECONDS', normal: 1800, min: 1, max: 315_360_000 },
  clockToleranceSeconds: { variable: 'RESCIND_CLOCK_TOLERANCE_SECONDS', normal: 5, min: 0, max: 300 },
  skewMarginSeconds: { variable: 'RESCIND_SKEW_MARGIN_SECONDS', normal: 300, min: 0, max: 86_400 },
  stalenessMaxMs: { variable: 'RESCIND_STALENESS_MAX_MS', normal: 1000, min: 50, max: 60_000 },
} as const
const TTLS = ['token', 'fixed'] as const

export function settingsFromEnv(env: Environment): RevocationSettings {
  const reader = new EnvironmentReader(env)
  const settings: RevocationSettings = {
    lifetimeMaxSeconds: numberFromEnv(reader, 'lifetimeMaxSeconds'),
    ttl: reader.oneOf('RESCIND_TTL', TTLS) ?? 'token',
    clockToleranceSeconds: numberFromEnv(reader, 'clockToleranceSeconds'),
    skewMarginSeconds: numberFromEnv(reader, 'skewMarginSeconds'),
    stalenessMaxMs: numberFromEnv(reader, 'stalenessMaxMs'),
  }
  reader.finish()
  return settings
}

export function settingsFromOptions(options: Partial<RevocationSettings>): RevocationSettings {
  const problems = numberProblems(options, NUMBERS)
  const settings: RevocationSettings = {
    lifetimeMaxSeconds: options.lifetimeMaxSeconds ?? NUMBERS.lifetimeMaxSeconds.normal,
    ttl: options.ttl ?? 'token',
    clockToleranceSeconds: options.clockToleranceSeconds ?? NUMBERS.clockToleranceSeconds.normal,
    skewMarginSeconds: options.skewMarginSeconds ?? NUMBERS.skewMarginSeconds.normal,
    stalenessMaxMs: options.stalenessMaxMs ?? NUMBERS.stalenessMaxMs.normal,
  }
  if (!TTLS.includes(settings.ttl)) problems.push(`ttl must be one of: ${TTLS.join(', ')}`)
  throwProblems(problems)
  return settings
}

function numberFromEnv(reader: EnvironmentReader, name: keyof typeof NUMBERS): number {
  const { variable, normal, min, max } = NUMBERS[name]
  return reader.integer(variable, { min, max }) ?? normal
}
