/**
 * The contract of what the service keeps beside the revocations, for all of its processes: clients that were made while
 * it ran, answers that are repeated for the same idempotency key, assertions that were used, and the audit trail. Every
 * implementation runs the suite in `test/records/contract.ts`.
 *
 * - `write` is atomic: of several that write what is not there yet (`isNew`), or replace the same (`replaces`), one is
 *   told true.
 * - What has a life (`once`, and nothing else) is gone when it has ended; what has none stays.
 * - The trail is bounded: its oldest entries go, and what finds them by what they are about goes with them. It may be
 *   longer by `TRAIL_SLACK` entries for each process, and by more for a while where the bound was lowered. It never tells
 *   of an entry twice, nor out of order.
 * - Failures are `RescindError`s as those of a store, and nothing is answered in the place of one.
 */
import { RescindError } from 'rescind'

/**
 * `client`: clients by id. `once`: answers by idempotency key, and assertions that were used (RFC 7523 §3, `jti`). A
 * failover that loses what was just written may have either done again: an assertion within its life, an hour at most.
 */
export type RecordKind = 'client' | 'once'
/** The kinds that have no life. */
export type LastingKind = Exclude<RecordKind, 'once'>

export interface WriteOptions {
  /** Removed after so many seconds: for `once`, and only for it. */
  readonly lifeSeconds?: number | undefined
  /** Write only where nothing stands. Default false. */
  readonly isNew?: boolean | undefined
  /** Write only where exactly this stands; not for `once`. Default: whatever stands. */
  readonly replaces?: string | undefined
}

export interface TrailEntry {
  /** Made by the store; later entries have later ids. */
  readonly id: string
  readonly text: string
}

export interface TrailOptions {
  /** How many entries, 1 to 1,000. */
  readonly limit: number
  /** Those before this one: the `cursor` of a page. Default: from the end on. */
  readonly before?: string | undefined
  /** Only those that were appended with this; however far back, at the cost of what is found. */
  readonly about?: string | undefined
}

export interface TrailPage {
  /** Newest first. */
  readonly entries: readonly TrailEntry[]
  /** For the next page; absent on the last. */
  readonly cursor?: string
}

export interface Records {
  read(kind: RecordKind, id: string): Promise<string | undefined>
  /** True when it was written. */
  write(kind: RecordKind, id: string, text: string, options?: WriteOptions): Promise<boolean>
  /** True when there was something. */
  remove(kind: RecordKind, id: string): Promise<boolean>
  /** All of a kind, by id, at most `RECORDS_MAX`. */
  all(kind: LastingKind): Promise<ReadonlyMap<string, string>>
  /**
   * Adds to the audit trail. Resolves with the entry's id. `about`: by what it is found again, 1 to 64 characters of
   * base64url.
   */
  append(text: string, about?: string): Promise<string>
  /** The trail backwards. Throws `ERR_OPTION_INVALID` for what cannot be used. */
  trail(options: TrailOptions): Promise<TrailPage>
  /** Idempotent. */
  close(): Promise<void>
}

/** How many records without a life there may be of a kind. */
export const RECORDS_MAX = 10_000
export const ID_LENGTH_MAX = 256
/** In UTF-16 units, of a record or an entry. */
export const TEXT_LENGTH_MAX = 262_144
export const TRAIL_LIMIT_MAX = 1000
/** So many entries each process may append before it removes what is too old. */
export const TRAIL_SLACK = 16
const ABOUT = /^[\w-]{1,64}$/
/** 30 days. */
const LIFE_MAX_SECONDS = 2_592_000

/** What every implementation refuses alike, before it writes. */
export function assertWritable(kind: RecordKind, id: string, text: string, options: WriteOptions): void {
  const { lifeSeconds, replaces } = options
  assertId(id)
  assertText(text)
  if ((kind === 'once') !== (lifeSeconds !== undefined))
    throw invalid('records of the kind "once" have a life, and no others')
  if (lifeSeconds !== undefined && !(lifeSeconds > 0 && lifeSeconds <= LIFE_MAX_SECONDS))
    throw invalid(`lifeSeconds must be more than 0 and at most ${LIFE_MAX_SECONDS}`)
  if (kind === 'once' && replaces !== undefined) throw invalid('records of the kind "once" are not compared')
}

function assertText(text: string): void {
  if (text.length > TEXT_LENGTH_MAX) throw invalid(`a record has at most ${TEXT_LENGTH_MAX} characters`)
}

export function assertEntry(text: string, about: string | undefined): void {
  assertText(text)
  assertAbout(about)
}

/** `isCursor`: how an id of the trail looks. */
export function assertPage({ before, limit, about }: TrailOptions, isCursor: RegExp): void {
  assertAbout(about)
  if (!Number.isInteger(limit) || limit < 1 || limit > TRAIL_LIMIT_MAX)
    throw invalid(`limit must be a whole number from 1 to ${TRAIL_LIMIT_MAX}`)
  if (before !== undefined && !isCursor.test(before)) throw invalid('the cursor is none of this trail')
}

export function recordsFull(): RescindError {
  return new RescindError(
    'ERR_STORE_FULL',
    `there are ${RECORDS_MAX} records of this kind already; remove some`,
  )
}

function assertAbout(about: string | undefined): void {
  if (about !== undefined && !ABOUT.test(about))
    throw invalid('what an entry is about has 1 to 64 characters of base64url')
}

function assertId(id: string): void {
  if (id === '' || id.length > ID_LENGTH_MAX)
    throw invalid(`the id of a record has 1 to ${ID_LENGTH_MAX} characters`)
}

function invalid(message: string): RescindError {
  return new RescindError('ERR_OPTION_INVALID', message)
}
