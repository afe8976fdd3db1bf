/**
 * Checks of what was verified: from this node's memory, or from the store itself. The answer is `revoked`, `clear` or
 * `unknown`, and no failure becomes `clear`.
 */
import type { Digest } from './core/digest.js'
import { type Entry, findDeadly, type Revocation, type State, toRevocation } from './core/revocation.js'
import { digestsOf, isUnnamed, own, type Shape, type Subject } from './core/target.js'
import { hasCode, RescindError } from './errors.js'
import type { Replica } from './replica/replica.js'
import type { Held, Store } from './stores/store.js'
import { VerifiedToken } from './token/verifier.js'

/** `revoked`: dead, with the revocation. `clear`: not revoked. `unknown`: cannot be told, and why. */
export type CheckResult =
  | { readonly status: 'revoked'; readonly revocation: Revocation }
  | { readonly status: 'clear' }
  | { readonly status: 'unknown'; readonly cause: RescindError }

export interface ChecksOptions {
  readonly store: Store
  readonly replica: Replica | undefined
  /** How old an answer from memory may be, in milliseconds. */
  readonly stalenessMaxMs: number
  /** The clock, in seconds since 1970. */
  readonly now: () => number
}

const CLEAR: CheckResult = { status: 'clear' }

export class Checks {
  readonly #options: ChecksOptions

  constructor(options: ChecksOptions) {
    this.#options = options
  }

  /** From memory alone; undefined where that is not fresh enough, or where there is none. */
  now(subject: Subject, stalenessMaxMs = this.#options.stalenessMaxMs): CheckResult | undefined {
    const { replica, now } = this.#options
    if (replica === undefined) return undefined
    replica.start()
    // A token is asked about again; claims are as good as new each time.
    if (subject instanceof VerifiedToken) replica.remember(subject)
    if (replica.mentions(subject)) {
      const revocation = replica.find(subject, now())
      if (revocation !== undefined) return { status: 'revoked', revocation }
    }
    if (!replica.isFreshWithin(stalenessMaxMs)) return undefined
    return replica.isUnnamed(subject) ? { status: 'unknown', cause: unnamed() } : CLEAR
  }

  /** From the store itself, within its deadline. A failure of it is `unknown`. */
  async strict(subject: Subject): Promise<CheckResult> {
    const { store, replica } = this.#options
    let isNameless = false
    let held: readonly Held[]
    let probed: readonly Shape[] = []
    try {
      held = await store.find((shapes) => {
        probed = shapes
        isNameless = isUnnamed(shapes, subject)
        return shapes.flatMap((shape) => digestsOf(shape, subject))
      })
    } catch (error) {
      if (hasCode(error, 'ERR_CLAIM_INVALID') || !(error instanceof RescindError)) throw error
      return { status: 'unknown', cause: error }
    }
    const now = this.#options.now()
    const iat = own(subject.claims, 'iat')
    let found: Revocation | undefined
    for (const { digest, target, state } of held) {
      const entry = findDeadly(state, iat, now)
      if (entry === undefined) continue
      this.#learn(probed, subject, digest, state, entry)
      if (found !== undefined && found.expiresAt >= entry.end) continue
      found = toRevocation(digest, target, entry)
    }
    // What the store told this node once, it may have lost since: whoever was refused here is not let in again,
    // but for restores that the log has not told of yet.
    if (found === undefined && replica?.mentions(subject) === true) {
      found = replica.findStanding(
        subject,
        now,
        (digest) => held.find((other) => other.digest === digest)?.state.restoredAt ?? 0,
      )
    }
    if (found !== undefined) return { status: 'revoked', revocation: found }
    if (isNameless) {
      return { status: 'unknown', cause: unnamed() }
    }
    return CLEAR
  }

  /** Whoever was refused by the store is refused by this node from now on, though the store lose it at once. */
  #learn(shapes: readonly Shape[], subject: Subject, digest: Digest, state: State, entry: Entry): void {
    const { replica } = this.#options
    const shape = shapes.find((other) => digestsOf(other, subject).includes(digest))
    if (replica === undefined || shape === undefined) return
    replica.learn({ digest, shape }, state, entry)
    replica.start()
  }
}

function unnamed(): RescindError {
  return new RescindError(
    'ERR_TOKEN_UNNAMED',
    'these claims have no jti, and tokens without one are revoked by their digest: check the token itself',
  )
}
