/**
 * Remembers what was found out about a token under the exact text that presented it, so that a signature is
 * not verified twice. It never answers for another text, nor for one past its end, and is bounded in entries
 * and in bytes.
 *
 * Why no `Map`: V8 hashes every fresh string in full, and the text of each request is a fresh string. Here a
 * few characters choose the bucket and `===`, which is a `memcmp`, decides. What a stranger sends costs at most
 * `BUCKET_ENTRIES_MAX` comparisons, for only texts that verified come in, and a full bucket gives one up.
 *
 * Eviction is by clock with up to three chances: a hand goes round the entries, takes a chance from each that
 * was asked for since and evicts the first that has none left. Tokens used once go after one round, those in
 * use stay. Lists with a probation of their own (SIEVE, S3-FIFO) withstand longer floods, but a cache full of
 * ended tokens then never admits a working set that comes round more slowly than its probation.
 */
import { randomBytes } from 'node:crypto'
import { charCodeOf } from '../core/text.js'

export interface TokenCacheOptions {
  /** How many texts are remembered. Default 10,000; 0 remembers nothing. */
  readonly entriesMax?: number | undefined
  /** How many bytes they may take, counted as `ENTRY_BYTES` and one a character each. Default 16 MiB. */
  readonly bytesMax?: number | undefined
}

/** What an entry is counted as besides its text: its place in the cache, and a value with a dozen claims. */
export const ENTRY_BYTES = 768
/** How many texts one look-up compares at most. Buckets outnumber entries, so that honest ones hold 1 or 2. */
export const BUCKET_ENTRIES_MAX = 8

/** How many rounds of the hand an entry outlives that was asked for as often and then no more. */
const CHANCES_MAX = 3
/** How many entries the hand passes for one eviction; then it takes what it points at, asked for or not. */
const HAND_STEPS_MAX = 256
/** How many characters choose the bucket at the end of the text, and as many again all over it. */
const SAMPLES = 6
/** Nobody outside knows which texts meet in a bucket, but for those that agree in every sample. */
const SEED = randomBytes(4).readInt32LE()

class Entry<V> {
  chances = 0
  /** The next in its bucket. */
  below: Entry<V> | undefined
  /** Its neighbours in the ring that the hand goes round. */
  next: Entry<V> = this
  previous: Entry<V> = this

  constructor(
    readonly text: string,
    readonly hash: number,
    public value: V,
    public expiresAt: number,
  ) {}

  get bytes(): number {
    return this.text.length + ENTRY_BYTES
  }
}

export class TokenCache<V extends object> {
  readonly #entriesMax: number
  readonly #bytesMax: number
  /** The newest entry of each bucket. */
  readonly #buckets: (Entry<V> | undefined)[]
  /** What the clock looks at next; new entries stand just behind it, a whole round away. */
  #hand: Entry<V> | undefined
  #size = 0
  #bytes = 0

  constructor(options: TokenCacheOptions = {}) {
    const { entriesMax = 10_000, bytesMax = 16 * 1024 * 1024 } = options
    this.#bytesMax = bytesMax
    this.#entriesMax = Math.max(0, Math.min(Math.floor(entriesMax), Math.floor(bytesMax / ENTRY_BYTES)))
    const bits = Math.ceil(Math.log2(Math.max(this.#entriesMax, 1)))
    this.#buckets = new Array<Entry<V> | undefined>(2 ** bits).fill(undefined)
  }

  get size(): number {
    return this.#size
  }

  /** What the entries are counted as, in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** What was set for exactly this text, unless its end has come. `now`: seconds since 1970. */
  get(text: string, now: number): V | undefined {
    const entry = this.#find(text, hashOf(text))
    if (entry === undefined) return undefined
    if (now < entry.expiresAt) {
      if (entry.chances < CHANCES_MAX) entry.chances++
      return entry.value
    }
    this.#remove(entry)
    return undefined
  }

  /** Remembers a value until `expiresAt` (seconds since 1970, exclusive), in place of an older one. */
  set(text: string, value: V, expiresAt: number): void {
    const hash = hashOf(text)
    const known = this.#find(text, hash)
    if (known !== undefined) {
      known.value = value
      known.expiresAt = expiresAt
      return
    }
    const entry = new Entry(flat(text), hash, value, expiresAt)
    if (this.#entriesMax === 0 || entry.bytes > this.#bytesMax) return
    while (this.#size >= this.#entriesMax || this.#bytes + entry.bytes > this.#bytesMax) this.#evict()
    this.#makeRoom(hash)
    this.#insert(entry)
  }

  /**
   * Forgets everything. A verification that began before may still set its result afterwards: whoever clears the cache
   * for other keys sees to it that what was verified with those before is not set.
   */
  clear(): void {
    this.#buckets.fill(undefined)
    this.#hand = undefined
    this.#size = 0
    this.#bytes = 0
  }

  #find(text: string, hash: number): Entry<V> | undefined {
    let entry = this.#buckets[hash & (this.#buckets.length - 1)]
    while (entry !== undefined && !(entry.hash === hash && entry.text === text)) entry = entry.below
    return entry
  }

  #insert(entry: Entry<V>): void {
    const bucket = entry.hash & (this.#buckets.length - 1)
    entry.below = this.#buckets[bucket]
    this.#buckets[bucket] = entry
    if (this.#hand === undefined) this.#hand = entry
    else {
      entry.next = this.#hand
      entry.previous = this.#hand.previous
      entry.previous.next = entry
      entry.next.previous = entry
    }
    this.#size++
    this.#bytes += entry.bytes
  }

  #remove(entry: Entry<V>): void {
    const bucket = entry.hash & (this.#buckets.length - 1)
    let above = this.#buckets[bucket]
    if (above === entry) this.#buckets[bucket] = entry.below
    else {
      while (above !== undefined && above.below !== entry) above = above.below
      if (above !== undefined) above.below = entry.below
    }
    if (this.#hand === entry) this.#hand = entry.next === entry ? undefined : entry.next
    entry.previous.next = entry.next
    entry.next.previous = entry.previous
    this.#size--
    this.#bytes -= entry.bytes
  }

  /** Makes room by the clock, in a bounded number of steps. */
  #evict(): void {
    let entry = this.#hand as Entry<V>
    for (let steps = 0; steps < HAND_STEPS_MAX && entry.chances > 0; steps++) {
      entry.chances--
      entry = entry.next
    }
    this.#hand = entry
    this.#remove(entry)
  }

  /** Lets the oldest of a full bucket go. Only texts that agree in every sample fill one. */
  #makeRoom(hash: number): void {
    let oldest = this.#buckets[hash & (this.#buckets.length - 1)]
    let count = 1
    for (; oldest?.below !== undefined; count++) oldest = oldest.below
    if (oldest !== undefined && count >= BUCKET_ENTRIES_MAX) this.#remove(oldest)
  }
}

/**
 * A hash of the length, the last characters (of a JWT the signature, which no two tokens share) and as many
 * from all over the text, for tokens whose ends are alike.
 */
function hashOf(text: string): number {
  const { length } = text
  const samples = length < SAMPLES ? length : SAMPLES
  const stride = Math.floor(length / (SAMPLES + 1))
  let hash = SEED ^ length
  for (let i = 0; i < samples; i++) {
    const two = charCodeOf(text, length - 1 - i) | (charCodeOf(text, (i + 1) * stride) << 16)
    hash = Math.imul(hash ^ two, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  return hash
}

/**
 * The same text in memory of its own. A part of a longer text (`header.slice(7)`) is for V8 a view that keeps
 * the whole alive, and two texts joined stay two; neither can be told from a flat one, so each is copied, once
 * a verified token. Tokens are ASCII; a text that Latin-1 cannot hold is kept as it is.
 */
function flat(text: string): string {
  const copy = Buffer.from(text, 'latin1').toString('latin1')
  return copy === text ? copy : text
}
