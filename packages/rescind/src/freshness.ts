/**
 * How fresh an answer must be, and what becomes of a check that nobody can answer: the options of gates and
 * routes.
 */

/** How a check was decided. */
export type Freshness = 'fresh' | 'strict' | 'store' | 'stale' | 'open' | 'closed'

/**
 * How fresh an answer must be, and what becomes of a check that nobody can answer; for a gate, or for one
 * route.
 */
export interface FreshnessPolicy {
  /** `replica` (default): from memory while that is fresh, otherwise from the store. `strict`: always the store. */
  readonly consistency?: 'replica' | 'strict' | undefined
  /**
   * How old an answer from memory may be, in milliseconds. Default: the setting of the manager. `Infinity`: any age; a
   * replica that has never read the log, or cannot trust what it read, has none.
   */
  readonly stalenessMaxMs?: number | undefined
  /**
   * What becomes of a genuine token when neither memory nor the store can tell. `closed` (default): 503. `stale`:
   * what the replica knew last decides, up to `staleMaxSeconds`. `open`: it passes. A token that this node knows to
   * be revoked passes under none of them.
   */
  readonly onUnknown?: 'closed' | 'stale' | 'open' | undefined
  /** For `onUnknown: 'stale'`: how old the replica may be, in seconds. Default 60. */
  readonly staleMaxSeconds?: number | undefined
}

export interface FreshnessPlan {
  readonly consistency: 'replica' | 'strict'
  /** Undefined: the bound of the replica. */
  readonly stalenessMaxMs: number | undefined
  readonly onUnknown: 'closed' | 'stale' | 'open'
  readonly staleMaxSeconds: number
}

const STALE_MAX_SECONDS = 60

/** The options of a route, and where it has none, those of its gate. */
export function planFreshness(route: FreshnessPolicy, gate: FreshnessPolicy): FreshnessPlan {
  return {
    consistency: route.consistency ?? gate.consistency ?? 'replica',
    stalenessMaxMs: route.stalenessMaxMs ?? gate.stalenessMaxMs,
    onUnknown: route.onUnknown ?? gate.onUnknown ?? 'closed',
    staleMaxSeconds: route.staleMaxSeconds ?? gate.staleMaxSeconds ?? STALE_MAX_SECONDS,
  }
}

/** The name of the first option that cannot be used. */
export function wrongFreshnessOption(policy: FreshnessPolicy): keyof FreshnessPolicy | undefined {
  const { consistency, stalenessMaxMs, onUnknown, staleMaxSeconds } = policy
  const isDuration = (value: unknown) => value === undefined || (typeof value === 'number' && value >= 0)
  if (![undefined, 'replica', 'strict'].includes(consistency)) return 'consistency'
  if (!isDuration(stalenessMaxMs)) return 'stalenessMaxMs'
  if (![undefined, 'closed', 'stale', 'open'].includes(onUnknown)) return 'onUnknown'
  if (!isDuration(staleMaxSeconds)) return 'staleMaxSeconds'
  return undefined
}

export function freshnessProblems(policy: FreshnessPolicy): string[] {
  const wrong = wrongFreshnessOption(policy)
  return wrong === undefined ? [] : [`${wrong} cannot be used as it is given`]
}
