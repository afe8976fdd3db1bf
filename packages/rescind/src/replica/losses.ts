/**
 * What the store has lost, as far as this node can tell, and how it gets that back. Of what this node wrote, the log has
 * to tell; and when the log does not continue what was read, all of it is gathered apart and compared with what is known.
 */
import { DIGEST_WORDS } from '../core/probe.js'
import { KIND_RESTORE, RECORD_WORDS, wordsOf } from '../core/record.js'
import { type Entry, missingFrom } from '../core/revocation.js'
import type { Shape } from '../core/target.js'
import { RescindError } from '../errors.js'
import type { Store } from '../stores/store.js'
import type { Surroundings } from '../surroundings.js'
import { applyRecord } from './apply-record.js'
import { Awaited } from './awaited.js'
import type { ReplicaEvent } from './event.js'
import { reseed } from './reseed.js'
import { Table } from './table.js'

export interface LossesOptions {
  readonly store: Store
  /** The id of this node. */
  readonly giver: string
  /** What the node knows. */
  readonly table: Table
  readonly shapes: () => readonly Shape[]
  /** Resolves when everything that stands in the log at the time of the call was read. */
  readonly readToEnd: () => Promise<void>
  readonly tell: (event: ReplicaEvent) => void
  readonly surroundings: Surroundings
}

export class Losses {
  readonly #options: LossesOptions
  /** While the log is read again, and until the store has back what it lost: what the log says. */
  #log: Table | undefined
  #reseeding: AbortController | undefined
  /** What this node's own writes said, until the log has told of it. */
  readonly #awaited = new Awaited()

  constructor(options: LossesOptions) {
    this.#options = options
  }

  /** This node has written that: `words` are those of the digest. */
  wrote(words: Int32Array, entry: Entry, isRestore = false): void {
    this.#awaited.add(words, entry, isRestore)
  }

  /** Marks what this node has written so far. */
  mark(): number {
    return this.#awaited.mark()
  }

  /** Is there anything that this node has written, and the log has yet to tell of? */
  isAwaiting(): boolean {
    return this.#awaited.size > 0
  }

  /** Was something up to the mark not told of by the log? Asked once for each. */
  isMissing(mark: number): boolean {
    return this.#awaited.take(mark)
  }

  /** So many records may come. */
  reserve(count: number): void {
    this.#log?.reserve(count)
  }

  /** The log tells of this record. */
  tell(words: Int32Array, at: number): void {
    if (this.#awaited.size > 0) this.#awaited.tell(words, at)
    if (this.#log !== undefined) applyRecord(this.#log, words, at)
  }

  /** The log is another one: what it holds is gathered apart, to be compared with what is known. */
  expectAll(): void {
    this.stop()
    this.#log = this.#options.store.reseed === undefined ? undefined : new Table()
  }

  /** What the log has shown to be missing is still being given back. */
  isGivingBack(): boolean {
    return this.#log !== undefined
  }

  stop(): void {
    this.#reseeding?.abort()
  }

  /** The log was read to its end: the store gets back what it does not say any more. `isWhole`: this node knows all. */
  giveBack(isWhole: boolean): void {
    const log = this.#log
    if (log === undefined) return
    const { store, giver, table, shapes, readToEnd, tell, surroundings } = this.#options
    const ended = new AbortController()
    this.#reseeding = ended
    reseed({
      store,
      giver,
      table,
      log,
      catchUp: readToEnd,
      shapes: shapes(),
      isWhole,
      now: () => Math.floor(surroundings.now() / 1000),
      onGiven: (records) => this.#await(records, log),
      signal: ended.signal,
      surroundings,
    })
      .then(
        (entries) => {
          if (!ended.signal.aborted) tell({ type: 'reseeded', entries })
        },
        (error: unknown) => {
          if (ended.signal.aborted) return
          const cause =
            error instanceof RescindError
              ? error
              : new RescindError('ERR_STORE_UNAVAILABLE', 'the store could not be given back what it lost', {
                  cause: error,
                })
          tell({ type: 'reseed-failed', cause })
        },
      )
      .finally(() => {
        if (this.#log === log) this.#log = undefined
      })
  }

  /** What was given back may be lost again before it is read. */
  #await(records: Buffer, log: Table): void {
    const words = wordsOf(records)
    const now = Math.floor(this.#options.surroundings.now() / 1000)
    for (let at = 0; at < words.length; at += RECORD_WORDS) {
      const [end = 0, issuedBefore = 0, made = 0, kind = 0] = words.subarray(
        at + DIGEST_WORDS,
        at + RECORD_WORDS,
      )
      const entry = { at: made >>> 0, end: end >>> 0, issuedBefore: issuedBefore >>> 0 }
      const isRestore = (kind & 0xff) === KIND_RESTORE
      // It may have been read before the store's answer came.
      const told = log.stateOf(words, at)
      const isTold = isRestore
        ? told.restoredAt >= entry.at
        : missingFrom({ restoredAt: 0, entries: [entry] }, told, now).length === 0
      if (!isTold) this.#awaited.add(words.slice(at, at + DIGEST_WORDS), entry, isRestore)
    }
  }
}
