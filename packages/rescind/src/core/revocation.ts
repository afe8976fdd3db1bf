/**
 * The rule. A revocation says: *tokens that carry these claims, issued no later than T, are dead until E*.
 *
 * The state of a target is a small set of such statements, none of which says everything that another says,
 * and the time of the last restore, which ends all statements up to it. Merging two states is associative,
 * commutative and idempotent, so repeated or reordered changes cannot weaken it: no life is ever shortened,
 * and nobody is refused who was never revoked (one maximum over all would turn a ten-minute ban and a later
 * log-out into a long ban).
 *
 * Pure functions; all times are whole seconds since 1970 (RFC 7519 NumericDate); the clock is an argument.
 */
import { RescindError } from '../errors.js'
import type { Digest } from './digest.js'
import type { Target } from './target.js'

/** `issuedBefore` of a revocation that holds whenever the token was issued (a ban). */
export const ANY_TIME = 0xffff_ffff
/** The latest time that the packed log can hold (2106). */
export const TIME_MAX = 0xffff_fffe
/** How many incomparable statements a target may hold before a new one absorbs the oldest. */
export const ENTRIES_MAX = 8
/** An entry is dropped from its state only this long after its end, so that a fast clock drops nothing. */
export const PRUNE_GRACE_SECONDS = 3600

/** One statement about a target. */
export interface Entry {
  /** When it was made. A logical clock: always later than the restore before it. */
  readonly at: number
  /** Dead until this time, exclusive. */
  readonly end: number
  /** Tokens issued up to and in this second are dead; `ANY_TIME` for all. */
  readonly issuedBefore: number
  readonly reason?: string | undefined
  readonly actor?: string | undefined
}

/** All that stands for one target. */
export interface State {
  /** Statements made up to and in this second are void; 0 when there was no restore. */
  readonly restoredAt: number
  readonly entries: readonly Entry[]
}

/** A revocation as users see it. Times are seconds since 1970. */
export interface Revocation {
  /** The digest under which the store holds it. */
  readonly id: Digest
  readonly target: Target
  /** Tokens issued up to and in this second are dead; `null`: whenever they were issued. */
  readonly issuedBefore: number | null
  /** Until when tokens stay dead: the life of the entry in the store. */
  readonly expiresAt: number
  readonly revokedAt: number
  readonly reason?: string
  readonly actor?: string
}

export const EMPTY_STATE: State = { restoredAt: 0, entries: [] }

/**
 * Is a token with this `iat` covered by `issuedBefore`? Inclusive: a token of the same second is dead, and so
 * is one without a readable `iat`. The only place that decides it.
 */
export function isIssuedBefore(issuedBefore: number, iat: unknown): boolean {
  if (issuedBefore === ANY_TIME) return true
  if (typeof iat !== 'number' || !Number.isFinite(iat)) return true
  return Math.floor(iat) <= issuedBefore
}

/** The statement that makes a token dead now, the longest if there are several. */
export function findDeadly(state: State, iat: unknown, now: number): Entry | undefined {
  let found: Entry | undefined
  for (const entry of state.entries) {
    if (now >= entry.end || !isIssuedBefore(entry.issuedBefore, iat)) continue
    if (found === undefined || entry.end > found.end) found = entry
  }
  return found
}

/** The union of two states. Associative, commutative, idempotent; never shorter than either. */
export function merge(a: State, b: State): State {
  const restoredAt = Math.max(a.restoredAt, b.restoredAt)
  const alive = [...a.entries, ...b.entries].filter((entry) => entry.at > restoredAt)
  return { restoredAt, entries: withoutDominated(alive) }
}

/**
 * The state after one more revocation, and the statement as it was made: undefined when the state says as much already.
 * Its logical time is after the last restore; a full state has its oldest statement absorbed into the new one, which
 * only ever covers more. Throws `ERR_STORE_CORRUPT` where no time is after that restore.
 */
export function revoke(state: State, wanted: Entry, now: number): { state: State; made: Entry | undefined } {
  const live = state.entries.filter((entry) => entry.end + PRUNE_GRACE_SECONDS > now)
  const entry: Entry = { ...wanted, at: Math.max(wanted.at, state.restoredAt + 1) }
  if (entry.at > TIME_MAX)
    throw new RescindError(
      'ERR_STORE_CORRUPT',
      'the target was restored at the end of all times: no clock says so',
    )
  if (live.some((held) => dominates(held, entry))) return { state, made: undefined }
  const others = live.filter((held) => !dominates(entry, held))
  const made = others.length < ENTRIES_MAX ? entry : absorb(entry, oldest(others))
  return { state: { restoredAt: state.restoredAt, entries: withoutDominated([...others, made]) }, made }
}

/**
 * The state after a restore: every statement made so far is void. Undefined when there was none, or none that
 * ended less than the grace ago: what a store still happens to hold beyond that makes no difference.
 */
export function restore(state: State, now: number): State | undefined {
  if (!state.entries.some((entry) => entry.end + PRUNE_GRACE_SECONDS > now)) return undefined
  const restoredAt = state.entries.reduce((latest, entry) => Math.max(latest, entry.at), now)
  return { restoredAt, entries: [] }
}

/** The statements that have not ended, and that the other state neither says nor holds void. */
export function missingFrom(state: State, other: State, now: number): Entry[] {
  return state.entries.filter(
    (entry) =>
      now < entry.end && entry.at > other.restoredAt && !other.entries.some((said) => dominates(said, entry)),
  )
}

/** The latest end in a state; 0 without one. */
export function latestEnd(state: State): number {
  return state.entries.reduce((latest, entry) => Math.max(latest, entry.end), 0)
}

export function toRevocation(id: Digest, target: Target, entry: Entry): Revocation {
  return {
    id,
    target,
    issuedBefore: entry.issuedBefore === ANY_TIME ? null : entry.issuedBefore,
    expiresAt: entry.end,
    revokedAt: entry.at,
    ...(entry.reason === undefined ? {} : { reason: entry.reason }),
    ...(entry.actor === undefined ? {} : { actor: entry.actor }),
  }
}

/** Same statement, whatever its reason and actor. */
export function isSameEntry(a: Entry, b: Entry): boolean {
  return a.at === b.at && a.end === b.end && a.issuedBefore === b.issuedBefore
}

/** Does a statement hold for every token that another holds for, and as long? */
export function covers(a: Entry, b: Entry): boolean {
  return a.end >= b.end && a.issuedBefore >= b.issuedBefore
}

/** Does it say all that another says, also after a restore that voids the other? */
export function dominates(a: Entry, b: Entry): boolean {
  return a.at >= b.at && covers(a, b)
}

/** Keeps the statements that no other one covers, in one order whatever the order they came in. */
function withoutDominated(entries: readonly Entry[]): Entry[] {
  const sorted = [...entries].sort(compareEntries)
  return sorted.filter((entry, i) => {
    const twin = sorted[i - 1]
    if (twin !== undefined && isSameEntry(twin, entry)) return false
    return !sorted.some((other) => !isSameEntry(other, entry) && dominates(other, entry))
  })
}

function compareEntries(a: Entry, b: Entry): number {
  return (
    a.at - b.at || a.end - b.end || a.issuedBefore - b.issuedBefore || compareText(details(a), details(b))
  )
}

function details(entry: Entry): string {
  return JSON.stringify([entry.reason ?? null, entry.actor ?? null])
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function oldest(entries: readonly Entry[]): Entry {
  return entries.reduce((first, entry) => (compareEntries(entry, first) < 0 ? entry : first))
}

function absorb(entry: Entry, held: Entry): Entry {
  return {
    ...entry,
    at: Math.max(entry.at, held.at),
    end: Math.max(entry.end, held.end),
    issuedBefore: Math.max(entry.issuedBefore, held.issuedBefore),
  }
}
