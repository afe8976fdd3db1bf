/**
 * Decides whether a history keeps the promises, in one pass over its events. Pure: no clock, no servers.
 *
 * What must hold of an answer that was begun at `s` and given at `a` on a node:
 * - It is not `clear` when a revocation of the target was acknowledged and due there by `s`, and has not ended by `a`
 *   (`lost`). Due: asked of the store, and on the node that wrote it, from the acknowledgement on; from the memory of
 *   another node a staleness bound later, and at once on those that an acknowledgement `everywhere` names.
 * - It is not `clear` when the same node had refused the target before `s` (`forgot`).
 * - It is not `revoked` when nobody ever tried to revoke the target (`false-refusal`), nor, fresh, a bound
 *   after a restore was acknowledged and nothing was revoked since (`resurrected`).
 * - It is given, and not more than `lateMs` after a plain timer of its deadline (`late`, `unanswered`).
 * - It is not `clear` from memory more than the bound after the servers went silent (`overdue`).
 * - With no harm about, `unknown` is the exception (`unavailable`); after the roll was called every question has
 *   another answer in the end, and all nodes say the same of a target (`disagreement`).
 *
 * What nobody can tell is allowed both ways: a write that failed, a restore that is under way or failed.
 *
 * What is excused, and only from the harm to the mending, when the harm says that servers lose what they acknowledged:
 * `clear` on a node that cannot have known better, which is one without memory, or one that had not read the log since
 * the acknowledgement when the harm began, and did not write it; once that one refused it, it is `forgot`. After the
 * mending nothing is excused: all nodes that knew it lived, so it has to be back.
 */
import type { CheckBegun, CheckDone, HistoryEvent, NodeBegun, WriteBegun, WriteDone } from './history.js'
import { HarmRecord, type Loss } from './harm-record.js'
import { type Obligation, TargetRecord } from './target-record.js'

export type ViolationKind =
  | 'lost'
  | 'forgot'
  | 'false-refusal'
  | 'resurrected'
  | 'late'
  | 'unanswered'
  | 'overdue'
  | 'unavailable'
  | 'disagreement'

export interface Violation {
  readonly kind: ViolationKind
  readonly target: string
  readonly message: string
  /** The events that prove it. */
  readonly proof: readonly HistoryEvent[]
}

export interface Limits {
  /** How long after its deadline an answer may come, in milliseconds. Default 50. */
  readonly lateMs: number
  /** How long a server that was told to stop may go on, in milliseconds. Default 20. */
  readonly harmMs: number
  /**
   * The part of answers that may be `unknown` without harm, for a machine that is short of time: servers that get none
   * do not answer. Default 0.1. Those that came while the process itself stood still are left out.
   */
  readonly unknownShare: number
}

export interface Figures {
  readonly events: number
  readonly answers: Readonly<Record<'revoked' | 'clear' | 'unknown', number>>
  readonly acknowledged: Readonly<Record<'accepted' | 'replicated' | 'everywhere', number>>
  readonly restored: number
  readonly failedWrites: Readonly<Record<string, number>>
  /** Targets of `lost`. */
  readonly lost: number
  /** Answers that were excused. */
  readonly excused: number
  /** Answers of `late` and `unanswered`. */
  readonly late: number
  /** The latest answer, in milliseconds behind a plain timer of the same deadline, and behind the deadline. */
  readonly behindTimerMaxMs: number
  readonly lateMaxMs: number
  /** The oldest memory that said `clear`, by its own account, and the longest time after the servers' silence. */
  readonly stalenessMaxMs: number
  readonly silenceMaxMs: number
  /** `unknown` and all answers while there was no harm. */
  readonly unknownInPeace: number
  readonly answersInPeace: number
  /** From `healed` until all were fresh, and until all said the same, and from `harmed` until all were fresh: of each round. */
  readonly recoveriesMs: readonly number[]
  readonly mendingsMs: readonly number[]
  readonly outagesMs: readonly number[]
}

export interface Report {
  /** The first of them, at most `VIOLATIONS_MAX`. */
  readonly violations: readonly Violation[]
  readonly counts: Readonly<Partial<Record<ViolationKind, number>>>
  readonly figures: Figures
  /** How often anything was looked at: grows with the number of events, and with nothing else. */
  readonly steps: number
}

export const LIMITS: Limits = { lateMs: 50, harmMs: 20, unknownShare: 0.1 }
const VIOLATIONS_MAX = 50
/** A few answers do not make a share. */
const UNKNOWN_MIN = 5
/** A timer that is so late tells of a process that stood still; for so long after it the circuit may be open. */
const STALL_MS = 25
const STALL_FELT_MS = 1000

/** Throws when the events are not in order. */
export function checkHistory(events: readonly HistoryEvent[], limits: Partial<Limits> = {}): Report {
  const checker = new Checker({ ...LIMITS, ...limits })
  for (const event of events) checker.see(event)
  return checker.finish()
}

interface NodeRecord {
  readonly begun: NodeBegun
  /** When it last had, by its own account, all of the log. */
  trustedAt: number
}

class Checker {
  readonly #limits: Limits
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #targets = new Map<string, TargetRecord>()
  readonly #writes = new Map<number, WriteBegun>()
  readonly #asked = new Map<number, CheckBegun>()
  readonly #violations: Violation[] = []
  readonly #counts: Partial<Record<ViolationKind, number>> = {}
  readonly #lost = new Set<string>()
  readonly #harms = new HarmRecord()
  /** The first answer about each target after the roll was called. */
  readonly #roll = new Map<string, CheckDone>()
  /** The answers that are still to come then: a node may be asked again. */
  readonly #untold = new Map<string, CheckDone>()
  #stalledAt = -Infinity
  #lastAt = -Infinity
  #steps = 0
  #events = 0
  readonly #answers = { revoked: 0, clear: 0, unknown: 0 }
  readonly #acknowledged = { accepted: 0, replicated: 0, everywhere: 0 }
  readonly #failedWrites: Record<string, number> = {}
  readonly #sums = { restored: 0, excused: 0, late: 0, unknownInPeace: 0, answersInPeace: 0 }
  readonly #longest = { behindTimer: 0, late: 0, staleness: 0, silence: 0 }

  constructor(limits: Limits) {
    this.#limits = limits
  }

  see(event: HistoryEvent): void {
    if (event.at < this.#lastAt) throw new Error('the events of a history have to be in order')
    this.#lastAt = event.at
    this.#events += 1
    this.#steps += 1
    switch (event.type) {
      case 'node':
        this.#nodes.set(event.node, { begun: event, trustedAt: -Infinity })
        break
      case 'revoking':
      case 'restoring':
        this.#writes.set(event.id, event)
        this.#target(event.target).begin(event)
        break
      case 'acknowledged':
        this.#acknowledge(event)
        break
      case 'failed': {
        const write = this.#settled(event.id)
        this.#failedWrites[event.code] = (this.#failedWrites[event.code] ?? 0) + 1
        this.#target(write.target).fail(write)
        break
      }
      case 'asked':
        this.#asked.set(event.id, event)
        if (event.source === 'store') this.#harms.staleAt(event.at)
        break
      case 'answered':
        this.#answer(event)
        break
      case 'phase':
        this.#harms.turn(event, () => this.#trusted())
    }
  }

  finish(): Report {
    for (const asked of this.#asked.values()) {
      this.#sums.late += 1
      this.#violate('unanswered', asked.target, `${asked.node} was asked and never answered`, [asked])
    }
    for (const event of this.#untold.values()) {
      this.#violate('unavailable', event.target, `${event.node} cannot tell after healing`, [event])
    }
    const { unknownInPeace, answersInPeace, ...sums } = this.#sums
    const most = Math.max(UNKNOWN_MIN, answersInPeace * this.#limits.unknownShare)
    if (unknownInPeace > most) {
      const message = `${unknownInPeace} of ${answersInPeace} answers were unknown without any harm`
      this.#violate('unavailable', '', message, [])
    }
    return {
      violations: this.#violations,
      counts: this.#counts,
      steps: this.#steps,
      figures: {
        ...sums,
        unknownInPeace,
        answersInPeace,
        events: this.#events,
        answers: this.#answers,
        acknowledged: this.#acknowledged,
        failedWrites: this.#failedWrites,
        lost: this.#lost.size,
        behindTimerMaxMs: this.#longest.behindTimer,
        lateMaxMs: this.#longest.late,
        stalenessMaxMs: this.#longest.staleness,
        silenceMaxMs: this.#longest.silence,
        recoveriesMs: this.#harms.recoveriesMs,
        mendingsMs: this.#harms.mendingsMs,
        outagesMs: this.#harms.outagesMs,
      },
    }
  }

  #acknowledge(event: WriteDone): void {
    const write = this.#settled(event.id)
    if (write.type === 'revoking') this.#acknowledged[event.level] += 1
    else this.#sums.restored += 1
    this.#target(write.target).acknowledge(write, event, this.#harms.isLossy(write.at))
  }

  #answer(event: CheckDone): void {
    if (event.id !== undefined) this.#asked.delete(event.id)
    this.#answers[event.status] += 1
    this.#judgeTime(event)
    if (this.#harms.isPeace(event.startedAt) && event.startedAt > this.#stalledAt + STALL_FELT_MS) {
      this.#sums.answersInPeace += 1
      if (event.status === 'unknown') this.#sums.unknownInPeace += 1
    }
    const { begun, ...node } = this.#node(event.node)
    if (event.status === 'clear') this.#judgeClear(event, begun)
    if (event.status === 'revoked') this.#judgeRevoked(event, begun)
    if (event.source === 'memory') {
      const trustedAt = event.startedAt - (event.stalenessMs ?? Infinity)
      this.#node(event.node).trustedAt = Math.max(node.trustedAt, trustedAt)
    }
    if (this.#harms.isRolling) this.#compare(event)
  }

  #judgeTime(event: CheckDone): void {
    const { behindTimerMs = 0, lateMs = 0 } = event
    this.#longest.behindTimer = Math.max(this.#longest.behindTimer, behindTimerMs)
    this.#longest.late = Math.max(this.#longest.late, lateMs)
    if (lateMs - behindTimerMs > STALL_MS) this.#stalledAt = event.at
    if (behindTimerMs <= this.#limits.lateMs) return
    this.#sums.late += 1
    const message = `${event.node} answered ${Math.round(behindTimerMs)} ms after a timer of its deadline`
    this.#violate('late', event.target, message, [event])
  }

  #judgeClear(event: CheckDone, node: NodeBegun): void {
    if (event.source === 'memory') this.#judgeFreshness(event, node)
    const target = this.#target(event.target)
    for (const obligation of target.obligations) {
      this.#steps += 1
      if (dueAt(obligation, event, node) > event.startedAt || event.at >= obligation.write.endAt) continue
      if (this.#isExcused(event, obligation, node)) {
        this.#sums.excused += 1
        continue
      }
      this.#lost.add(event.target)
      const age = Math.round(event.startedAt - obligation.done.at)
      const message = `${event.node} said clear (${event.source}) ${age} ms after it was acknowledged`
      this.#violate('lost', event.target, message, [obligation.write, obligation.done, event])
      return
    }
    const refusal = target.refusals.get(event.node)
    if (refusal === undefined || refusal.event.at > event.startedAt || event.at >= refusal.endAt) return
    // Without a memory it can only say what the servers say, who may lose it until the mending.
    const last = this.#harms.losses.at(-1)
    if (!node.hasReplica && last !== undefined && event.startedAt <= last.mendedAt) return
    const message = `${event.node} had refused it and said clear (${event.source})`
    this.#violate('forgot', event.target, message, [refusal.event, event])
  }

  #judgeFreshness(event: CheckDone, node: NodeBegun): void {
    this.#longest.staleness = Math.max(this.#longest.staleness, event.stalenessMs ?? 0)
    const silentMs = this.#harms.silentFor(event.node, event.startedAt)
    if (silentMs === undefined) return
    this.#longest.silence = Math.max(this.#longest.silence, silentMs)
    if (silentMs <= node.boundMs + this.#limits.harmMs) return
    const message = `${event.node} called itself fresh ${Math.round(silentMs)} ms after the last answer of a server`
    this.#violate('overdue', event.target, message, [event])
  }

  #judgeRevoked(event: CheckDone, node: NodeBegun): void {
    const target = this.#target(event.target)
    if (!target.wasRevoked) {
      this.#violate('false-refusal', event.target, `${event.node} refused what was never revoked`, [event])
      return
    }
    const { restored } = target
    // A memory that is not fresh may be too strict.
    const isFresh = (event.stalenessMs ?? 0) <= node.boundMs
    const isSettled = restored !== undefined && event.startedAt > restored.at + node.boundMs
    if (isSettled && isFresh && !this.#harms.isLossy(event.startedAt)) {
      const message = `${event.node} refused what was restored (${event.source})`
      this.#violate('resurrected', event.target, message, [restored, event])
      return
    }
    target.refuse(event, node.boundMs, isFresh, this.#harms.isLossy(event.startedAt))
  }

  #compare(event: CheckDone): void {
    const question = `${event.node} ${event.source} ${event.target}`
    if (event.status === 'unknown') {
      this.#untold.set(question, event)
      return
    }
    this.#untold.delete(question)
    const other = this.#roll.get(event.target)
    if (other === undefined) this.#roll.set(event.target, event)
    else if (other.status !== event.status) {
      const message = `${other.node} says ${other.status}, ${event.node} says ${event.status}`
      this.#violate('disagreement', event.target, message, [other, event])
    }
  }

  #trusted(): Map<string, number> {
    this.#steps += this.#nodes.size
    return new Map([...this.#nodes].map(([name, { trustedAt }]) => [name, trustedAt]))
  }

  #isExcused(event: CheckDone, obligation: Obligation, node: NodeBegun): boolean {
    return this.#harms.losses.some((loss) => this.#excuses(loss, event, obligation, node))
  }

  #excuses(loss: Loss, event: CheckDone, { write, done }: Obligation, node: NodeBegun): boolean {
    if (event.at < loss.from || event.startedAt > loss.mendedAt || write.at > loss.healedAt) return false
    if (!node.hasReplica) return true
    if (write.node === event.node) return false
    return (loss.trusted.get(event.node) ?? -Infinity) < done.at
  }

  #settled(id: number): WriteBegun {
    const write = this.#writes.get(id)
    if (write === undefined) throw new Error(`write ${id} ended without a beginning`)
    this.#writes.delete(id)
    return write
  }

  #node(name: string): NodeRecord {
    const node = this.#nodes.get(name)
    if (node === undefined) throw new Error(`${name} answered before it began`)
    return node
  }

  #target(name: string): TargetRecord {
    let target = this.#targets.get(name)
    if (target === undefined) this.#targets.set(name, (target = new TargetRecord()))
    return target
  }

  #violate(kind: ViolationKind, target: string, message: string, proof: readonly HistoryEvent[]): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1
    if (this.#violations.length >= VIOLATIONS_MAX) return
    const where = this.#harms.where(this.#lastAt)
    this.#violations.push({ kind, target, message: `${message} (${where})`, proof })
  }
}

/** From when on a node has to refuse it. */
function dueAt({ write, done }: Obligation, { source, node }: CheckDone, { boundMs }: NodeBegun): number {
  if (source !== 'memory' || write.node === node) return done.at
  if (done.level === 'everywhere' && done.nodes?.includes(node) === true) return done.at
  return done.at + boundMs
}
