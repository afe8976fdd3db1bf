/**
 * The contract of a store: where revocations live. Every implementation runs the same suite
 * (`test/stores/contract.ts`) and must agree with the others in the model test.
 *
 * - `advance` moves the mark of a family of refresh tokens forward (`core/mark`), in one step that nobody comes between,
 *   and keeps it until the latest end that was ever given. Marks are not in the log: see `refresh/families`.
 * - `readLog` reads the log forwards from a position, packed, for replicas; `changes` does the same for people.
 *   Both go on without a gap, or throw `ERR_LOG_CHANGED`; what ended longer ago than the grace (`PRUNE_GRACE_SECONDS`) is
 *   none. `readLog` fails at a server that takes no writes. Whatever was acknowledged before a read began is in it, unless
 *   the reader allows for an older answer (`maxAgeMs`).
 * - `onBell` is a hint that the log has grown, and never the truth: a store may ring late, or not at all.
 * - `announce`, `retire` and `nodes` keep the list of live nodes: a line that is not renewed vanishes.
 * - Times are whole seconds since 1970 and come in as arguments: a store has no clock of its own but for the
 *   removal of what has ended.
 *
 * Failures are `RescindError`s: `ERR_STORE_UNAVAILABLE`, `ERR_STORE_TIMEOUT`, `ERR_STORE_OVERLOADED`,
 * `ERR_STORE_REFUSED`, `ERR_STORE_FULL`, `ERR_STORE_CORRUPT`, `ERR_CLOSED`.
 */
import { RescindError } from '../errors.js'
import type { Digest } from '../core/digest.js'
import type { Advanced, Mark } from '../core/mark.js'
import type { Entry, Revocation, State } from '../core/revocation.js'
import type { ParsedTarget, Shape, Target } from '../core/target.js'

/**
 * How sure a revocation is when the call returns.
 * `accepted`: the store has it (Redis: the primary). `replicated`: so have its replicas.
 */
export type Ack = 'accepted' | 'replicated'

/** What a write left behind. */
export interface Stored {
  readonly state: State
  /** Who has read the log up to here has this write. */
  readonly position: string
  /** It is stored, and the level of acknowledgement that was asked for was not reached: why. */
  readonly shortfall?: RescindError | undefined
}

/** What a restore left behind. */
export interface Restored {
  /** There was something to restore. */
  readonly changed: boolean
  /** Statements made up to and in this second are void; 0 when nothing was ever restored. */
  readonly restoredAt: number
  /** Until when what is void now would have been in force, in seconds since 1970. Absent: the store does not tell. */
  readonly keptUntil?: number
}

/** A stretch of the log, packed, in order. */
export interface LogPage {
  /** Whole records of 32 bytes (`core/record`), their chain checked. */
  readonly records: Buffer
  /** Where the next read begins. */
  readonly position: string
  /** The log held no more when it was read. */
  readonly isEnd: boolean
  /** A part of the log that should have been there was lost before it was read. */
  readonly hasGap: boolean
  /** How many records there are from this page on, at most, where the store knows it: room is made at once. */
  readonly recordsMax?: number
  /** The shapes in use: the same array as before while nothing came into use. */
  readonly shapes: readonly Shape[]
  /**
   * How long before the call the store was last asked, in milliseconds, where the answer comes from a memory between.
   * Absent: it was asked after the call.
   */
  readonly ageMs?: number
}

/** Who reads, and how new an answer must be. */
export interface ReadLogOptions {
  /**
   * Names the reader, by any object: a store tells each of its readers once of a loss that what they read does not show.
   * Default: all who give none are one reader.
   */
  readonly reader?: object | undefined
  /**
   * How old the end of the log may be, in milliseconds. Default 0: whatever was acknowledged before the call is in it.
   * Only a store with a memory between, as of a service, looks at it.
   */
  readonly maxAgeMs?: number | undefined
}

/** What a live node tells of itself. */
export interface NodeStatus {
  /** Unique, made at its start. */
  readonly id: string
  /** For people: by default host name and process number. */
  readonly name: string
  /** How far it has read the log; empty when it has not. */
  readonly position: string
  /** How long ago the store last answered it, in milliseconds; -1 when it does not follow the log. */
  readonly stalenessMs: number
  /** How many statements it holds. */
  readonly entries: number
}

/** A live node, as the store knows it. */
export interface LiveNode extends NodeStatus {
  /** How long ago it told this, in milliseconds of the store's clock. */
  readonly ageMs: number
}

/** A ring of the doorbell; `receipt` asks every node to announce its position at once. */
export type Bell = 'change' | 'receipt'

/** `pauseMs`: how long the doorbell is silent after this ring, whatever happens, in milliseconds. Absent: not at all. */
export type BellListener = (bell: Bell, pauseMs?: number) => void

/** How a statement is written. */
export interface PutOptions {
  /** Default `accepted`. */
  readonly ack?: Ack
  /** The caller's clock, in seconds. */
  readonly now: number
}

export interface RestoreOptions extends PutOptions {
  /** What the caller knows of the target: a store that has lost it writes the restore all the same. */
  readonly known?: State | undefined
}

export interface AdvanceOptions extends PutOptions {
  /** The mark is kept until then, in seconds since 1970; an earlier end than before shortens nothing. */
  readonly end: number
}

/** What an advance left behind. */
export interface Advancement extends Advanced {
  /** It is stored, and the level of acknowledgement that was asked for was not reached: why. */
  readonly shortfall?: RescindError | undefined
}

/** Which page of a list. */
export interface ListOptions {
  readonly now: number
  /** At most this many revocations, 1 to 1,000. */
  readonly limit: number
  /** Where the page before ended. */
  readonly cursor?: string | undefined
  /** Keeps what it returns true for. */
  readonly filter?: ((revocation: Revocation) => boolean) | undefined
}

/** What comes with records that are given back to a store. */
export interface ReseedOptions {
  /** The id of the node that gives. */
  readonly giver: string
  /** The clock, in whole seconds since 1970. */
  readonly now: number
  /** The shapes that the records may be of, to be in use until `end`, in seconds since 1970. */
  readonly shapes: readonly Shape[]
  readonly end: number
  /** With these records the giver, who had read all, has given all: nothing is missing any more. */
  readonly isLast: boolean
}

/** One page of a list. */
export interface Page {
  /** Newest first, as a store lists them; `TokenManager.list` has other orders too. */
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

/** A stretch of the log, for people. */
export interface Changes {
  readonly changes: readonly Change[]
  /** Where the next read begins. */
  readonly position: string
}

/** Computes the digests to look up, given the shapes in use. May be called again when those change. */
export type Probe = (shapes: readonly Shape[]) => readonly Digest[]

/**
 * The contract of a store: where revocations live. Failures are `RescindError`s; what could not be asked is never answered
 * with "nothing".
 */
export interface Store {
  /** For messages: `memory`, `redis`. */
  readonly kind: string
  /** Merges a statement, and never shortens a life. When it resolves, the revocation is stored as `ack` says. */
  put(target: ParsedTarget, entry: Entry, options: PutOptions): Promise<Stored>
  /** Voids what was revoked for exactly this target. Survives reordering (see `core/revocation`). */
  restore(target: ParsedTarget, options: RestoreOptions): Promise<Restored>
  /** `family`: the name of the family, and of nothing else. */
  advance(family: Digest, mark: Mark, options: AdvanceOptions): Promise<Advancement>
  /**
   * What stands for these digests: from the store itself, never from a copy, within its deadline. It never answers
   * "nothing" for a failure.
   */
  find(probe: Probe): Promise<readonly Held[]>
  /** Walks the change log backwards, newest first, and never scans keys. */
  list(options: ListOptions): Promise<Page>
  /** Reads on from a position, or from the beginning: about `bytesMax` bytes of records, at least one if there is one. */
  readLog(after: string | undefined, bytesMax: number, options?: ReadLogOptions): Promise<LogPage>
  /** Calls back when the log may have grown. Returns what ends it. */
  onBell(listener: BellListener): () => void
  /** Asks every node to announce its position at once. A hint, as every ring. */
  ringForReceipts(): Promise<void>
  /** Says that a node lives, for `NODE_LIFE_MS`. */
  announce(node: NodeStatus): Promise<void>
  /** Takes the line of a node away. */
  retire(id: string): Promise<void>
  /** The nodes that live, by name: all of them, or `ERR_STORE_OVERLOADED`. */
  nodes(): Promise<readonly LiveNode[]>
  /**
   * Takes back what its log has lost, as records of the log: statements and restores with the times they were made
   * at, merged as ever. Returns how many it took; undefined while another node gives back, for one does at a time.
   * Believes no more than a node can have read (`given-records`). Absent where nothing is lost without an error.
   */
  reseed?(records: Buffer, options: ReseedOptions): Promise<number | undefined>
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
/** How many a node knows at the most: with those that went out of use in its life. */
export const KNOWN_SHAPES_MAX = 2 * SHAPES_MAX
/** How many log records one `list` call reads at the most, so that a rare filter cannot hold the store. */
export const LIST_SCAN_MAX = 16_384

/** A node that has not announced itself for so long is taken for dead. */
export const NODE_LIFE_MS = 3000
/** So many that live, or more, cannot be counted: `nodes` throws, and no receipt says that all have a revocation. */
export const NODES_MAX = 10_000
/** How often a node announces itself. */
export const ANNOUNCE_MS = 1000

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

/** Throws `ERR_STORE_OVERLOADED` where there may be more nodes than these: who counts them must not miss one. */
export function assertCountable(nodes: number): void {
  if (nodes < NODES_MAX) return
  throw new RescindError(
    'ERR_STORE_OVERLOADED',
    `${NODES_MAX} nodes, or more, have announced themselves: that is more than can be counted`,
  )
}

export function logChanged(): RescindError {
  return new RescindError(
    'ERR_LOG_CHANGED',
    'the log does not contain this position: begin again with list() and the current position',
  )
}
