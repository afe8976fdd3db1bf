/** Revocations and restores on their way to the store, and how sure they are when the call returns. */
import {
  covers,
  dominates,
  type Entry,
  latestEnd,
  type Revocation,
  type State,
  toRevocation,
} from './core/revocation.js'
import { type ParsedTarget, targetOf } from './core/target.js'
import { RescindError } from './errors.js'
import { checkTimeout } from './readiness.js'
import { type Confirmation, waitForNodes } from './receipts.js'
import type { Replica } from './replica/replica.js'
import type { RevocationSettings } from './settings.js'
import { makeStatement, type RevocationWarning, type StatementOptions } from './statement.js'
import type { Store } from './stores/store.js'
import type { Surroundings } from './surroundings.js'

/**
 * How sure a revocation is when the call returns. `accepted`: the store has it (Redis: the primary). `replicated`:
 * so have its replicas. `everywhere`: every live node has applied it.
 */
export type AckLevel = 'accepted' | 'replicated' | 'everywhere'

/** Since when, until when, why, and how sure a revocation must be. */
export interface RevokeOptions extends StatementOptions {
  /** How sure it must be when the call returns. Default `accepted`. */
  readonly ack?: AckLevel | undefined
  /** For `ack: 'everywhere'`: how long to wait for the nodes, in milliseconds. Default 5,000, 1 to 600,000. */
  readonly timeoutMs?: number | undefined
}

/** A revocation as it now stands, and how sure it is. */
export interface Receipt extends Revocation {
  /** The level reached: the one asked for. */
  readonly ack: AckLevel
  /** For `everywhere`: the nodes that have it, by name. */
  readonly nodes?: readonly string[]
  /** For `everywhere`: the same nodes, each with when it had it. */
  readonly confirmations?: readonly Confirmation[]
}

export interface WritesOptions {
  readonly store: Store
  readonly replica: Replica | undefined
  readonly settings: RevocationSettings
  readonly warn: (warning: RevocationWarning) => void
  readonly surroundings: Surroundings
}

const ACK_LEVELS: ReadonlySet<string> = new Set<AckLevel>(['accepted', 'replicated', 'everywhere'])

export class Writes {
  readonly #options: WritesOptions

  constructor(options: WritesOptions) {
    this.#options = options
  }

  /** `exp`: of the token, where one is revoked, in seconds since 1970. */
  async put(target: ParsedTarget, options: RevokeOptions, exp?: number): Promise<Receipt> {
    const { ack = 'accepted', timeoutMs = 5000 } = options
    if (!ACK_LEVELS.has(ack)) {
      throw new RescindError('ERR_ACK_UNSUPPORTED', `ack must be one of: ${[...ACK_LEVELS].join(', ')}`)
    }
    checkTimeout(timeoutMs)
    const { store, replica, surroundings } = this.#options
    const stated = this.statement(target, options, exp)
    // Were a restore that this node knows lost to the store, the statement would be void before it was made.
    const restoredAt = replica?.stateOf(target).restoredAt ?? 0
    const entry = { ...stated, at: Math.max(stated.at, restoredAt + 1) }
    const { state, position, shortfall } = await store.put(target, entry, {
      ack: ack === 'replicated' ? 'replicated' : 'accepted',
      now: Math.floor(this.#now()),
    })
    // This node refuses the token from now on, before the log tells it to.
    const made = strongest(state, entry)
    replica?.learn(target, state, made)
    // Whatever the store loses of it, this node shall notice.
    replica?.start()
    if (shortfall !== undefined) throw shortfall
    const revocation = toRevocation(target.digest, targetOf(target), made)
    if (ack !== 'everywhere') return { ...revocation, ack }
    const confirmations = await waitForNodes(store, position, timeoutMs, surroundings)
    // Nodes that have read so far have it, unless it was lost and another write took its place.
    const [held] = await store.find(() => [target.digest])
    if (held === undefined || !stillSays(held.state, made)) {
      throw new RescindError(
        'ERR_ACK_NOT_REACHED',
        'the store has lost the revocation; this node gives it back',
      )
    }
    return { ...revocation, ack, nodes: confirmations.map(({ name }) => name), confirmations }
  }

  /** True when there was something to restore. */
  async restore(target: ParsedTarget): Promise<boolean> {
    const { store, replica } = this.#options
    const known = replica?.stateOf(target)
    const restored = await store.restore(target, { now: Math.floor(this.#now()), known })
    replica?.learnRestore(target, restored)
    return restored.changed
  }

  /** What `put` would write. */
  statement(target: ParsedTarget, options: StatementOptions, exp: number | undefined): Entry {
    const { settings, warn } = this.#options
    return makeStatement(target, options, { now: this.#now(), exp, settings, warn })
  }

  #now(): number {
    return this.#options.surroundings.now() / 1000
  }
}

/** The statement of a state that says at least what was asked for. */
function strongest(state: State, wanted: Entry): Entry {
  const covering = state.entries.filter((entry) => covers(entry, wanted))
  return covering.find(({ end }) => end === latestEnd({ restoredAt: 0, entries: covering })) ?? wanted
}

/** Does the state say as much, or has somebody restored it since? */
function stillSays({ restoredAt, entries }: State, made: Entry): boolean {
  return restoredAt >= made.at || entries.some((entry) => dominates(entry, made))
}
