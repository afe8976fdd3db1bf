/**
 * The changes of late, as text, so that who was away for a moment reads on without asking the store. Bounded by bytes and
 * by number: the oldest go.
 */
import { hasReached } from 'rescind'

export interface RecentChange {
  readonly position: string
  /** The position before it. */
  readonly previous: string
  readonly bytes: Buffer
}

const BYTES_MAX = 4 * 1024 * 1024
const CHANGES_MAX = 16_384
/** So many go at once: moving all others costs more than one. */
const REMOVED_AT_ONCE = 256

export class RecentChanges {
  #changes: RecentChange[] = []
  #bytes = 0
  /** How many changes are gone. */
  #removed = 0
  /** The number of the change that follows a position. */
  #numbers = new Map<string, number>()
  /** Where the oldest of them begins, and where they end. */
  #base: string
  #end: string

  constructor(position: string) {
    this.#base = position
    this.#end = position
    this.#numbers.set(position, 0)
  }

  get end(): string {
    return this.#end
  }

  add(position: string, bytes: Buffer): RecentChange {
    const change = { position, previous: this.#end, bytes }
    this.#changes.push(change)
    this.#bytes += bytes.length
    this.#end = position
    this.#numbers.set(position, this.#removed + this.#changes.length)
    if (this.#bytes > BYTES_MAX || this.#changes.length > CHANGES_MAX) this.#remove()
    return change
  }

  /** The log is read up to here, and there was no change on the way. */
  moveTo(position: string): void {
    if (position === this.#end) return
    // A place without a change is one that somebody may have been told.
    this.add(position, Buffer.alloc(0))
  }

  /** What follows a position that was told here; undefined for one that is not known any more, or was never. */
  after(position: string): readonly RecentChange[] | undefined {
    const number = this.#numbers.get(position)
    return number === undefined ? undefined : this.#changes.slice(number - this.#removed)
  }

  /**
   * What somebody has not read who has read the log itself up to `position`; undefined when there may be others before.
   * Of a log in several parts a reader is ahead in one and behind in another.
   */
  notReadAt(position: string): readonly RecentChange[] | undefined {
    if (!hasReached(position, whatHasBegun(this.#base))) return undefined
    return this.#changes.filter((change) => !isReadAt(position, change))
  }

  #remove(): void {
    const gone = this.#changes.splice(0, REMOVED_AT_ONCE)
    this.#numbers.delete(this.#base)
    for (const { position, bytes } of gone) {
      this.#base = position
      this.#bytes -= bytes.length
      this.#numbers.delete(position)
    }
    this.#removed += gone.length
    this.#numbers.set(this.#base, this.#removed)
  }
}

/** Has a reader at this position read the change? It is in the part of the log that moved on with it. */
export function isReadAt(position: string, { position: after, previous }: RecentChange): boolean {
  const before = previous.split(';')
  const moved = after.split(';').map((part, i) => (part === before[i] ? '' : part))
  return hasReached(position, moved.join(';'))
}

/** A position without the parts of the log in which nothing was ever written. */
function whatHasBegun(position: string): string {
  return position
    .split(';')
    .map((part) => (part.startsWith(':') ? '' : part))
    .join(';')
}
