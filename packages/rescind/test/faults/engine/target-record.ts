/** What a history has told of one target so far, and what a node may say of it. Times as in `history.ts`. */
import type { CheckDone, WriteBegun, WriteDone } from './history.js'

/** A revocation that was acknowledged, and that no restore may have voided. */
export interface Obligation {
  readonly write: WriteBegun
  readonly done: WriteDone
}

/** A node has refused the target, and has to until `endAt`. */
export interface Refusal {
  readonly event: CheckDone
  readonly endAt: number
}

export class TargetRecord {
  /** Somebody tried to revoke it. */
  wasRevoked = false
  /** Emptied by every restore, so it stays short. */
  obligations: Obligation[] = []
  /** By node. */
  readonly refusals = new Map<string, Refusal>()
  /** The restore that ended all revocations, for certain. */
  restored: WriteDone | undefined
  /** What was begun before may be void. */
  #voidUntil = -Infinity
  #restoresOpen = 0
  /** A restore failed: it may come to pass at any time. */
  #isUncertain = false
  #revokesOpen = 0
  /** A revocation failed: it may come to pass at any time. */
  #hasFailedRevoke = false
  #revokedAt = -Infinity
  #revokeBegunAt = -Infinity
  #shortestEndAt = Infinity

  begin(write: WriteBegun): void {
    if (write.type === 'revoking') {
      this.wasRevoked = true
      this.restored = undefined
      this.#revokesOpen += 1
      this.#revokeBegunAt = write.at
      this.#shortestEndAt = Math.min(this.#shortestEndAt, write.endAt)
    } else {
      this.#restoresOpen += 1
      this.obligations = []
      this.refusals.clear()
    }
  }

  /** `isLossy`: the store may have lost what there was to restore. */
  acknowledge(write: WriteBegun, done: WriteDone, isLossy: boolean): void {
    if (write.type === 'revoking') {
      this.#revokesOpen -= 1
      this.#revokedAt = done.at
      if (!this.#isOpen() && write.at >= this.#voidUntil) this.obligations.push({ write, done })
      return
    }
    this.#restoresOpen -= 1
    this.#voidUntil = done.at
    const isLast = this.#revokesOpen === 0 && !this.#hasFailedRevoke && this.#revokedAt < write.at
    if (isLast && done.isFound === true && !isLossy && !this.#isOpen()) this.restored = done
    this.#shortestEndAt = Infinity
  }

  fail(write: WriteBegun): void {
    if (write.type === 'revoking') {
      this.#revokesOpen -= 1
      this.#hasFailedRevoke = true
    } else {
      this.#restoresOpen -= 1
      this.#isUncertain = true
    }
  }

  /**
   * A node refused it, which may still be what stood before a restore: for a bound, while it is not fresh, or from a
   * server that has lost the restore (`isLossy`).
   */
  refuse(event: CheckDone, boundMs: number, isFresh: boolean, isLossy: boolean): void {
    if (this.#isOpen() || this.#revokeBegunAt < this.#voidUntil) return
    if (event.startedAt <= this.#voidUntil + boundMs || (this.#voidUntil > -Infinity && !isFresh)) return
    if (this.#voidUntil > -Infinity && isLossy && this.obligations.length === 0) return
    if (this.refusals.has(event.node)) return
    const ends = this.obligations.map(({ write }) => write.endAt)
    this.refusals.set(event.node, {
      event,
      endAt: ends.length > 0 ? Math.max(...ends) : this.#shortestEndAt,
    })
  }

  #isOpen(): boolean {
    return this.#restoresOpen > 0 || this.#isUncertain
  }
}
