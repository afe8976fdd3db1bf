/**
 * Changes of before, for followers who come back: all at once after a restart, and mostly to the same place. What many
 * want is read once, and few reads are under way at a time, so that the store does not drown in them.
 */
import type { Store } from 'rescind'
import { changeText } from './event-text.js'

/** A stretch of changes as text. */
export interface Piece {
  readonly bytes: Buffer
  readonly position: string
  /** The log held no more when it was read. */
  readonly isEnd: boolean
}

/** Changes of one read. */
const BATCH = 64
const READS_MAX = 4
/** Pieces that are kept for those who come a little later. */
const PIECES_MAX = 64

export class PastChanges {
  readonly #store: Store
  /** By the position that they follow, the oldest first. */
  readonly #pieces = new Map<string, Promise<Piece>>()
  #reading = 0
  readonly #waiting: (() => void)[] = []

  constructor(store: Store) {
    this.#store = store
  }

  /** Throws as the store does. */
  after(position: string): Promise<Piece> {
    const known = this.#pieces.get(position)
    if (known !== undefined) return known
    const piece = this.#read(position)
    this.#pieces.set(position, piece)
    // The end is another one soon.
    const forget = () => this.#pieces.delete(position)
    piece.then(({ isEnd }) => isEnd && forget(), forget)
    const [oldest] = this.#pieces.keys()
    if (this.#pieces.size > PIECES_MAX && oldest !== undefined) this.#pieces.delete(oldest)
    return piece
  }

  async #read(after: string): Promise<Piece> {
    if (this.#reading >= READS_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#reading++
    try {
      const { changes, position } = await this.#store.changes(after, BATCH)
      const bytes = Buffer.from(changes.map(changeText).join(''))
      return { bytes, position, isEnd: changes.length < BATCH }
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#reading--
      else next()
    }
  }
}
