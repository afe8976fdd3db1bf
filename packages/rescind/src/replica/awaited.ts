/**
 * What this node wrote and the log has yet to tell of. Redis may lose a write that it has acknowledged, and another
 * node's may take its place in the log: then the log goes on as if nothing had happened, and only who made the write
 * knows of it.
 */
import { DIGEST_WORDS } from '../core/probe.js'
import { OPERATION_RESTORE } from '../core/record.js'
import type { Entry } from '../core/revocation.js'

interface Written {
  readonly words: Int32Array
  readonly entry: Entry
  readonly isRestore: boolean
  /** In which order they were written. */
  readonly number: number
}

/** More at once are the sign of a log that nobody reads: they are given up. */
const AWAITED_MAX = 16_384

export class Awaited {
  /** By the first word of the digest, which few share. */
  readonly #written = new Map<number, Written[]>()
  #count = 0
  #last = 0

  get size(): number {
    return this.#count
  }

  /** `words`: those of the digest, which nobody changes. Of a restore only its time counts. */
  add(words: Int32Array, entry: Entry, isRestore = false): void {
    if (this.#count >= AWAITED_MAX) this.clear()
    const first = words[0] as number
    const written = { words, entry, isRestore, number: ++this.#last }
    const others = this.#written.get(first)
    if (others === undefined) this.#written.set(first, [written])
    else others.push(written)
    this.#count += 1
  }

  /** The log tells of this record: what says no more than it does is awaited no more. */
  tell(words: Int32Array, offset: number): void {
    const first = words[offset] as number
    const others = this.#written.get(first)
    if (others === undefined) return
    this.#keep(
      first,
      others.filter((written) => !isSame(written.words, words, offset) || !isToldBy(written, words, offset)),
    )
  }

  /** What was written up to now. */
  mark(): number {
    return this.#last
  }

  /** True when something written up to the mark was not told of. It is awaited no more. */
  take(mark: number): boolean {
    if (this.#count === 0) return false
    const before = this.#count
    for (const [first, others] of this.#written) {
      this.#keep(
        first,
        others.filter(({ number }) => number > mark),
      )
    }
    return this.#count < before
  }

  clear(): void {
    this.#written.clear()
    this.#count = 0
  }

  #keep(first: number, kept: Written[]): void {
    this.#count += kept.length - (this.#written.get(first)?.length ?? 0)
    if (kept.length === 0) this.#written.delete(first)
    else this.#written.set(first, kept)
  }
}

/** A restore is told by a restore; a statement by one that says as much, or by a restore that voids it. */
function isToldBy({ entry, isRestore }: Written, words: Int32Array, offset: number): boolean {
  const [end = 0, before = 0, at = 0, kind = 0] = words.subarray(
    offset + DIGEST_WORDS,
    offset + DIGEST_WORDS + 4,
  )
  if (at >>> 0 < entry.at) return false
  if ((kind & 0x0f) === OPERATION_RESTORE) return true
  return !isRestore && end >>> 0 >= entry.end && before >>> 0 >= entry.issuedBefore
}

function isSame(digest: Int32Array, words: Int32Array, offset: number): boolean {
  for (let i = 0; i < DIGEST_WORDS; i++) if (digest[i] !== words[offset + i]) return false
  return true
}
