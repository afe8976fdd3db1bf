/**
 * The slots of the table: a hash table in typed arrays from digests to any number of slots of three words each, so that
 * a look-up touches one cache line when there is none, ten million entries cost no object and no timer each, and no
 * operation ever stops the process (a `Map` of ten million does, for most of a second). What a slot says is the table's.
 *
 * A look-up begins at the home chunk of its hash (`region.ts`) and goes on while the count of entries that went past is
 * not 0, so a removal leaves no tombstone. A count that reached 255 is not known any more and stays, which costs time
 * and never an entry.
 *
 * The home is `hash * chunks / 2^32`, so a table of any size holds its entries in order of their hashes. It
 * grows and shrinks by moving homes into a new table, a few with each operation and in that order: what lies
 * below the frontier is in the new one, the rest in the old one, and a look-up reads one of them.
 *
 * The chunks lie in slabs, which are made when first written to, and go from the old table to the new one as
 * they empty: growth by a fifth takes a fifth of memory more, where one large array would need both, and
 * V8 collects garbage (some milliseconds) with each large allocation.
 */
import { randomBytes } from 'node:crypto'
import { isIssuedBefore } from '../core/revocation.js'
import { RescindError } from '../errors.js'
import {
  addToCount,
  CHUNK_WORDS,
  COUNT_MAX,
  COUNT_ONE,
  COUNT_SHIFT,
  countAt,
  firstSlot,
  freeSlot,
  hitsOf,
  isSameDigest,
  patternOf,
  Region,
  setTag,
  SLAB_CHUNKS,
  SLAB_MASK,
  SLAB_SHIFT,
  slotBase,
  SLOTS,
  TAG_WORDS,
  tagAt,
  tagOf,
  UNTOUCHED,
} from './region.js'

/** `issuedBefore` of a slot that holds the mark of a restore. One below `ANY_TIME`: no statement has it. */
export const VOID = 0xffff_fffe
/** How many home chunks each operation moves while the table grows or shrinks. */
export const MOVE_CHUNKS = 2
/** A table with an entry as far from home as this grows, full or not; in ten million by chance, it is 25. */
export const PROBE_CHUNKS_MAX = 64

/** Words of a slot after the four of the digest. */
export const END = 4
export const ISSUED_BEFORE = 5
export const AT = 6

/** 67 million, so that a handle has 31 bits. */
const CHUNKS_MAX = 1 << 26

/** 29.2 bytes a slot: 36 bytes an entry when full, 44 after growth. A miss reads 1.5 and 1.1 chunks then. */
const LOAD_MAX = 0.8
const GROWTH = 1.2
const LOAD_SHRINK = 0.3
/** Below this load an entry far from home is bad luck that a larger table would not mend. */
const LOAD_CROWDED = 0.4

/** A time before every end: moving with it drops nothing. */
const NEVER = -1

/** Nobody outside knows it, so nobody can choose digests that collide. */
const SECRET = randomMultipliers()

/** Multipliers of the four words of a digest. */
export type Multipliers = readonly [number, number, number, number]

export interface SlotsOptions {
  /** How many entries to have room for from the start, and never to shrink below. Default 1000. */
  readonly capacity?: number
  /** For tests: in place of the process's secret ones. With zeros all digests collide. */
  readonly multipliers?: Multipliers
}

/** Times are whole seconds since 1970, from 0 to 2^32 - 1; `words` and `offset` say where a digest lies. */
export class Slots {
  readonly #chunksMin: number
  readonly #k0: number
  readonly #k1: number
  readonly #k2: number
  readonly #k3: number
  #current: Region
  /** The table before, while entries move. Holds the homes from `#frontier` on. */
  #old: Region | undefined
  #frontier = 0
  /** Slabs that the old table no longer needs; their tags are zero. */
  #spare: Int32Array[] = []
  #used = 0
  #marks = 0
  /** Chunks asked for by `reserve` and not yet given. */
  #reserved = 0
  #crowded = false
  #cursor = 0
  /** Chunks to sweep before the table may shrink: a whole round, so that a reserve is not undone at once. */
  #sweepsToShrink: number
  #work = 0

  constructor({ capacity = 1000, multipliers = SECRET }: SlotsOptions = {}) {
    this.#chunksMin = chunksFor(capacity)
    this.#current = new Region(this.#chunksMin)
    this.#sweepsToShrink = this.#chunksMin
    ;[this.#k0, this.#k1, this.#k2, this.#k3] = multipliers
  }

  /** How many are in use. */
  get used(): number {
    return this.#used
  }

  /** How many of these hold the mark of a restore. */
  get marks(): number {
    return this.#marks
  }

  /** How many slots there are, of which at most 80 % are used. */
  get capacity(): number {
    return this.#current.chunks * SLOTS
  }

  /** Bytes of all arrays. */
  get bytes(): number {
    let words = this.#current.words + (this.#old?.words ?? 0)
    for (const slab of this.#spare) words += slab.length
    return words * Int32Array.BYTES_PER_ELEMENT
  }

  /** How many chunks from its home the farthest entry was put, since the table last grew or shrank. */
  get probeMax(): number {
    return Math.max(this.#current.probeMax, this.#old?.probeMax ?? 0)
  }

  /** True while entries move to a larger or smaller table. */
  get isMoving(): boolean {
    return this.#old !== undefined
  }

  /** How many chunks were moved or swept in all, so that tests can bound what one operation does. */
  get work(): number {
    return this.#work
  }

  /** How many chunks there are; while entries move, in the larger table. */
  get chunks(): number {
    return Math.max(this.#current.chunks, this.#old?.chunks ?? 0)
  }

  /**
   * A handle of the statement that makes a token dead at `now`, the one with the latest end if there are
   * several; -1 without one. Handles are valid until the next change or sweep. Allocates nothing.
   */
  findDigest(a: number, b: number, c: number, d: number, iat: unknown, now: number): number {
    const hash = this.#hash(a, b, c, d)
    let region = this.#current
    let inOld = 0
    if (this.#old !== undefined && this.#old.homeOf(hash) >= this.#frontier) {
      region = this.#old
      inOld = 1
    }
    const pattern = patternOf(hash)
    const slabs = region.slabs
    const chunks = region.chunks
    let chunk = region.homeOf(hash)
    let found = -1
    let latest = 0
    for (let left = chunks; left > 0; left--) {
      const slab = slabs[chunk >>> SLAB_SHIFT] as Int32Array
      const tags = (chunk & SLAB_MASK) * TAG_WORDS
      const tail = slab[tags + 3] as number
      let hits = hitsOf(slab, tags, pattern)
      while (hits !== 0) {
        const slot = firstSlot(hits)
        hits &= hits - 1
        const base = slotBase(slab, chunk, slot)
        const differs =
          ((slab[base] as number) ^ a) |
          ((slab[base + 1] as number) ^ b) |
          ((slab[base + 2] as number) ^ c) |
          ((slab[base + 3] as number) ^ d)
        if (differs !== 0) continue
        const end = (slab[base + END] as number) >>> 0
        const issuedBefore = (slab[base + ISSUED_BEFORE] as number) >>> 0
        if (now >= end || end <= latest || issuedBefore === VOID) continue
        if (!isIssuedBefore(issuedBefore, iat)) continue
        latest = end
        found = (chunk << 5) | (slot << 1) | inOld
      }
      if (tail >>> COUNT_SHIFT === 0) break
      chunk = chunk + 1 === chunks ? 0 : chunk + 1
    }
    return found
  }

  /** A word of a slot, unsigned. */
  read(handle: number, field: number): number {
    const chunk = handle >>> 5
    const slab = this.#regionAt(handle).slabOf(chunk)
    return (slab[slotBase(slab, chunk, (handle >>> 1) & 15) + field] as number) >>> 0
  }

  /** True when the word was less than the value, and is that now. */
  raise(handle: number, field: number, value: number): boolean {
    if (this.read(handle, field) >= value) return false
    const chunk = handle >>> 5
    const slab = this.#regionAt(handle).slabOf(chunk)
    slab[slotBase(slab, chunk, (handle >>> 1) & 15) + field] = value
    return true
  }

  /**
   * Reads what a change of this digest will read first. For some digests ahead, one after the other, the processor
   * waits for memory once for all of them. What it returns means nothing.
   */
  touch(words: Int32Array, offset: number): number {
    const hash = this.hashOf(words, offset)
    const region = this.#regionOf(hash)
    const chunk = region.homeOf(hash)
    const slab = region.slabOf(chunk)
    const last = slab[(chunk & SLAB_MASK) * TAG_WORDS + 3] as number
    return slab === UNTOUCHED ? last : last | (slab[slotBase(slab, chunk, 0)] as number)
  }

  /** Fills `matches` with the handles of all slots of a digest; returns how many. */
  collect(words: Int32Array, offset: number, hash: number, matches: Int32Array): number {
    const region = this.#regionOf(hash)
    const inOld = region === this.#old ? 1 : 0
    const pattern = patternOf(hash)
    let chunk = region.homeOf(hash)
    let count = 0
    for (let left = region.chunks; left > 0; left--) {
      const slab = region.slabOf(chunk)
      for (let hits = hitsOf(slab, (chunk & SLAB_MASK) * TAG_WORDS, pattern); hits !== 0; hits &= hits - 1) {
        const slot = firstSlot(hits)
        if (!isSameDigest(slab, slotBase(slab, chunk, slot), words, offset)) continue
        matches[count++] = (chunk << 5) | (slot << 1) | inOld
      }
      if (countAt(slab, chunk) === 0) break
      chunk = region.after(chunk)
    }
    return count
  }

  /** One slot more; room was made before. */
  insert(
    words: Int32Array,
    offset: number,
    hash: number,
    end: number,
    issuedBefore: number,
    at: number,
  ): void {
    this.#put(this.#regionOf(hash), words, offset, hash, end, issuedBefore, at)
    this.#used++
    if (issuedBefore === VOID) this.#marks++
  }

  remove(handle: number, hash: number): void {
    this.#forget(this.read(handle, ISSUED_BEFORE))
    this.#regionAt(handle).remove(handle >>> 5, (handle >>> 1) & 15, hash)
  }

  /**
   * Looks at `steps` chunks (14 slots each; 0.1 to 0.7 µs) from where the last call stopped, and removes what
   * ended by `now`. While entries move, the steps move them first. Returns how many it removed, marks of
   * restores included. A round of all chunks (`capacity / 14`) that leaves the table nearly empty shrinks it.
   */
  sweep(now: number, steps: number): number {
    const before = this.#used
    const left = this.#old === undefined ? 0 : this.#old.chunks - this.#frontier
    for (let i = Math.min(steps, left + this.#current.chunks); i > 0; i--) {
      if (this.#old === undefined) this.#sweepChunk(now)
      else this.#moveHome(this.#old, now)
    }
    if (this.#sweepsToShrink <= 0) this.#shrink()
    return before - this.#used
  }

  /** Asks for room for `count` entries in all, before many are added: a hint. Takes effect over the next operations. */
  reserve(count: number): void {
    const chunks = Math.min(chunksFor(count), CHUNKS_MAX)
    if (chunks > this.#current.chunks) this.#reserved = Math.max(this.#reserved, chunks)
    this.#sweepsToShrink = this.#current.chunks
    this.makeRoom()
  }

  /** All slots of digests whose hash, unsigned, is at least `low` and less than `high`. */
  visitRange(
    low: number,
    high: number,
    visit: (slab: Int32Array, base: number, handle: number) => void,
  ): void {
    for (const region of [this.#current, this.#old]) {
      if (region === undefined) continue
      const inOld = region === this.#old ? 1 : 0
      const last = region.homeOf(high - 1)
      let isPastLast = false
      let chunk = region.homeOf(low)
      for (let left = region.chunks; left > 0; left--) {
        const slab = region.slabOf(chunk)
        for (let slot = 0; slot < SLOTS; slot++) {
          if (tagAt(slab, chunk, slot) === 0) continue
          const base = slotBase(slab, chunk, slot)
          const hash = this.hashOf(slab, base) >>> 0
          if (hash >= low && hash < high) visit(slab, base, (chunk << 5) | (slot << 1) | inOld)
        }
        isPastLast ||= chunk === last
        if (isPastLast && countAt(slab, chunk) === 0) break
        chunk = region.after(chunk)
      }
    }
  }

  /** Before anything changes, so that a failing allocation leaves the table as it was. */
  makeRoom(): void {
    for (let i = 0; i < MOVE_CHUNKS && this.#old !== undefined; i++) this.#moveHome(this.#old, NEVER)
    if (this.#old !== undefined) return
    const { chunks } = this.#current
    const slots = chunks * SLOTS
    if (this.#reserved > chunks) this.#startMoving(this.#reserved)
    else if (this.#used >= slots * LOAD_MAX || (this.#crowded && this.#used > slots * LOAD_CROWDED)) {
      this.#startMoving(Math.ceil(chunks * GROWTH))
    }
  }

  /** A hash that nobody outside can foresee. */
  hashOf(words: Int32Array, offset: number): number {
    return this.#hash(
      words[offset] as number,
      words[offset + 1] as number,
      words[offset + 2] as number,
      words[offset + 3] as number,
    )
  }

  /**
   * Growing by a fifth at 80 % makes room for 2.2 entries for each chunk of the old table, and 0.5 are added
   * while it moves; shrinking leaves as much room. So a move ends before the next one has to begin.
   */
  #startMoving(chunks: number): void {
    if (chunks > CHUNKS_MAX) {
      throw new RescindError(
        'ERR_STORE_FULL',
        `the replica's table cannot have more than ${CHUNKS_MAX} chunks`,
      )
    }
    const old = this.#current
    this.#current = new Region(chunks)
    this.#old = old
    this.#frontier = 0
    this.#crowded = false
    if (this.#reserved <= chunks) this.#reserved = 0
    this.#cursor = Math.floor((this.#cursor / old.chunks) * chunks)
    this.#sweepsToShrink = chunks
  }

  /** Moves all entries of the home chunk at the frontier, but those that ended by `now`. */
  #moveHome(old: Region, now: number): void {
    const home = this.#frontier
    let chunk = home
    for (let left = old.chunks; left > 0; left--) {
      this.#work++
      const slab = old.slabOf(chunk)
      for (let slot = 0; slot < SLOTS; slot++) {
        if (tagAt(slab, chunk, slot) === 0) continue
        const base = slotBase(slab, chunk, slot)
        const hash = this.hashOf(slab, base)
        if (old.homeOf(hash) === home) this.#moveSlot(old, slab, chunk, slot, base, hash, now)
      }
      // Whoever of this home lies farther went past this chunk and is counted here.
      if (countAt(slab, chunk) === 0) break
      chunk = old.after(chunk)
    }
    this.#frontier = home + 1
    if (this.#frontier === old.chunks) this.#endMoving()
    else if ((this.#frontier & SLAB_MASK) === 0) this.#takeSlab(old, home >>> SLAB_SHIFT)
  }

  #moveSlot(
    old: Region,
    slab: Int32Array,
    chunk: number,
    slot: number,
    base: number,
    hash: number,
    now: number,
  ): void {
    old.remove(chunk, slot, hash)
    const end = (slab[base + END] as number) >>> 0
    const issuedBefore = slab[base + ISSUED_BEFORE] as number
    if (end <= now) this.#forget(issuedBefore >>> 0)
    else this.#put(this.#current, slab, base, hash, end, issuedBefore, slab[base + AT] as number)
  }

  /** Gives the new table a slab that the old one has emptied. */
  #takeSlab(old: Region, index: number): void {
    const slab = old.slabs[index] as Int32Array
    if (slab.length !== SLAB_CHUNKS * CHUNK_WORDS || this.#spare.length >= this.#current.missing) return
    for (let i = 0; i < SLAB_CHUNKS * TAG_WORDS; i++) if (slab[i] !== 0) return
    old.giveUp(index)
    this.#spare.push(slab)
  }

  #endMoving(): void {
    this.#old = undefined
    this.#spare = []
  }

  #sweepChunk(now: number): void {
    const region = this.#current
    const chunk = this.#cursor
    this.#work++
    const slab = region.slabOf(chunk)
    for (let slot = 0; slot < SLOTS; slot++) {
      if (tagAt(slab, chunk, slot) === 0) continue
      const base = slotBase(slab, chunk, slot)
      if ((slab[base + END] as number) >>> 0 > now) continue
      this.remove((chunk << 5) | (slot << 1), this.hashOf(slab, base))
    }
    this.#cursor = region.after(chunk)
    this.#sweepsToShrink--
  }

  #shrink(): void {
    const { chunks } = this.#current
    this.#sweepsToShrink = chunks
    if (this.#old !== undefined || this.#used >= chunks * SLOTS * LOAD_SHRINK) return
    // Room for what is added while it moves, so that an emptied table takes several rounds.
    const count = Math.max(this.#used * GROWTH, this.#used + chunks / MOVE_CHUNKS)
    const wanted = Math.max(chunksFor(count), this.#chunksMin)
    if (wanted < chunks) this.#startMoving(wanted)
  }

  #hash(a: number, b: number, c: number, d: number): number {
    const front = (Math.imul(a, this.#k0) + Math.imul(b, this.#k1)) | 0
    const back = (Math.imul(c, this.#k2) + Math.imul(d, this.#k3)) | 0
    // A product's low bits know only low bits: the halves of one sum change places.
    let hash = front ^ ((back << 16) | (back >>> 16))
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d)
    return hash ^ (hash >>> 15)
  }

  /** The table that holds, or would hold, a digest of this hash. */
  #regionOf(hash: number): Region {
    const old = this.#old
    return old !== undefined && old.homeOf(hash) >= this.#frontier ? old : this.#current
  }

  #put(
    region: Region,
    words: Int32Array,
    offset: number,
    hash: number,
    end: number,
    issuedBefore: number,
    at: number,
  ): void {
    let chunk = region.homeOf(hash)
    for (let distance = 0; distance < region.chunks; distance++) {
      const slab = region.slabToWrite(chunk, this.#spare)
      const slot = freeSlot(slab, chunk)
      if (slot !== -1) {
        const base = slotBase(slab, chunk, slot)
        for (let i = 0; i < 4; i++) slab[base + i] = words[offset + i] as number
        slab[base + END] = end
        slab[base + ISSUED_BEFORE] = issuedBefore
        slab[base + AT] = at
        setTag(slab, chunk, slot, tagOf(hash))
        if (distance > region.probeMax) region.probeMax = distance
        if (distance >= PROBE_CHUNKS_MAX) this.#crowded = true
        return
      }
      if (countAt(slab, chunk) < COUNT_MAX) addToCount(slab, chunk, COUNT_ONE)
      chunk = region.after(chunk)
    }
    throw new Error('unreachable: the table grows before it is full')
  }

  #forget(issuedBefore: number): void {
    this.#used--
    if (issuedBefore === VOID) this.#marks--
  }

  #regionAt(handle: number): Region {
    return (handle & 1) === 0 ? this.#current : (this.#old as Region)
  }
}

/** The chunks that hold so many entries without growing. */
function chunksFor(count: number): number {
  return Math.max(1, Math.ceil((count + 1) / (SLOTS * LOAD_MAX)))
}

function randomMultipliers(): Multipliers {
  const bytes = randomBytes(16)
  const word = (index: number) => bytes.readInt32LE(index * 4) | 1
  return [word(0), word(1), word(2), word(3)]
}
