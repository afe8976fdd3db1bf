/**
 * The contract of a store: where revocations live. Every implementation runs the same suite
 * (`test/stores/contract.ts`) and must agree with the others in the model test.
 *
 * - `put` merges and never shortens a life. When it resolves, the revocation is stored as `ack` says.
 * - `restore` voids what was revoked for exactly this target, and survives reordering (see `core/revocation`).
 * - `find` answers from the store itself, never from a copy, and settles within its deadline: with what it
 *   found, or with an exception. It never answers "nothing" for a failure.
 * - `list` walks the change log backwards, newest first, and never scans keys.
 * - `changes` reads the log forwards from a position, without a gap, or throws `ERR_LOG_CHANGED`.
 * - Times are whole seconds since 1970 and come in as arguments: a store has no clock of its own but for the
 *   removal of what has ended.
 *
 * Failures are `RescindError`s: `ERR_STORE_UNAVAILABLE`, `ERR_STORE_TIMEOUT`, `ERR_STORE_OVERLOADED`,
 * `ERR_STORE_REFUSED`, `ERR_STORE_FULL`, `ERR_STORE_CORRUPT`, `ERR_CLOSED`.
 */
import { RescindError } from '../errors.js'
import type { Digest } from '../core/digest.js'
import type { Entry, Revocation, State } from '../core/revocation.js'
import type { ParsedTarget, Shape, Target } from '../core/target.js'

/**
 * How sure a revocation is when the call returns.
 * `accepted`: the store has it (Redis: the primary). `replicated`: so have its replicas.
 */
export type Ack = 'accepted' | 'replicated'

export interface PutOptions {
  /** Default `accepted`. */
  readonly ack?: Ack
  /** The caller's clock, in seconds. */
  readonly now: number
}

export interface ListOptions {
  readonly now: number
  /** At most this many revocations, 1 to 1,000. */
  readonly limit: number
  /** Where the page before ended. */
  readonly cursor?: string | undefined
  /** Keeps what it returns true for. */
  readonly filter?: ((revocation: Revocation) => boolean) | undefined
}

export interface Page {
  /** Newest first. */
  readonly revocations: readonly Revocation[]
  /** For the next page; absent on the last. A page may be short, or empty, before the last. */
  readonly cursor?: string
}

/** What a store holds under one digest. */
export interface Held {
  readonly digest: Digest
  readonly target: Target
  readonly state: State
}

/** One change of the store, in the order in which it happened. */
export type Change =
  | { readonly type: 'revoked'; readonly position: string; readonly revocation: Revocation }
  | { readonly type: 'restored'; readonly position: string; readonly id: Digest; readonly target?: Target }

export interface Changes {
  readonly changes: readonly Change[]
  /** Where the next read begins. */
  readonly position: string
}

/** Computes the digests to look up, given the shapes in use. May be called again when those change. */
export type Probe = (shapes: readonly Shape[]) => readonly Digest[]

export interface Store {
  /** For messages: `memory`, `redis`. */
  readonly kind: string
  put(target: ParsedTarget, entry: Entry, options: PutOptions): Promise<State>
  /** True when something was restored. */
  restore(target: ParsedTarget, options: PutOptions): Promise<boolean>
  find(probe: Probe): Promise<readonly Held[]>
  list(options: ListOptions): Promise<Page>
  /** Reads on from a position, at most `limit` changes. */
  changes(after: string, limit: number): Promise<Changes>
  /** The end of the log, in its epoch. */
  position(): Promise<string>
  /** Resolves when the store answers; throws why it does not. */
  ping(): Promise<void>
  /** Ends all connections; later calls throw `ERR_CLOSED`. Idempotent. */
  close(): Promise<void>
}

/** How many different shapes may be in use at once: each costs every check a probe. */
export const SHAPES_MAX = 32
/** How many log records one `list` call reads at the most, so that a rare filter cannot hold the store. */
export const LIST_SCAN_MAX = 16_384

/** One text for a shape. */
export function shapeKey(shape: Shape): string {
  return JSON.stringify(shape)
}

export function shapesExceeded(): RescindError {
  return new RescindError(
    'ERR_SHAPES_EXCEEDED',
    `revocations of ${SHAPES_MAX} different sets of claim names are in use already; reuse one of those, or wait until they end`,
  )
}

export function logChanged(): RescindError {
  return new RescindError(
    'ERR_LOG_CHANGED',
    'the log does not contain this position: begin again with list() and the current position',
  )
}
