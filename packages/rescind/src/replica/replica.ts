/**
 * The replica: a node's own copy of what is revoked, in memory. A check is a few reads of typed arrays: no I/O,
 * no `await`, and nothing is made on the way. It says how fresh it is; whoever asks decides whether that will do.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.js'
import { DIGEST_WORDS, type KnownDigests, ProbeSet } from '../core/probe.js'
import { KIND_RESTORE, KIND_REVOKE, RECORD_WORDS, wordsOf } from '../core/record.js'
import {
  type Entry,
  findDeadly,
  isSameEntry,
  latestEnd,
  missingFrom,
  type Revocation,
  type State,
  toRevocation,
} from '../core/revocation.js'
import { isUnnamed, own, type ParsedTarget, type Shape, type Subject } from '../core/target.js'
import { RescindError } from '../errors.js'
import { EventStream } from '../event-stream.js'
import { shapeKey, type Store } from '../stores/store.js'
import { Awaited } from './awaited.js'
import { Follower, type ReplicaEvent } from './follower.js'
import { reseed } from './reseed.js'
import { Table } from './table.js'
import { MACHINE, type Surroundings } from '../surroundings.js'

export interface ReplicaOptions {
  /** Past this many milliseconds without an answer of the store, it is not fresh. 50 to 60,000. */
  readonly stalenessMaxMs: number
  /** The name of this node in lists and receipts, at most 128 characters. Default: host name and process number. */
  readonly name?: string | undefined
  /** Time and chance. Default: the machine's. */
  readonly surroundings?: Surroundings | undefined
}

/** Told of every revocation as it arrives: the words of a log record, from `offset` on. */
export type RevokedListener = (words: Int32Array, offset: number) => void

/** Polls within the bound: one may be lost, and the next still comes in time. */
const POLLS_PER_BOUND = 4
/** The whole table is looked through for what has ended once in so many milliseconds. */
const SWEEP_PERIOD_MS = 60_000
const SWEEP_STEPS_MAX = 4096
/** How many slots of the table one step of a sweep looks at. */
const SWEEP_STEP_SLOTS = 14
/** Kept so long after the end, for clocks that differ. */
const SWEEP_GRACE_SECONDS = 60
/** For so many records of a page the processor fetches memory at once. */
const TOUCHED_AHEAD = 16
/** A time at which no statement had ended: whatever is found then is said still, or was said once. */
const BEGINNING = 0

export class Replica {
  readonly id = randomUUID()
  readonly name: string
  readonly stalenessMaxMs: number
  readonly #store: Store
  readonly #table = new Table()
  readonly #follower: Follower
  readonly #events = new EventStream<ReplicaEvent>()
  readonly #surroundings: Surroundings
  readonly #listeners = new Set<RevokedListener>()
  readonly #shapesListeners = new Set<() => void>()
  #probes = new ProbeSet([])
  /** While the log is read again, and until the store has back what it lost: what the log says. */
  #log: Table | undefined
  #reseeding: AbortController | undefined
  /** What this node's own writes said, until the log has told of it. */
  readonly #awaited = new Awaited()
  /** Where among the words of `#probes` `#find` met the revocation. */
  #foundAt = 0
  /** The shapes that the store told of. */
  #told: readonly Shape[] = []
  /** Those used here before the store told of them: a read under way may not have seen them yet. */
  #own: readonly Shape[] = []
  /** The clock of the sweep, in milliseconds since 1970: never more than twice as fast as time itself. */
  #sweepNowMs: number
  /** Means nothing; V8 leaves out what nobody keeps. */
  #touched = 0

  constructor(store: Store, options: ReplicaOptions) {
    const { stalenessMaxMs, surroundings = MACHINE } = options
    this.#store = store
    this.name = options.name ?? `${hostname()}:${process.pid}`
    this.stalenessMaxMs = stalenessMaxMs
    this.#surroundings = surroundings
    this.#sweepNowMs = surroundings.now()
    this.#follower = new Follower(
      store,
      {
        useShapes: (shapes) => this.#useShapes(shapes),
        reserve: (count) => {
          this.#table.reserve(count)
          this.#log?.reserve(count)
        },
        apply: (records, start, end) => this.#apply(records, start, end),
        reread: () => this.#expectAll(),
        awaited: () => this.#awaited.mark(),
        isMissing: (mark) => this.#awaited.take(mark),
        complete: (isWhole) => this.#giveBack(isWhole),
        isGivingBack: () => this.#log !== undefined,
        tidy: (elapsedMs) => this.#tidy(elapsedMs),
        describe: () => ({ id: this.id, name: this.name, entries: this.size }),
        tell: (event) => this.#events.publish(event),
      },
      { periodMs: Math.max(5, Math.floor(stalenessMaxMs / POLLS_PER_BOUND)), surroundings },
    )
  }

  /** Begins to follow the store. Idempotent; a check that needs it does the same. */
  start(): void {
    this.#follower.start()
  }

  get isStarted(): boolean {
    return this.#follower.isStarted
  }

  /** Milliseconds since it last knew everything that the store had acknowledged. Infinity: it does not know. */
  get stalenessMs(): number {
    return this.#follower.stalenessMs
  }

  /** How many statements it holds. */
  get size(): number {
    return this.#table.size
  }

  /** The memory it takes, in bytes. */
  get bytes(): number {
    return this.#table.bytes
  }

  /** How far it has read the store's log. */
  get position(): string {
    return this.#follower.position
  }

  /**
   * Is the subject revoked, as far as this node knows? `now`: seconds since 1970. Throws `ERR_CLAIM_INVALID` for a
   * claim that cannot be compared in full. What it answers is as fresh as `stalenessMs` says.
   */
  isRevoked(subject: Subject, now: number): boolean {
    return this.mentions(subject) && this.#find(subject, now) !== -1
  }

  /**
   * Is anything said of the subject, whatever its times? Of most nothing is, and then nobody needs the clock or
   * the `iat`. Throws as `isRevoked`.
   */
  mentions(subject: Subject): boolean {
    const probes = this.#probes
    if (subject.knownBy !== probes) return this.#holds(probes.words, probes.write(subject))
    const known = subject as KnownDigests
    if (known.knownCount === 0) return false
    const { known0, known1, known2, known3, knownRest } = known
    if (this.#table.findDigest(known0, known1, known2, known3, undefined, BEGINNING) !== -1) return true
    return knownRest !== undefined && this.#holds(knownRest, knownRest.length)
  }

  /** The revocation that makes the subject dead, without reason and actor, which only the store knows. */
  find(subject: Subject, now: number): Revocation | undefined {
    const handle = this.#find(subject, now)
    if (handle === -1) return undefined
    return this.#revocation(subject, this.#foundAt, {
      at: this.#table.atOf(handle),
      end: this.#table.endOf(handle),
      issuedBefore: this.#table.issuedBeforeOf(handle),
    })
  }

  /**
   * The same, by what still stands when other restores are known than those that the log has told of: `restoredAt`
   * gives the latest of a digest, 0 without one.
   */
  findStanding(
    subject: Subject,
    now: number,
    restoredAt: (digest: Digest) => number,
  ): Revocation | undefined {
    const words = this.digestsOf(subject)
    const iat = own(subject.claims, 'iat')
    for (let offset = 0; offset < words.length; offset += DIGEST_WORDS) {
      const { entries } = this.#table.stateOf(words, offset)
      if (entries.length === 0) continue
      const restored = restoredAt(digestAt(words, offset))
      const standing = entries.filter(({ at }) => at > restored)
      const entry = findDeadly({ restoredAt: restored, entries: standing }, iat, now)
      if (entry !== undefined) return this.#revocation(subject, offset, entry)
    }
    return undefined
  }

  /** True when claims alone cannot tell whether this token was revoked by its digest. */
  isUnnamed(subject: Subject): boolean {
    return (
      this.#probes.usesTokenDigest &&
      subject.tokenDigest === undefined &&
      isUnnamed(this.#probes.shapes, subject)
    )
  }

  /**
   * What a store said of a target, known here before the log tells of it. The log must tell of what is `told`; other
   * statements may have ended, and left the log.
   */
  learn({ digest, shape }: Pick<ParsedTarget, 'digest' | 'shape'>, state: State, told: Entry): void {
    if (!includesShape(this.#probes.shapes, shape)) {
      this.#own = [...this.#own, shape]
      this.#setShapes()
    }
    const record = recordOf(digest)
    for (const entry of state.entries) {
      if (!this.#table.revoke(record, 0, entry.end, entry.issuedBefore, entry.at)) continue
      if (isSameEntry(entry, told)) this.#awaited.add(record, entry)
      for (const listener of this.#listeners) listener(record, 0)
    }
  }

  /** The same for a restore: statements up to and in this second are void. */
  learnRestore(target: ParsedTarget, restoredAt: number): void {
    const record = recordOf(target.digest)
    const { entries } = this.#table.stateOf(record, 0)
    const voided = entries.filter(({ at }) => at <= restoredAt)
    if (voided.length === 0) return
    this.#table.restore(record, 0, restoredAt, latestEnd({ restoredAt, entries: voided }))
    this.#awaited.add(record, { at: restoredAt, end: 0, issuedBefore: 0 }, true)
  }

  /** Resolves when it knows whatever the store had acknowledged before this call. Rejects with why it cannot. */
  catchUp(): Promise<void> {
    return this.#follower.catchUp()
  }

  /** What stands under a digest, for those who compare. */
  stateOf(target: ParsedTarget): State {
    const words = new Int32Array(DIGEST_WORDS)
    Buffer.from(words.buffer).set(digestToBytes(target.digest))
    return this.#table.stateOf(words, 0)
  }

  /** Calls back for every revocation that arrives, and when a shape comes into use. Returns what ends it. */
  onRevoked(listener: RevokedListener, onShapes: () => void): () => void {
    this.#listeners.add(listener)
    this.#shapesListeners.add(onShapes)
    return () => {
      this.#listeners.delete(listener)
      this.#shapesListeners.delete(onShapes)
    }
  }

  /** The digests that the subject may be revoked under, four words each: a copy. */
  digestsOf(subject: Subject): Int32Array {
    return this.#probes.words.slice(0, this.#probes.write(subject))
  }

  /** What happens to it from now on. */
  events(options: { signal?: AbortSignal } = {}): AsyncIterableIterator<ReplicaEvent> {
    return this.#events.subscribe(options)
  }

  /** Ends following, and takes this node from the list. Idempotent. */
  async close(): Promise<void> {
    this.#reseeding?.abort()
    await this.#follower.close()
    this.#events.end()
  }

  #revocation(subject: Subject, offset: number, entry: Entry): Revocation {
    const target = this.#probes.targetAt(subject, offset / DIGEST_WORDS) ?? {}
    return toRevocation(digestAt(this.#probes.words, offset), target, entry)
  }

  /** The statement that makes the subject dead the longest, or -1. */
  #find(subject: Subject, now: number): number {
    const { words } = this.#probes
    const count = this.#probes.write(subject)
    const iat = own(subject.claims, 'iat')
    let found = -1
    for (let offset = 0; offset < count; offset += DIGEST_WORDS) {
      const handle = this.#table.find(words, offset, iat, now)
      if (handle === -1) continue
      if (found !== -1 && this.#table.endOf(handle) <= this.#table.endOf(found)) continue
      found = handle
      this.#foundAt = offset
    }
    return found
  }

  /** Does anything stand under one of these digests? */
  #holds(words: Int32Array, count: number): boolean {
    for (let offset = 0; offset < count; offset += DIGEST_WORDS) {
      if (this.#table.find(words, offset, undefined, BEGINNING) !== -1) return true
    }
    return false
  }

  /** Keeps the digests with a subject that will be asked about again. */
  remember(subject: KnownDigests & Subject): void {
    if (subject.knownBy !== this.#probes) this.#probes.remember(subject)
  }

  #useShapes(shapes: readonly Shape[]): void {
    if (shapes === this.#told) return
    this.#told = shapes
    this.#own = this.#own.filter((shape) => !includesShape(shapes, shape))
    this.#setShapes()
  }

  #setShapes(): void {
    const shapes = [...this.#told, ...this.#own]
    const before = this.#probes.shapes
    if (shapes.length === before.length && shapes.every((shape) => includesShape(before, shape))) return
    this.#probes = new ProbeSet(shapes)
    for (const listener of this.#shapesListeners) listener()
  }

  #apply(records: Buffer, start: number, end: number): void {
    const words = wordsOf(records.subarray(start, end))
    const listeners = this.#listeners.size > 0 ? this.#listeners : undefined
    for (let at = 0; at < words.length; at += RECORD_WORDS) {
      if (at % (TOUCHED_AHEAD * RECORD_WORDS) === 0) this.#touch(words, at)
      const isNew = applyRecord(this.#table, words, at)
      if (this.#awaited.size > 0) this.#awaited.tell(words, at)
      if (isNew && listeners !== undefined) for (const listener of listeners) listener(words, at)
      if (this.#log !== undefined) applyRecord(this.#log, words, at)
    }
  }

  /** The log is another one: what it holds is gathered apart, to be compared with what is known. */
  #expectAll(): void {
    this.#reseeding?.abort()
    this.#log = this.#store.reseed === undefined ? undefined : new Table()
  }

  /** The log was read to its end: the store gets back what it does not say any more. */
  #giveBack(isWhole: boolean): void {
    const log = this.#log
    if (log === undefined) return
    const ended = new AbortController()
    this.#reseeding = ended
    const now = () => Math.floor(this.#surroundings.now() / 1000)
    const { shapes } = this.#probes
    reseed({
      store: this.#store,
      giver: this.id,
      table: this.#table,
      log,
      catchUp: () => this.#follower.readToEnd(),
      shapes,
      isWhole,
      now,
      onGiven: (records) => this.#await(records, log),
      signal: ended.signal,
      surroundings: this.#surroundings,
    })
      .then(
        (entries) => {
          if (!ended.signal.aborted) this.#events.publish({ type: 'reseeded', entries })
        },
        (error: unknown) => {
          if (ended.signal.aborted) return
          const cause =
            error instanceof RescindError
              ? error
              : new RescindError('ERR_STORE_UNAVAILABLE', 'the store could not be given back what it lost', {
                  cause: error,
                })
          this.#events.publish({ type: 'reseed-failed', cause })
        },
      )
      .finally(() => {
        if (this.#log === log) this.#log = undefined
      })
  }

  /** What was given back may be lost again before it is read. */
  #await(records: Buffer, log: Table): void {
    const words = wordsOf(records)
    const now = Math.floor(this.#surroundings.now() / 1000)
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

  #touch(words: Int32Array, offset: number): void {
    const end = Math.min(offset + TOUCHED_AHEAD * RECORD_WORDS, words.length)
    for (let at = offset; at < end; at += RECORD_WORDS) this.#touched ^= this.#table.touch(words, at)
  }

  #tidy(elapsedMs: number): void {
    // A clock that jumps, to either side, makes nobody forget a revocation.
    const ahead = this.#surroundings.now() - this.#sweepNowMs
    if (ahead > 0) this.#sweepNowMs += Math.min(ahead, 2 * elapsedMs)
    const steps = Math.ceil(((this.#table.capacity / SWEEP_STEP_SLOTS) * elapsedMs) / SWEEP_PERIOD_MS)
    const until = Math.floor(this.#sweepNowMs / 1000) - SWEEP_GRACE_SECONDS
    this.#table.sweep(until, Math.min(steps, SWEEP_STEPS_MAX))
  }
}

function recordOf(digest: Digest): Int32Array {
  const record = new Int32Array(RECORD_WORDS)
  Buffer.from(record.buffer).set(digestToBytes(digest))
  return record
}

function digestAt(words: Int32Array, offset: number): Digest {
  return digestFromBytes(Buffer.from(words.slice(offset, offset + DIGEST_WORDS).buffer), 0)
}

function includesShape(shapes: readonly Shape[], shape: Shape): boolean {
  const key = shapeKey(shape)
  return shapes.some((other) => shapeKey(other) === key)
}

/** True when the record is a revocation that says more than the table did. */
function applyRecord(table: Table, words: Int32Array, at: number): boolean {
  const [ends, before, made] = [words[at + 4] as number, words[at + 5] as number, words[at + 6] as number]
  const kind = (words[at + 7] as number) & 0xff
  switch (kind) {
    case KIND_REVOKE:
      return table.revoke(words, at, ends >>> 0, before >>> 0, made >>> 0)
    case KIND_RESTORE:
      table.restore(words, at, made >>> 0, ends >>> 0)
      return false
    default:
      throw new RescindError('ERR_STORE_CORRUPT', `the log holds a record of kind ${kind}; upgrade this node`)
  }
}
