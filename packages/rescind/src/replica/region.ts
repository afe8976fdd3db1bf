/**
 * The chunks of the table: 14 slots each (as in F14), with 16 bytes of tags: one byte of hash for each slot, zero when
 * it is free, and in the last byte how many entries went past the chunk because it was full. Functions over slabs, and
 * a region, which is a table of a fixed number of chunks.
 */
export const SLOTS = 14
export const TAG_WORDS = 4
const SLOT_WORDS = 7
export const CHUNK_WORDS = TAG_WORDS + SLOTS * SLOT_WORDS

/** 1.6 MiB a slab: few enough at ten million that what leads to them stays in the nearest cache. */
export const SLAB_SHIFT = 12
export const SLAB_CHUNKS = 1 << SLAB_SHIFT
export const SLAB_MASK = SLAB_CHUNKS - 1

export const COUNT_SHIFT = 24
export const COUNT_ONE = 1 << COUNT_SHIFT
export const COUNT_MAX = 255

/** What stands for every slab that was not written to. Tags only: nothing reads slots of free tags. */
export const UNTOUCHED = makeWords(SLAB_CHUNKS * TAG_WORDS)

/** A table of a fixed number of chunks: arrays, and the arithmetic of finding one's way in them. */
export class Region {
  readonly chunks: number
  readonly slabs: Int32Array[]
  /** Words of the slabs that were made. */
  words = 0
  /** How many slabs were not made yet. */
  missing: number
  probeMax = 0
  /** `chunks / 2^32`, exact. */
  readonly #scale: number

  constructor(chunks: number) {
    this.chunks = chunks
    this.#scale = chunks / 2 ** 32
    this.missing = Math.ceil(chunks / SLAB_CHUNKS)
    this.slabs = new Array<Int32Array>(this.missing).fill(UNTOUCHED)
  }

  /** The chunk where a look-up begins. */
  homeOf(hash: number): number {
    return ((hash >>> 0) * this.#scale) | 0
  }

  after(chunk: number): number {
    return chunk + 1 === this.chunks ? 0 : chunk + 1
  }

  slabOf(chunk: number): Int32Array {
    return this.slabs[chunk >>> SLAB_SHIFT] as Int32Array
  }

  /** The slab of a chunk, made if it was not: from the spare ones, or as long as it needs to be. */
  slabToWrite(chunk: number, spare: Int32Array[]): Int32Array {
    const index = chunk >>> SLAB_SHIFT
    const held = this.slabs[index] as Int32Array
    if (held !== UNTOUCHED) return held
    const chunks = Math.min(SLAB_CHUNKS, this.chunks - index * SLAB_CHUNKS)
    const slab = (chunks === SLAB_CHUNKS ? spare.pop() : undefined) ?? makeWords(chunks * CHUNK_WORDS)
    this.slabs[index] = slab
    this.words += slab.length
    this.missing--
    return slab
  }

  giveUp(index: number): void {
    this.words -= (this.slabs[index] as Int32Array).length
    this.slabs[index] = UNTOUCHED
    this.missing++
  }

  /** Frees a slot, and takes its entry off the counts of the chunks that it had to go past. */
  remove(chunk: number, slot: number, hash: number): void {
    setTag(this.slabOf(chunk), chunk, slot, 0)
    for (let passed = this.homeOf(hash); passed !== chunk; passed = this.after(passed)) {
      const slab = this.slabOf(passed)
      if (countAt(slab, passed) < COUNT_MAX) addToCount(slab, passed, -COUNT_ONE)
    }
  }
}

/** Where a slot begins. Tags lie at the front of a slab and slots at the back, so that a slab can be short. */
export function slotBase(slab: Int32Array, chunk: number, slot: number): number {
  return slab.length - ((chunk & SLAB_MASK) * SLOTS + slot + 1) * SLOT_WORDS
}

/** One byte of the hash, never 0. The home is made of the upper bits, the tag of the lower ones. */
export function tagOf(hash: number): number {
  const byte = hash & 0xff
  return byte + ((byte - 1) >>> 31)
}

/**
 * The top bit of every byte that is zero, and of no other: the shorter formula also names a byte of 1 above a
 * zero one, and a free slot that is taken for a used one still has the digest of what was removed from it.
 */
function zeroBytes(word: number): number {
  return ~(((word & 0x7f7f_7f7f) + 0x7f7f_7f7f) | word | 0x7f7f_7f7f)
}

/** The tag of a hash in each byte. */
export function patternOf(hash: number): number {
  return Math.imul(tagOf(hash), 0x0101_0101)
}

/** Which slots of a chunk have the tag: bit 8j + w is set when byte j of word w is the tag. */
export function hitsOf(slab: Int32Array, tags: number, pattern: number): number {
  return (
    (zeroBytes((slab[tags] as number) ^ pattern) >>> 7) |
    (zeroBytes((slab[tags + 1] as number) ^ pattern) >>> 6) |
    (zeroBytes((slab[tags + 2] as number) ^ pattern) >>> 5) |
    ((zeroBytes((slab[tags + 3] as number) ^ pattern) & 0x8080) >>> 4)
  )
}

/** The slot of the lowest bit that `hitsOf` set. */
export function firstSlot(hits: number): number {
  const bit = 31 - Math.clz32(hits & -hits)
  return ((bit & 7) << 2) + (bit >>> 3)
}

export function tagAt(slab: Int32Array, chunk: number, slot: number): number {
  const word = slab[(chunk & SLAB_MASK) * TAG_WORDS + (slot >>> 2)] as number
  return (word >>> ((slot & 3) << 3)) & 0xff
}

export function setTag(slab: Int32Array, chunk: number, slot: number, tag: number): void {
  const index = (chunk & SLAB_MASK) * TAG_WORDS + (slot >>> 2)
  const shift = (slot & 3) << 3
  slab[index] = ((slab[index] as number) & ~(0xff << shift)) | (tag << shift)
}

/** A free slot of a chunk, or -1. */
export function freeSlot(slab: Int32Array, chunk: number): number {
  const tags = (chunk & SLAB_MASK) * TAG_WORDS
  for (let i = 0; i < TAG_WORDS; i++) {
    const free = zeroBytes(slab[tags + i] as number) & (i === 3 ? 0x8080 : -1)
    if (free !== 0) return i * 4 + ((31 - Math.clz32(free & -free)) >>> 3)
  }
  return -1
}

/** How many entries went past a chunk; 255: at least as many. */
export function countAt(slab: Int32Array, chunk: number): number {
  return (slab[(chunk & SLAB_MASK) * TAG_WORDS + 3] as number) >>> COUNT_SHIFT
}

export function addToCount(slab: Int32Array, chunk: number, amount: number): void {
  const index = (chunk & SLAB_MASK) * TAG_WORDS + 3
  slab[index] = (slab[index] as number) + amount
}

export function isSameDigest(slab: Int32Array, base: number, words: Int32Array, offset: number): boolean {
  for (let i = 0; i < 4; i++) if (slab[base + i] !== words[offset + i]) return false
  return true
}

/**
 * The one place where buffers are made, zeroed. Shared, though nobody shares them: V8 counts all others to its heap, and
 * collects garbage while a table grows, some ten milliseconds at once (21 times for 400 MiB, and never for shared ones).
 */
function makeWords(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT))
}
