/**
 * The replica: a node's own copy of what is revoked, in memory. A check is a few reads of typed arrays: no I/O,
 * no `await`, and nothing is made on the way. It says how fresh it is; whoever asks decides whether that will do.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type Digest, digestFromWords, digestToWords } from '../core/digest.js'
import { DIGEST_WORDS, type KnownDigests, ProbeSet } from '../core/probe.js'
import { RECORD_WORDS, wordsOf } from '../core/record.js'
import {
  type Entry,
  findDeadly,
  isSameEntry,
  latestEnd,
  type Revocation,
  type State,
  toRevocation,
} from '../core/revocation.js'
import { isUnnamed, own, type ParsedTarget, type Shape, type Subject } from '../core/target.js'
import { EventStream } from '../event-stream.js'
import { NODE_LIFE_MS, type Restored, type Store } from '../stores/store.js'
import { applyRecord } from './apply-record.js'
import type { ReplicaEvent } from './event.js'
import { Follower } from './follower.js'
import { Losses } from './losses.js'
import { ShapesInUse } from './shapes-in-use.js'
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

/** Told of every revocation as it arrives: the words of its digest, from `offset` on. */
export type RevokedListener = (words: Int32Array, offset: number) => void

/** In UTF-16 units. */
export const NODE_NAME_LENGTH_MAX = 128
/** Leaves room for the number of the process. */
const HOST_NAME_LENGTH_MAX = NODE_NAME_LENGTH_MAX - 16
/** Polls within the bound: one may be lost, and the next still comes in time. */
const POLLS_PER_BOUND = 4
const POLL_MS_MIN = 5
/** However large the bound: a node announces itself when it polls, and its line lives for `NODE_LIFE_MS`. */
const POLL_MS_MAX = NODE_LIFE_MS - 500
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

/** A node’s own copy of the store in memory, fed by its log, that knows how fresh it is. */
export class Replica {
  readonly id = randomUUID()
  readonly name: string
  readonly stalenessMaxMs: number
  readonly #table = new Table()
  readonly #follower: Follower
  readonly #events = new EventStream<ReplicaEvent>()
  readonly #surroundings: Surroundings
  readonly #listeners = new Set<RevokedListener>()
  readonly #shapesListeners = new Set<() => void>()
  #probes = new ProbeSet([])
  readonly #shapes = new ShapesInUse((shapes) => this.#setShapes(shapes))
  readonly #losses: Losses
  /** Where among the words of `#probes` `#find` met the revocation. */
  #foundAt = 0
  /** The clock of the sweep, in milliseconds since 1970: never more than twice as fast as time itself. */
  #sweepNowMs: number
  /** Means nothing; V8 leaves out what nobody keeps. */
  #touched = 0

  constructor(store: Store, options: ReplicaOptions) {
    const { stalenessMaxMs, surroundings = MACHINE } = options
    this.name = options.name ?? `${hostname().slice(0, HOST_NAME_LENGTH_MAX)}:${process.pid}`
    this.stalenessMaxMs = stalenessMaxMs
    this.#surroundings = surroundings
    this.#sweepNowMs = surroundings.now()
    const tell = (event: ReplicaEvent) => this.#events.publish(event)
    this.#losses = new Losses({
      store,
      giver: this.id,
      table: this.#table,
      shapes: () => this.#probes.shapes,
      readToEnd: () => this.#follower.readToEnd(),
      tell,
      surroundings,
    })
    const sink = {
      useShapes: (shapes: readonly Shape[]) => this.#shapes.use(shapes),
      reserve: (count: number) => {
        this.#table.reserve(count)
        this.#losses.reserve(count)
      },
      apply: (records: Buffer, start: number, end: number) => this.#apply(records, start, end),
      tidy: (elapsedMs: number) => this.#tidy(elapsedMs),
      describe: () => ({ id: this.id, name: this.name, entries: this.size }),
      tell,
    }
    const periodMs = pollPeriod(stalenessMaxMs)
    this.#follower = new Follower(store, sink, this.#losses, { periodMs, surroundings })
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

  /**
   * Does it know everything that the store had acknowledged so many milliseconds ago? Never by a number that is none,
   * and by none, `Infinity` included, while it does not know.
   */
  isFreshWithin(ms: number): boolean {
    const { stalenessMs } = this
    return stalenessMs <= ms && stalenessMs < Infinity
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
      const restored = restoredAt(digestFromWords(words, offset))
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
    this.#shapes.add(shape)
    const words = digestToWords(digest)
    for (const entry of state.entries) {
      if (!this.#table.revoke(words, 0, entry.end, entry.issuedBefore, entry.at)) continue
      if (isSameEntry(entry, told)) this.#losses.wrote(words, entry)
      for (const listener of this.#listeners) listener(words, 0)
    }
  }

  /**
   * The same for a restore: statements up to and in this second are void. Those of other nodes may not have been read of
   * yet: should the store lose all of it now, they give theirs back, and this node what ended them.
   */
  learnRestore(target: ParsedTarget, { restoredAt, keptUntil = 0 }: Restored): void {
    const words = digestToWords(target.digest)
    const known = this.#table.stateOf(words, 0)
    // The log has told of it before the answer came, and does not tell it again.
    if (known.restoredAt >= restoredAt) return
    const voided = known.entries.filter(({ at }) => at <= restoredAt)
    const end = Math.max(keptUntil, latestEnd({ restoredAt, entries: voided }))
    if (end === 0) return
    this.#table.restore(words, 0, restoredAt, end)
    this.#losses.wrote(words, { at: restoredAt, end: 0, issuedBefore: 0 }, true)
  }

  /** Resolves when it knows whatever the store had acknowledged before this call. Rejects with why it cannot. */
  catchUp(): Promise<void> {
    return this.#follower.catchUp()
  }

  /** Resolves when this node has told the store that it lives, or has found that it may not. */
  whenAnnounced(): Promise<void> {
    return this.#follower.whenAnnounced()
  }

  /** What stands under a digest, for those who compare. */
  stateOf(target: ParsedTarget): State {
    return this.#table.stateOf(digestToWords(target.digest), 0)
  }

  /** Shows every statement that it holds, step by step, as `Table.statements` does. */
  statements(show: (words: Int32Array, base: number) => void): Generator<void, void, undefined> {
    return this.#table.statements(show)
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
    this.#losses.stop()
    await this.#follower.close()
    this.#events.end()
  }

  #revocation(subject: Subject, offset: number, entry: Entry): Revocation {
    const target = this.#probes.targetAt(subject, offset / DIGEST_WORDS) ?? {}
    return toRevocation(digestFromWords(this.#probes.words, offset), target, entry)
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

  #setShapes(shapes: readonly Shape[]): void {
    this.#probes = new ProbeSet(shapes)
    for (const listener of this.#shapesListeners) listener()
  }

  #apply(records: Buffer, start: number, end: number): void {
    const words = wordsOf(records.subarray(start, end))
    const listeners = this.#listeners.size > 0 ? this.#listeners : undefined
    for (let at = 0; at < words.length; at += RECORD_WORDS) {
      if (at % (TOUCHED_AHEAD * RECORD_WORDS) === 0) this.#touch(words, at)
      const isNew = applyRecord(this.#table, words, at)
      this.#losses.tell(words, at)
      if (isNew && listeners !== undefined) for (const listener of listeners) listener(words, at)
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

function pollPeriod(stalenessMaxMs: number): number {
  return Math.min(Math.max(Math.floor(stalenessMaxMs / POLLS_PER_BOUND), POLL_MS_MIN), POLL_MS_MAX)
}
