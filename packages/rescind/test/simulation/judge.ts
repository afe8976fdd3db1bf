/**
 * Decides whether what the nodes answered was right. It knows when every call began and ended, which losses there
 * were, and which living node must know what; of what happened inside nodes and servers it knows nothing.
 *
 * An acknowledged revocation is owed by a node that knows it (it made it, named it in a receipt, or refused by it from
 * memory), from then on; by every other node once its last complete read began after the acknowledgement. A loss after
 * the revocation was asked for excuses nodes that do not know it, until all is mended. Then, when one node that knows
 * it and may write still lives, all owe it; a revocation that no living node knows may be gone for good.
 */
import type { CheckResult } from '../../src/token-manager.js'
import { TARGETS, TOKENS } from './schedule.js'

/** One life of a node: from its start to its end. */
export interface Incarnation {
  readonly name: string
  readonly mayWrite: boolean
  isAlive: boolean
}

export interface Revoking {
  readonly target: number
  readonly by: Incarnation
  readonly startedMs: number
  /** Seconds since 1970; no two have the same. */
  readonly end: number
  /** It holds whenever a token was issued. */
  ackedMs: number
}

interface Restoring {
  readonly by: Incarnation
  readonly startedMs: number
  /** It may take effect until then. */
  untilMs: number
}

/** An answer, and when it was asked for and given. */
export interface Asked {
  readonly by: Incarnation
  readonly token: number
  readonly source: 'memory' | 'store' | 'either'
  readonly startedMs: number
  readonly endedMs: number
  /** The node's clock when it answered, in seconds since 1970. */
  readonly nodeNow: number
  /** When the last complete read of the log began, by the node's own account. */
  readonly trustedMs: number
  /** When the latest read of the log was sent that a server has answered. */
  readonly heardMs: number
}

interface Loss {
  readonly fromMs: number
  untilMs: number
}

/** So old may an answer from memory be, in milliseconds. */
export const STALENESS_MAX_MS = 1000

const COVERING: readonly (readonly number[])[] = TOKENS.map((token) =>
  TARGETS.flatMap((target, i) =>
    Object.entries(target).every(([name, value]) => token[name] === value) ? [i] : [],
  ),
)

export class Judge {
  readonly violations: string[] = []
  readonly figures = { owed: 0, excused: 0, revoked: 0, clear: 0, unknown: 0, acked: 0, forgotten: 0 }
  readonly #revokings = TARGETS.map((): Revoking[] => [])
  readonly #restorings = TARGETS.map((): Restoring[] => [])
  readonly #knowers = new Map<Revoking, Set<Incarnation>>()
  /** By node and target: the statement by which it refused, the one that ends last. */
  readonly #refusals = new Map<Incarnation, Map<number, Revoking>>()
  readonly #losses: Loss[] = []
  readonly #marginMs: number

  /** `marginMs`: by so much a revocation may end early in the eyes of the clock that is farthest ahead. */
  constructor(marginMs: number) {
    this.#marginMs = marginMs
  }

  revoking(target: number, by: Incarnation, startedMs: number, end: number): Revoking {
    const revoking = { target, by, startedMs, end, ackedMs: Infinity }
    this.#revokings[target]?.push(revoking)
    return revoking
  }

  /** `nodes`: those that the receipt names. */
  acknowledged(revoking: Revoking, nowMs: number, nodes: readonly Incarnation[]): void {
    revoking.ackedMs = nowMs
    this.figures.acked += 1
    for (const node of [revoking.by, ...nodes]) this.#know(revoking, node)
  }

  restoring(target: number, by: Incarnation, startedMs: number): Restoring {
    const restoring = { by, startedMs, untilMs: Infinity }
    this.#restorings[target]?.push(restoring)
    return restoring
  }

  restored(restoring: Restoring, nowMs: number): void {
    restoring.untilMs = nowMs
  }

  /** Something acknowledged may have been lost. Returns what to call when no more is lost by it. */
  loss(nowMs: number): (untilMs: number) => void {
    const loss = { fromMs: nowMs, untilMs: nowMs }
    this.#losses.push(loss)
    loss.untilMs = Infinity
    return (untilMs) => (loss.untilMs = untilMs)
  }

  get hasLosses(): boolean {
    return this.#losses.length > 0
  }

  answered(asked: Asked, result: CheckResult | undefined): void {
    const status = result?.status ?? 'unknown'
    this.figures[status] += 1
    if (this.#owed(asked) !== undefined) this.figures.owed += 1
    if (result?.status === 'revoked') this.#judgeRevoked(asked, result.revocation.expiresAt)
    if (status === 'clear') this.#judgeClear(asked)
  }

  /** After the mending: does every living node owe this refusal? */
  isOwedByAll(token: number, nowMs: number): boolean {
    return (COVERING[token] ?? []).some((target) =>
      (this.#revokings[target] ?? []).some(
        (revoking) =>
          revoking.ackedMs <= nowMs && this.#isInForce(revoking, nowMs) && this.#isKnownForAll(revoking),
      ),
    )
  }

  /** Does a node that lives, and may write, know the statement that ends then? */
  isKnownToWriter(end: number): boolean {
    return [...this.#knowers].some(
      ([revoking, nodes]) =>
        revoking.end === end && [...nodes].some(({ isAlive, mayWrite }) => isAlive && mayWrite),
    )
  }

  /** It may have ended by some clock. `end`: seconds since 1970. */
  isEnding(end: number, nowMs: number): boolean {
    return nowMs + this.#marginMs >= end * 1000
  }

  wasEverRevoked(token: number): boolean {
    return (COVERING[token] ?? []).some((target) => (this.#revokings[target]?.length ?? 0) > 0)
  }

  violate(what: string): void {
    this.violations.push(what)
  }

  #judgeRevoked(asked: Asked, expiresAt: number): void {
    const { by, token, source, nodeNow } = asked
    if (!this.wasEverRevoked(token)) {
      this.violate(`${by.name} refused token ${token}, which was never revoked (${source})`)
      return
    }
    const cause = this.#causeOf(token, expiresAt)
    if (cause === undefined) {
      this.violate(`${by.name} refused token ${token} until ${expiresAt}, which nobody asked for (${source})`)
      return
    }
    if (nodeNow >= expiresAt) this.violate(`${by.name} refused token ${token} after its end (${source})`)
    if (source === 'memory') this.#know(cause, by)
    const refusals = this.#refusals.get(by) ?? new Map<number, Revoking>()
    this.#refusals.set(by, refusals)
    const before = refusals.get(cause.target)
    if (source === 'memory' && (before === undefined || before.end < cause.end))
      refusals.set(cause.target, cause)
  }

  #judgeClear(asked: Asked): void {
    const { by, token, source, endedMs } = asked
    for (const target of COVERING[token] ?? []) {
      const refusal = this.#refusals.get(by)?.get(target)
      if (refusal !== undefined && this.#isInForce(refusal, endedMs)) {
        const what = `${by.name} had refused token ${token} until ${refusal.end} and said clear (${source})`
        this.violate(what)
        return
      }
    }
    const silentMs = asked.startedMs - asked.heardMs
    if (source === 'memory' && silentMs > STALENESS_MAX_MS)
      this.violate(
        `${by.name} said clear (memory) ${Math.round(silentMs)} ms after the last answer of a server`,
      )
    const revoking = this.#owed(asked)
    if (revoking === undefined) return
    const ageMs = Math.round(asked.startedMs - revoking.ackedMs)
    this.violate(
      `${by.name} said clear (${source}) of token ${token}, whose revocation until ${revoking.end} was ` +
        `acknowledged ${ageMs} ms before to ${revoking.by.name}`,
    )
  }

  /** A revocation by which the asked one has to refuse. */
  #owed(asked: Asked): Revoking | undefined {
    return (COVERING[asked.token] ?? [])
      .flatMap((target) => this.#revokings[target] ?? [])
      .find((revoking) => this.#isInForce(revoking, asked.endedMs) && this.#isOwed(revoking, asked))
  }

  #isOwed(revoking: Revoking, { by, source, startedMs, endedMs, trustedMs }: Asked): boolean {
    if (revoking.ackedMs > startedMs) return false
    if (this.#knowers.get(revoking)?.has(by) === true) return true
    if (source !== 'store' && revoking.ackedMs > trustedMs) return false
    const isExcused = this.#losses.some(
      ({ fromMs, untilMs }) => fromMs <= endedMs && untilMs >= revoking.startedMs,
    )
    if (isExcused) this.figures.excused += 1
    return !isExcused
  }

  /** It has not ended in the eyes of any clock, and no restore may have voided it. */
  #isInForce(revoking: Revoking, nowMs: number): boolean {
    if (this.isEnding(revoking.end, nowMs)) return false
    const restorings = this.#restorings[revoking.target] ?? []
    return !restorings.some((restoring) => restoring.startedMs <= nowMs && this.#mayVoid(restoring, revoking))
  }

  /**
   * A restore voids what was revoked before it took effect. Where the restore is lost, or was made on the other side
   * of a split, another node revokes without knowing of it: then the later of the two is told by their clocks.
   */
  #mayVoid(restoring: Restoring, revoking: Revoking): boolean {
    if (restoring.untilMs >= revoking.startedMs) return true
    if (restoring.by === revoking.by) return false
    return this.#losses.some(
      ({ fromMs, untilMs }) => fromMs <= revoking.ackedMs && untilMs >= restoring.startedMs,
    )
  }

  /** Nothing could be lost, or a node lives that knows it and may give it back. */
  #isKnownForAll(revoking: Revoking): boolean {
    const knowers = [...(this.#knowers.get(revoking) ?? [])]
    if (knowers.some(({ isAlive, mayWrite }) => isAlive && mayWrite)) return true
    const mayBeLost = this.#losses.some(({ untilMs }) => untilMs >= revoking.startedMs)
    if (mayBeLost) this.figures.forgotten += 1
    return !mayBeLost
  }

  #know(revoking: Revoking, node: Incarnation): void {
    const knowers = this.#knowers.get(revoking) ?? new Set()
    this.#knowers.set(revoking, knowers.add(node))
  }

  #causeOf(token: number, expiresAt: number): Revoking | undefined {
    return (COVERING[token] ?? [])
      .flatMap((target) => this.#revokings[target] ?? [])
      .find(({ end }) => end === expiresAt)
  }
}
