/**
 * The digest of a target, format version 2: the first 16 bytes of the SHA-256 of
 *
 *     rescind/target/2, the number of claims, every claim's name       zeros up to a multiple of 64 bytes
 *     every value but the last, each                                   zeros up to a multiple of 64 bytes
 *     the last value
 *
 * where the number is 32 bits big-endian, and a name or a value is the count of its UTF-8 bytes in 32 bits
 * big-endian and then these bytes. Names are sorted by their UTF-8 bytes; values stand in the same order. The
 * target without claims is the first line alone. Any SHA-256 computes it; the zeros are there so that one that
 * keeps its states can begin where the texts first differ from the ones before: at the last value, as a rule.
 *
 * No two targets share these bytes, for they can be read back in one way only: the domain is of fixed length,
 * the number tells how many names follow and each count where a text ends, what has been read tells how many
 * zeros follow, and the last value ends the message. Well-formed texts (which `target.ts` sees to) differ in
 * UTF-8 when they differ. Nor do the bytes of `rescind/target/1` occur here: the domains differ.
 */
import {
  block,
  BLOCK_BYTES,
  compress,
  compressBytes,
  INITIAL_STATE,
  type Sha256State,
  STATE_WORDS,
} from './sha256.js'
import { charCodeOf } from './text.js'

/** How many words of an `Int32Array` a digest takes: 16 bytes. */
export const DIGEST_WORDS = 4

const DOMAIN = 'rescind/target/2'
/** In UTF-16 units, for values that are not ASCII; `target.ts` admits no longer ones. */
const VALUE_LENGTH_MAX = 1024
/** Room for such a value of 3 bytes a unit, with its count and what is written behind it. */
const scratch = Buffer.alloc(3 * VALUE_LENGTH_MAX + 2 * BLOCK_BYTES)
/** The state after what was absorbed last. */
const current: Sha256State = new Int32Array(STATE_WORDS)
/** In place of the size of the message so far: the value is not the last, zeros follow it. */
const LEADING = -1

/** Hashes the targets of one shape. Keeps the last values but the last of each, to go on behind them. */
export class TargetHasher {
  readonly #last: number
  /** The states after the header and `i` leading values, and how many bytes these were. */
  readonly #states: readonly Sha256State[]
  readonly #sizes: number[]
  /** The values that led to the states, and how many of these hold. */
  readonly #leading: string[]
  #leadingCount = 0

  /** `names`: the claims of the shape, sorted by their UTF-8 bytes; none for the target "everything". */
  constructor(names: readonly string[]) {
    const header = headerOf(names)
    this.#last = names.length - 1
    this.#states = Array.from({ length: Math.max(names.length, 1) }, () => new Int32Array(STATE_WORDS))
    this.#sizes = this.#states.map(() => header.length)
    this.#leading = names.map(() => '')
    compressBytes(INITIAL_STATE, header, header.length, this.#states[0] as Sha256State)
  }

  /**
   * Writes the digest of the target with these values, well-formed texts in the order of the names: four words
   * at `offset`, each what `readInt32LE` reads from the 16 bytes. Allocates nothing.
   */
  digestInto(values: readonly string[], out: Int32Array, offset: number): void {
    const last = this.#last
    if (values.length !== last + 1) throw new RangeError('a target has one value for each claim of its shape')
    if (last > 0) this.#absorbLeading(values)
    const state = this.#states[last < 0 ? 0 : last] as Sha256State
    const size = this.#sizes[last < 0 ? 0 : last] as number
    if (last < 0) finishEmpty(state, size)
    else absorb(state, values[last] as string, size)
    for (let i = 0; i < DIGEST_WORDS; i++) out[offset + i] = reversed(current[i] as number)
  }

  /** Brings the states to all values but the last, from the first that is another than before. */
  #absorbLeading(values: readonly string[]): void {
    let count = 0
    while (count < this.#leadingCount && values[count] === this.#leading[count]) count++
    for (; count < this.#last; count++) {
      // Should the value be refused, what stood behind it must not be taken for its own.
      this.#leadingCount = count
      const value = values[count] as string
      const size = absorb(this.#states[count] as Sha256State, value, LEADING)
      ;(this.#states[count + 1] as Sha256State).set(current)
      this.#sizes[count + 1] = (this.#sizes[count] as number) + size
      this.#leading[count] = value
    }
    this.#leadingCount = count
  }
}

function headerOf(names: readonly string[]): Buffer {
  const parts = [Buffer.from(DOMAIN), uint32(names.length)]
  for (const name of names) {
    const bytes = Buffer.from(name)
    parts.push(uint32(bytes.length), bytes)
  }
  const header = Buffer.concat(parts)
  return Buffer.concat([header, Buffer.alloc(wholeBlocks(header.length) - header.length)])
}

/**
 * Goes on from a state, to `current`, by the count and the bytes of a value, and then by zeros, or, where
 * `sizeBefore` bytes came before the last value, by the end of the message. Returns how many bytes a leading
 * value takes with its zeros.
 */
function absorb(from: Sha256State, value: string, sizeBefore: number): number {
  return absorbAscii(from, value, sizeBefore) || absorbUtf8(from, value, sizeBefore)
}

/** Four characters a word; 0 where the value is not ASCII, which only the end tells. */
function absorbAscii(from: Sha256State, value: string, sizeBefore: number): number {
  const w = block
  const { length } = value
  const isLast = sizeBefore !== LEADING
  let state = from
  let seen = 0
  let at = 1
  w[0] = length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    const c0 = charCodeOf(value, i)
    const c1 = charCodeOf(value, i + 1)
    const c2 = charCodeOf(value, i + 2)
    const c3 = charCodeOf(value, i + 3)
    seen |= c0 | c1 | c2 | c3
    if (at === 16) {
      compress(state, current)
      state = current
      at = 0
    }
    w[at++] = (c0 << 24) | (c1 << 16) | (c2 << 8) | c3
  }
  let word = 0
  let shift = 24
  for (; i < length; i++, shift -= 8) {
    const c = charCodeOf(value, i)
    seen |= c
    word |= c << shift
  }
  if (seen > 0x7f) return 0
  // FIPS 180-4 §5.1.1: behind the message stands one bit, zeros, and in the last 64 bits its length.
  if (isLast) word |= 0x80 << shift
  if (at === 16 && (isLast || shift < 24)) {
    compress(state, current)
    state = current
    at = 0
  }
  if (at < 16) w[at++] = word
  if (isLast && at > 14) {
    while (at < 16) w[at++] = 0
    compress(state, current)
    state = current
    at = 0
  }
  while (at < 16) w[at++] = 0
  if (isLast) w[15] = (sizeBefore + 4 + length) * 8
  compress(state, current)
  return wholeBlocks(4 + length)
}

/** The same for any value. */
function absorbUtf8(from: Sha256State, value: string, sizeBefore: number): number {
  if (value.length > VALUE_LENGTH_MAX) throw new RangeError('the value of a claim is too long to be hashed')
  const isLast = sizeBefore !== LEADING
  const end = 4 + scratch.write(value, 4, 'utf8')
  scratch.writeUInt32BE(end - 4, 0)
  const size = wholeBlocks(isLast ? end + 1 + 8 : end)
  scratch.fill(0, end, size)
  if (isLast) {
    scratch[end] = 0x80
    scratch.writeUInt32BE((sizeBefore + end) * 8, size - 4)
  }
  compressBytes(from, scratch, size, current)
  return size
}

/** The end of a message of whole blocks. */
function finishEmpty(from: Sha256State, size: number): void {
  block.fill(0, 0, 16)
  block[0] = 0x80 << 24
  block[15] = size * 8
  compress(from, current)
}

function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function reversed(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}
