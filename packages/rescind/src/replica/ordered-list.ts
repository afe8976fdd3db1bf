/**
 * A page of what stands, in the order of a time, over all that a replica holds: the replica knows the times of every
 * statement, the store what people want to read of those on the page. A page costs one look through the replica, in steps
 * between which others have their turn, and room for what it may show.
 *
 * The order is total (the time, then the digest, then the other time), and a cursor is a place in it. So whatever is
 * revoked, restored or ends between two pages, what stands all the while is listed exactly once.
 */
import { digestFromWords, digestToWords } from '../core/digest.js'
import { DIGEST_WORDS } from '../core/probe.js'
import { type Entry, isSameEntry, type Revocation, toRevocation } from '../core/revocation.js'
import { RescindError } from '../errors.js'
import type { ListOrder } from '../list-query.js'
import { LIST_SCAN_MAX, type Page, type Store } from '../stores/store.js'
import type { Surroundings } from '../surroundings.js'
import type { Replica } from './replica.js'

/** By when it was revoked, or by when it ends. */
export type TimeOrder = Exclude<ListOrder, 'newest'>

export interface OrderedListOptions {
  readonly order: TimeOrder
  /** In seconds since 1970. */
  readonly now: number
  /** At most this many revocations. */
  readonly limit: number
  readonly cursor?: string | undefined
  /** Keeps what it returns true for. Absent: everything. */
  readonly filter?: ((revocation: Revocation) => boolean) | undefined
}

/** Words of a statement, as in a record of the log. */
const [END, ISSUED_BEFORE, AT] = [DIGEST_WORDS, DIGEST_WORDS + 1, DIGEST_WORDS + 2]
const STATEMENT_WORDS = DIGEST_WORDS + 3
/** The time that decides, the one between equals, and the direction. */
const ORDERS = {
  oldest: [AT, END, 1],
  'ending-first': [END, AT, 1],
  'ending-last': [END, AT, -1],
} as const
const CURSOR = /^([a-z-]+):(\d{1,10}):(\d{1,10}):([A-Za-z0-9_-]{22})$/
/** How many records of the store are read with one command. */
const FIND_BATCH = 256
/** How long the store is asked for one page: a slow one answers with a short page. */
const FIND_MS_MAX = 500
/** After so many steps through the replica, a fraction of a millisecond, others have their turn. */
const STEPS_PER_TURN = 16

interface Parts {
  readonly replica: Replica
  readonly store: Store
  readonly surroundings: Surroundings
}

/** Throws `ERR_OPTION_INVALID` for a cursor of another order, and the failures of the store. */
export async function listInOrder(parts: Parts, options: OrderedListOptions): Promise<Page> {
  const { order, now, limit, cursor, filter } = options
  const count = filter === undefined ? limit : LIST_SCAN_MAX
  const first = new FirstStatements(order, cursor === undefined ? undefined : placeOf(order, cursor), count)
  let steps = 0
  for (const _ of parts.replica.statements((words, base) => {
    if ((words[base + END] as number) >>> 0 > now) first.offer(words, base)
  }))
    if (++steps % STEPS_PER_TURN === 0) await parts.surroundings.turn()

  const found = first.take()
  const revocations: Revocation[] = []
  const until = parts.surroundings.monotonic() + FIND_MS_MAX
  for (let begin = 0; begin < found.length; begin += FIND_BATCH) {
    const before = found[begin - 1]
    if (before !== undefined && parts.surroundings.monotonic() > until)
      return { revocations, cursor: cursorAt(order, before) }
    const batch = found.slice(begin, begin + FIND_BATCH)
    for (const [i, revocation] of (await standing(parts.store, batch)).entries()) {
      if (revocation === undefined || filter?.(revocation) === false) continue
      revocations.push(revocation)
      if (revocations.length >= limit) return { revocations, cursor: cursorAt(order, batch[i] as Int32Array) }
    }
  }
  // As many as were looked for: there may be more.
  const last = found.length < count ? undefined : found.at(-1)
  return last === undefined ? { revocations } : { revocations, cursor: cursorAt(order, last) }
}

/** What the store says of each statement; undefined where it does not stand any more. */
async function standing(
  store: Store,
  statements: readonly Int32Array[],
): Promise<(Revocation | undefined)[]> {
  const digests = statements.map((words) => digestFromWords(words, 0))
  const held = await store.find(() => digests)
  const byDigest = new Map(held.map((each) => [each.digest, each]))
  return statements.map((words, i) => {
    const found = byDigest.get(digests[i] as string)
    const entry = found?.state.entries.find((other) => isSameEntry(other, entryOf(words)))
    return found && entry && toRevocation(found.digest, found.target, entry)
  })
}

function entryOf(words: Int32Array): Entry {
  const [end, issuedBefore, at] = [words[END], words[ISSUED_BEFORE], words[AT]] as [number, number, number]
  return { end: end >>> 0, issuedBefore: issuedBefore >>> 0, at: at >>> 0 }
}

function cursorAt(order: TimeOrder, words: Int32Array): string {
  const [first, second] = ORDERS[order]
  const times = [words[first] as number, words[second] as number].map((time) => time >>> 0)
  return [order, ...times, digestFromWords(words, 0)].join(':')
}

/** A place in the order, as the words of a statement. */
function placeOf(order: TimeOrder, cursor: string): Int32Array {
  const [, of, first, second, digest] = CURSOR.exec(cursor) ?? []
  if (of !== order || digest === undefined)
    throw new RescindError('ERR_OPTION_INVALID', 'the cursor is none of this list in this order')
  const words = new Int32Array(STATEMENT_WORDS)
  words.set(digestToWords(digest))
  words[ORDERS[order][0]] = Number(first)
  words[ORDERS[order][1]] = Number(second)
  return words
}

/** Of many statements that are offered, the first `count` after a place; never holds more than twice as many. */
class FirstStatements {
  readonly #order: (typeof ORDERS)[TimeOrder]
  readonly #after: Int32Array | undefined
  readonly #count: number
  readonly #kept: Int32Array[] = []
  /** What does not come before it is not among the first. */
  #bound: Int32Array | undefined

  constructor(order: TimeOrder, after: Int32Array | undefined, count: number) {
    this.#order = ORDERS[order]
    this.#after = after
    this.#count = count
  }

  offer(words: Int32Array, base: number): void {
    if (this.#after !== undefined && this.#compare(words, base, this.#after) <= 0) return
    if (this.#bound !== undefined && this.#compare(words, base, this.#bound) >= 0) return
    this.#kept.push(words.slice(base, base + STATEMENT_WORDS))
    if (this.#kept.length >= 2 * this.#count) this.#cut()
  }

  /** In order. */
  take(): readonly Int32Array[] {
    this.#cut()
    return this.#kept
  }

  #cut(): void {
    this.#kept.sort((a, b) => this.#compare(a, 0, b))
    this.#kept.length = Math.min(this.#kept.length, this.#count)
    if (this.#kept.length === this.#count) this.#bound = this.#kept.at(-1)
  }

  #compare(words: Int32Array, base: number, other: Int32Array): number {
    const [first, second, direction] = this.#order
    const difference =
      unsigned(words, base + first) - unsigned(other, first) ||
      compareDigests(words, base, other) ||
      unsigned(words, base + second) - unsigned(other, second)
    return direction * difference
  }
}

function unsigned(words: Int32Array, at: number): number {
  return (words[at] as number) >>> 0
}

function compareDigests(words: Int32Array, base: number, other: Int32Array): number {
  for (let i = 0; i < DIGEST_WORDS; i++) {
    const difference = (words[base + i] as number) - (other[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}
