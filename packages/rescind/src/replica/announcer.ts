/** Tells the store that this node lives and how far it has read: now and then, and at once when a receipt waits. */
import type { RescindError } from '../errors.js'
import { ANNOUNCE_MS, type NodeStatus, type Store } from '../stores/store.js'
import type { Surroundings } from '../surroundings.js'
import type { ReplicaEvent } from './event.js'

export interface AnnouncerOptions {
  readonly store: Store
  readonly surroundings: Surroundings
  readonly describe: () => NodeStatus
  readonly tell: (event: ReplicaEvent) => void
  /** Somebody asked for a receipt while the line was being written: it is asked for another round. */
  readonly onLate: () => void
}

export class Announcer {
  /** Resolves when the first line was written, or could not be, or never will. */
  readonly first: Promise<void>
  readonly #options: AnnouncerOptions
  #endFirst: () => void = () => undefined
  #announcedAt = -Infinity
  #announcing: Promise<void> | undefined
  #isSilent = false
  #isReceiptWanted = false

  constructor(options: AnnouncerOptions) {
    this.#options = options
    this.first = new Promise((resolve) => (this.#endFirst = resolve))
  }

  /** A receipt waits for this node. */
  wantReceipt(): void {
    this.#isReceiptWanted = true
  }

  /** Writes the line where it is due or wanted. */
  announce(): void {
    const { store, surroundings, describe, tell, onLate } = this.#options
    const now = surroundings.monotonic()
    const isDue = now - this.#announcedAt >= ANNOUNCE_MS
    if (this.#announcing !== undefined || (!isDue && !this.#isReceiptWanted)) return
    this.#isReceiptWanted = false
    this.#announcedAt = now
    this.#announcing = store
      .announce(describe())
      .then(
        () => (this.#isSilent = false),
        (cause: RescindError) => {
          if (!this.#isSilent) tell({ type: 'silent', cause })
          this.#isSilent = true
        },
      )
      .then(() => {
        this.#announcing = undefined
        this.#endFirst()
        if (this.#isReceiptWanted) onLate()
      })
  }

  /** Takes the line away, if there is one. */
  async retire(): Promise<void> {
    const { store, describe } = this.#options
    await this.#announcing
    this.#endFirst()
    if (this.#announcedAt !== -Infinity) await store.retire(describe().id).catch(() => undefined)
  }
}
