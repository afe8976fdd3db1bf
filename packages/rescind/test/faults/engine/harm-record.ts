/** What a history has told of harms and healing so far: when there is peace, silence, or loss. Times as in `history.ts`. */
import type { HarmKind, Phase } from './history.js'

/** From a harm that loses to the mending. */
export interface Loss {
  readonly from: number
  /** What was begun later is not lost by it. */
  healedAt: number
  mendedAt: number
  /** Until when each node had all of the log, when it began. */
  readonly trusted: ReadonlyMap<string, number>
}

interface Silence {
  readonly from: number
  until: number
  readonly nodes: true | ReadonlySet<string>
}

export class HarmRecord {
  /** From `healed` until the last node was fresh, and until all said the same, of each round. */
  readonly recoveriesMs: number[] = []
  readonly mendingsMs: number[] = []
  /** From `harmed` until the last node was fresh. */
  readonly outagesMs: number[] = []
  /** After the last round: nothing is written any more. */
  isRolling = false
  /** The last two: an answer of now may have begun in the one before. */
  losses: readonly Loss[] = []
  #silences: readonly Silence[] = []
  #harm: HarmKind | undefined
  #peaceFrom = -Infinity
  #staleAt = -Infinity
  #last: Phase | undefined
  readonly #marks: Partial<Record<Phase['phase'], number>> = {}

  /** `trusted`: until when each node has all of the log, at this time. */
  turn({ at, phase, harm }: Phase, trusted: () => ReadonlyMap<string, number>): void {
    this.#marks[phase] = at
    this.#last = { type: 'phase', at, phase }
    const last = this.losses.at(-1)
    switch (phase) {
      case 'harm':
        this.#harm = harm
        this.#peaceFrom = Infinity
        if (harm?.loses === true) this.#lose(at, trusted)
        break
      case 'harmed':
        this.#silence(at)
        break
      case 'healing':
        for (const silence of this.#silences) silence.until = Math.min(silence.until, at)
        break
      case 'healed':
        if (last !== undefined && this.#harm?.losesAfterHealing !== true)
          last.healedAt = Math.min(last.healedAt, at)
        break
      case 'recovered':
        this.#peaceFrom = at
        break
      case 'mended':
        if (last !== undefined) {
          last.healedAt = Math.min(last.healedAt, at)
          last.mendedAt = Math.min(last.mendedAt, at)
        }
        this.#measure(at)
        break
      case 'roll':
        this.isRolling = true
    }
  }

  /** How far the run was at that time, for people. */
  where(at: number): string {
    if (this.#last === undefined) return 'before the first harm'
    return `round ${this.mendingsMs.length}, ${Math.round(at - this.#last.at)} ms after "${this.#last.phase}"`
  }

  /** A memory was not fresh. */
  staleAt(at: number): void {
    this.#staleAt = at
  }

  /** No harm was done, or all nodes were back from it. */
  isPeace(at: number): boolean {
    return at > this.#peaceFrom
  }

  /** Servers may have lost something that they have not back. */
  isLossy(at: number): boolean {
    return this.losses.some(({ from, mendedAt }) => at >= from && at <= mendedAt)
  }

  /** How long no server had been answering this node at that time, in milliseconds; undefined when one did. */
  silentFor(node: string, at: number): number | undefined {
    const silence = this.#silences.find(
      ({ from, until, nodes }) => at >= from && at < until && (nodes === true || nodes.has(node)),
    )
    return silence === undefined ? undefined : at - silence.from
  }

  #lose(at: number, trusted: () => ReadonlyMap<string, number>): void {
    const last = this.losses.at(-1)
    if (last !== undefined && last.mendedAt === Infinity) last.healedAt = Infinity
    else {
      const loss = { from: at, healedAt: Infinity, mendedAt: Infinity, trusted: trusted() }
      this.losses = [...this.losses.slice(-1), loss]
    }
  }

  #silence(from: number): void {
    const silences = this.#harm?.silences ?? false
    if (silences === false) return
    const nodes = silences === true ? silences : new Set(silences)
    this.#silences = [...this.#silences.slice(-1), { from, until: Infinity, nodes }]
  }

  #measure(at: number): void {
    const { harmed = at, healed = at, recovered = at } = this.#marks
    const freshAt = Math.max(recovered, this.#staleAt)
    this.recoveriesMs.push(freshAt - healed)
    this.outagesMs.push(freshAt - harmed)
    this.mendingsMs.push(at - healed)
  }
}
