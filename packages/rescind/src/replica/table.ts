/**
 * The revocations that a node holds in memory: each digest has the state that `core/revocation.ts` describes, statements
 * of which none says all that another says, and a mark of the last restore. Replaying the log twice or out of order ends
 * in the same. Where they lie is for `slots.ts`.
 */
import { ANY_TIME, EMPTY_STATE, type Entry, merge, type State } from '../core/revocation.js'
import { RescindError } from '../errors.js'
import { AT, END, ISSUED_BEFORE, Slots, type SlotsOptions, VOID } from './slots.js'

/** How many statements of one digest stand side by side before a new one absorbs the oldest. */
export const STATEMENTS_MAX = 64
/** How many chunks one step shows: at most some 200 statements. */
const SHOWN_CHUNKS = 16

export interface TableState {
  /** The digest: four little-endian 32-bit words, a copy. */
  readonly words: Int32Array
  readonly state: State
  /** Until when the restore is remembered, in seconds since 1970; 0 without one. */
  readonly keptUntil: number
}

/** Times are whole seconds since 1970, from 0 to 2^32 - 1; `words` and `offset` say where a digest lies. */
export class Table {
  readonly #slots: Slots
  /** Handles of everything that is held for the digest at hand. */
  readonly #matches = new Int32Array(STATEMENTS_MAX + 1)

  constructor(options: SlotsOptions = {}) {
    this.#slots = new Slots(options)
  }

  /** How many statements are held, ended ones too until they are swept. */
  get size(): number {
    return this.#slots.used - this.#slots.marks
  }

  /** How many slots there are, of which at most 80 % are used. */
  get capacity(): number {
    return this.#slots.capacity
  }

  /** Bytes of all arrays. */
  get bytes(): number {
    return this.#slots.bytes
  }

  /** How many chunks from its home the farthest entry was put, since the table last grew or shrank. */
  get probeMax(): number {
    return this.#slots.probeMax
  }

  /** True while entries move to a larger or smaller table. */
  get isMoving(): boolean {
    return this.#slots.isMoving
  }

  /** How many chunks were moved or swept in all, so that tests can bound what one operation does. */
  get work(): number {
    return this.#slots.work
  }

  /**
   * A handle of the statement that makes a token dead at `now`, the one with the latest end if there are
   * several; -1 without one. Handles are valid until the next change or sweep. Allocates nothing.
   */
  find(words: Int32Array, offset: number, iat: unknown, now: number): number {
    return this.findDigest(
      words[offset] as number,
      words[offset + 1] as number,
      words[offset + 2] as number,
      words[offset + 3] as number,
      iat,
      now,
    )
  }

  /** The same for a digest given by its words. */
  findDigest(a: number, b: number, c: number, d: number, iat: unknown, now: number): number {
    return this.#slots.findDigest(a, b, c, d, iat, now)
  }

  /** Dead until this second, exclusive. */
  endOf(handle: number): number {
    return this.#slots.read(handle, END)
  }

  /** Tokens issued up to and in this second are dead; `ANY_TIME` for all. */
  issuedBeforeOf(handle: number): number {
    return this.#slots.read(handle, ISSUED_BEFORE)
  }

  /** When the statement was made. */
  atOf(handle: number): number {
    return this.#slots.read(handle, AT)
  }

  /**
   * Reads what a change of this digest will read first. For some digests ahead, one after the other, the processor
   * waits for memory once for all of them. What it returns means nothing.
   */
  touch(words: Int32Array, offset: number): number {
    return this.#slots.touch(words, offset)
  }

  /** Adds a statement. False when the table says as much already, or a restore made it void. */
  revoke(words: Int32Array, offset: number, end: number, issuedBefore: number, at: number): boolean {
    checkTimes(end, issuedBefore, at)
    this.#slots.makeRoom()
    // What looks like a mark would be lost as a revocation; the next value covers more by one second of 2106.
    const before = issuedBefore === VOID ? ANY_TIME : issuedBefore
    const hash = this.#slots.hashOf(words, offset)
    const count = this.#slots.collect(words, offset, hash, this.#matches)
    for (let i = 0; i < count; i++) {
      const handle = this.#matches[i] as number
      if (this.#isMark(handle) ? this.atOf(handle) >= at : this.#dominates(handle, end, before, at))
        return false
    }
    const oldest = this.#oldestToAbsorb(count, end, before, at)
    if (oldest === -1) this.#replace(words, offset, hash, count, end, before, at)
    else {
      const latestEnd = Math.max(end, this.endOf(oldest))
      const latestBefore = Math.max(before, this.issuedBeforeOf(oldest))
      this.#replace(words, offset, hash, count, latestEnd, latestBefore, Math.max(at, this.atOf(oldest)))
    }
    return true
  }

  /**
   * Makes every statement up to and in `restoredAt` void, those to come too, and remembers it until
   * `keptUntil`. False when the table says as much already.
   */
  restore(words: Int32Array, offset: number, restoredAt: number, keptUntil: number): boolean {
    checkTimes(restoredAt, keptUntil, 0)
    this.#slots.makeRoom()
    const hash = this.#slots.hashOf(words, offset)
    const count = this.#slots.collect(words, offset, hash, this.#matches)
    let changed = false
    let mark = -1
    for (let i = 0; i < count; i++) {
      const handle = this.#matches[i] as number
      if (this.#isMark(handle)) mark = handle
      else if (this.atOf(handle) <= restoredAt) {
        this.#slots.remove(handle, hash)
        changed = true
      }
    }
    if (mark === -1) {
      this.#slots.insert(words, offset, hash, keptUntil, VOID, restoredAt)
      return true
    }
    if (this.#slots.raise(mark, AT, restoredAt)) changed = true
    if (this.#slots.raise(mark, END, keptUntil)) changed = true
    return changed
  }

  /** All that is held for a digest. Reason and actor are not kept. */
  stateOf(words: Int32Array, offset: number): State {
    const count = this.#slots.collect(words, offset, this.#slots.hashOf(words, offset), this.#matches)
    const gathered: Gathered = { words: EMPTY_WORDS, restoredAt: 0, keptUntil: 0, entries: [] }
    for (let i = 0; i < count; i++) this.#gather(gathered, this.#matches[i] as number)
    return toState(gathered)
  }

  /**
   * Every digest with its state. The table may change between two steps: what is held all the while comes
   * exactly once, because the order is that of the hashes, which no growth changes.
   */
  *states(): Generator<TableState, void, undefined> {
    for (let low = 0; low < 2 ** 32;) {
      const { chunks } = this.#slots
      const high = Math.min(low + Math.ceil(2 ** 32 / chunks), 2 ** 32)
      for (const gathered of this.#gatherRange(low, high)) {
        yield { words: gathered.words, state: toState(gathered), keptUntil: gathered.keptUntil }
      }
      low = high
    }
  }

  /**
   * Shows every statement: the words in which it stands from `base` on, in the order of a record of the log. A step for
   * each value that is taken, and between two the table may change, as with `states`.
   */
  *statements(show: (words: Int32Array, base: number) => void): Generator<void, void, undefined> {
    for (let low = 0; low < 2 ** 32; yield) {
      const { chunks } = this.#slots
      const high = Math.min(low + Math.ceil((SHOWN_CHUNKS * 2 ** 32) / chunks), 2 ** 32)
      this.#slots.visitRange(low, high, (slab, base) => {
        if ((slab[base + ISSUED_BEFORE] as number) >>> 0 !== VOID) show(slab, base)
      })
      low = high
    }
  }

  /**
   * Looks at `steps` chunks (14 slots each; 0.1 to 0.7 µs) from where the last call stopped, and removes what
   * ended by `now`. While entries move, the steps move them first. Returns how many it removed, marks of
   * restores included. A round of all chunks (`capacity / 14`) that leaves the table nearly empty shrinks it.
   */
  sweep(now: number, steps: number): number {
    return this.#slots.sweep(now, steps)
  }

  /** Asks for room for `count` entries in all, before many are added: a hint. Takes effect over the next operations. */
  reserve(count: number): void {
    this.#slots.reserve(count)
  }

  /** Of `count` matches, the oldest statement when no more can stand beside a new one; else -1. */
  #oldestToAbsorb(count: number, end: number, issuedBefore: number, at: number): number {
    let beside = 0
    let oldest = -1
    for (let i = 0; i < count; i++) {
      const handle = this.#matches[i] as number
      if (this.#isMark(handle) || this.#isDominated(handle, end, issuedBefore, at)) continue
      if (oldest === -1 || this.atOf(handle) < this.atOf(oldest)) oldest = handle
      beside++
    }
    return beside < STATEMENTS_MAX ? -1 : oldest
  }

  /** Puts a statement in place of those, of `count` matches, that it dominates. */
  #replace(
    words: Int32Array,
    offset: number,
    hash: number,
    count: number,
    end: number,
    issuedBefore: number,
    at: number,
  ): void {
    for (let i = 0; i < count; i++) {
      const handle = this.#matches[i] as number
      if (this.#isMark(handle) || !this.#isDominated(handle, end, issuedBefore, at)) continue
      this.#slots.remove(handle, hash)
    }
    this.#slots.insert(words, offset, hash, end, issuedBefore, at)
  }

  #isMark(handle: number): boolean {
    return this.issuedBeforeOf(handle) === VOID
  }

  /** Does the statement held say all that another one says? */
  #dominates(handle: number, end: number, issuedBefore: number, at: number): boolean {
    return this.atOf(handle) >= at && this.endOf(handle) >= end && this.issuedBeforeOf(handle) >= issuedBefore
  }

  #isDominated(handle: number, end: number, issuedBefore: number, at: number): boolean {
    return at >= this.atOf(handle) && end >= this.endOf(handle) && issuedBefore >= this.issuedBeforeOf(handle)
  }

  #gather(into: Gathered, handle: number): void {
    const at = this.atOf(handle)
    const end = this.endOf(handle)
    if (this.#isMark(handle)) {
      into.restoredAt = at
      into.keptUntil = end
    } else into.entries.push({ at, end, issuedBefore: this.issuedBeforeOf(handle) })
  }

  /** All digests whose hash, unsigned, is at least `low` and less than `high`. */
  #gatherRange(low: number, high: number): Iterable<Gathered> {
    const found = new Map<string, Gathered>()
    this.#slots.visitRange(low, high, (slab, base, handle) => {
      const words = slab.slice(base, base + 4)
      const key = words.join()
      const gathered = found.get(key) ?? { words, restoredAt: 0, keptUntil: 0, entries: [] }
      found.set(key, gathered)
      this.#gather(gathered, handle)
    })
    return found.values()
  }
}

interface Gathered {
  words: Int32Array
  restoredAt: number
  keptUntil: number
  entries: Entry[]
}

const EMPTY_WORDS = new Int32Array(4)

/** In the order and form that `core` gives to states. */
function toState({ restoredAt, entries }: Gathered): State {
  return merge({ restoredAt, entries }, EMPTY_STATE)
}

/** A number that does not fit would be stored as an earlier time, which ends a revocation too soon. */
function checkTimes(a: number, b: number, c: number): void {
  if (a >>> 0 === a && b >>> 0 === b && c >>> 0 === c) return
  throw new RescindError('ERR_OPTION_INVALID', `times are whole seconds below 2^32, not ${a}, ${b}, ${c}`)
}
