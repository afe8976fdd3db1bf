/**
 * Nodes of one process and the clients that use them: they revoke, restore and check all the time, at a bounded rate
 * and by chance from a seed, and write down every call and every answer.
 */
import { hasCode, RescindError } from '../../../src/errors.js'
import { until } from '../../support/until.js'
import { type Chance, chanceOf, wholeBelow } from './chance.js'
import { type CheckDone, type HistoryEvent, nextId, nowMs, type Source, type Status } from './history.js'
import { makeNode, type NodePlan, type RunNode } from './node.js'
import { isBystander, nameOf } from './subjects.js'

/** Plain data: it can be sent to another process. */
export interface CrewPlan {
  readonly nodes: readonly NodePlan[]
  /** Default 1. */
  readonly seed?: number
  /** It revokes subjects from here on. Crews that share a server need stretches of their own. Default 0. */
  readonly firstSubject?: number
  /** It revokes subjects below this; later only those again. Default 100,000 after the first. */
  readonly endSubject?: number
  /** Of all nodes together. Default 100. */
  readonly writesPerSecond?: number
  /** Of each node. Default 200. */
  readonly checksPerSecond?: number
}

/** What the nodes of a crew say of the same subjects, a letter for each. */
export interface Survey {
  readonly node: string
  /** `r`evoked, `c`lear, `s`tale; absent without a memory. */
  readonly memory?: string
  /** `r`evoked, `c`lear, `u`nknown. */
  readonly store: string
}

export interface CrewCounts {
  /** Revocations acknowledged. */
  readonly acknowledged: number
  /** Writes that failed. */
  readonly failed: number
  readonly answers: number
  /** Of these `unknown`. */
  readonly unknown: number
  /** Nodes whose memory is not fresh. */
  readonly stale: readonly string[]
}

/** A crew, here or in another process. */
export interface Clients {
  /** Resolves when every node can answer. */
  begin(): Promise<void>
  run(): Promise<void>
  /** Resolves when no write is under way. Checks go on. */
  pauseWrites(): Promise<void>
  resumeWrites(): Promise<void>
  counts(): Promise<CrewCounts>
  /** The nodes that do not answer, or are not fresh. */
  away(): Promise<readonly string[]>
  /** Every subject that was ever written, and the bystanders between them. */
  touched(): Promise<readonly number[]>
  survey(subjects: readonly number[]): Promise<readonly Survey[]>
  /** Ends all calls; whoever does not answer within five seconds is left out. */
  rest(): Promise<void>
  /** Asks every node about all of them, and writes the answers down. */
  roll(subjects: readonly number[]): Promise<void>
  history(): Promise<readonly HistoryEvent[]>
  close(): Promise<void>
}

const TICK_MS = 10
/** A process that stood still does not make up for all of it. */
const TICKS_LATE_MAX = 3
const WRITES_IN_FLIGHT_MAX = 32
const CHECKS_IN_FLIGHT_MAX = 64
/** The part of the checks that asks the store by wish. */
const STRICT_SHARE = 0.25
const RESTORE_SHARE = 0.06
const REPEAT_SHARE = 0.04
/** Half of the checks are about those written last. */
const LATEST = 32
const REST_TIMEOUT_MS = 5000
const SURVEY_AT_ONCE = 64
const ROLL_TRIES = 20
const ROLL_PAUSE_MS = 100
/** A bystander: a memory that is not fresh goes on refusing what it knows to be revoked. */
const NOBODY = 4
const LETTERS = { revoked: 'r', clear: 'c', unknown: 'u' } as const

export class Crew implements Clients {
  readonly nodes: readonly RunNode[]
  readonly events: HistoryEvent[] = []
  readonly #plan: Required<CrewPlan>
  readonly #chance: Chance
  readonly #writers: readonly RunNode[]
  readonly #written: number[] = []
  readonly #writing = new Set<number>()
  readonly #inFlight = new Map<RunNode, number>()
  #nextSubject: number
  #areWritesPaused = false
  #timer: NodeJS.Timeout | undefined
  #tickedAt = 0
  #dueWrites = 0
  #dueChecks = 0
  #counts = { acknowledged: 0, failed: 0, answers: 0, unknown: 0 }

  constructor(plan: CrewPlan) {
    const { seed = 1, firstSubject = 0, endSubject = firstSubject + 100_000 } = plan
    const { writesPerSecond = 100, checksPerSecond = 200 } = plan
    this.#plan = { ...plan, seed, firstSubject, endSubject, writesPerSecond, checksPerSecond }
    this.#chance = chanceOf(seed)
    this.#nextSubject = firstSubject
    this.nodes = plan.nodes.map(makeNode)
    this.#writers = this.nodes.filter(({ isWriter }) => isWriter)
  }

  async begin(): Promise<void> {
    await Promise.all(
      this.nodes.map(async (node) => {
        await node.ready()
        const { name, hasReplica, boundMs } = node
        this.events.push({ type: 'node', at: nowMs(), node: name, hasReplica, boundMs })
      }),
    )
  }

  async run(): Promise<void> {
    this.#tickedAt = nowMs()
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS)
  }

  async pauseWrites(): Promise<void> {
    this.#areWritesPaused = true
    await until(() => this.#writing.size === 0, { what: 'the writes to settle', timeoutMs: REST_TIMEOUT_MS })
  }

  async resumeWrites(): Promise<void> {
    this.#areWritesPaused = false
  }

  async counts(): Promise<CrewCounts> {
    const stale = this.nodes.filter((node) => node.hasReplica && node.checkNow(NOBODY) === undefined)
    return { ...this.#counts, stale: stale.map(({ name }) => name) }
  }

  async away(): Promise<readonly string[]> {
    const isAway = async (node: RunNode) =>
      (await node.check(NOBODY)) === 'unknown' || (node.hasReplica && node.checkNow(NOBODY) === undefined)
    const answers = await Promise.all(this.nodes.map(isAway))
    return this.nodes.filter((_, i) => answers[i]).map(({ name }) => name)
  }

  async touched(): Promise<readonly number[]> {
    const { firstSubject } = this.#plan
    return Array.from({ length: this.#nextSubject - firstSubject }, (_, n) => firstSubject + n)
  }

  survey(subjects: readonly number[]): Promise<readonly Survey[]> {
    return Promise.all(
      this.nodes.map(async (node) => {
        const store = await inBatches(subjects, (subject) => node.check(subject))
        // Last, so that it is not younger than what it is compared with.
        const memory = subjects.map((subject) => node.checkNow(subject)?.status)
        return {
          node: node.name,
          store: store.map((status) => LETTERS[status]).join(''),
          ...(node.hasReplica
            ? { memory: memory.map((status) => (status === undefined ? 's' : LETTERS[status])).join('') }
            : {}),
        }
      }),
    )
  }

  async rest(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    const isIdle = () =>
      this.#writing.size === 0 && [...this.#inFlight.values()].every((count) => count === 0)
    await until(isIdle, { what: 'all calls to settle', timeoutMs: REST_TIMEOUT_MS }).catch(() => undefined)
  }

  async roll(subjects: readonly number[]): Promise<void> {
    // One after the other: nobody is to be late because all are asked at once.
    for (const node of this.nodes) {
      await inBatches(subjects, (subject) => this.#askUntilTold(node, subject, 'strict'))
      for (const subject of node.hasReplica ? subjects : []) {
        if (!this.#askMemory(node, subject)) await this.#askUntilTold(node, subject, 'store')
      }
    }
  }

  async history(): Promise<readonly HistoryEvent[]> {
    return this.events
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.nodes.map((node) => node.close()))
  }

  #tick(): void {
    const { writesPerSecond, checksPerSecond } = this.#plan
    const elapsedMs = Math.min(nowMs() - this.#tickedAt, TICKS_LATE_MAX * TICK_MS)
    this.#tickedAt = nowMs()
    this.#dueWrites = this.#areWritesPaused ? 0 : this.#dueWrites + (writesPerSecond * elapsedMs) / 1000
    for (; this.#dueWrites >= 1; this.#dueWrites -= 1) this.#write()
    this.#dueChecks += (checksPerSecond * elapsedMs) / 1000
    for (; this.#dueChecks >= 1; this.#dueChecks -= 1) for (const node of this.nodes) this.#check(node)
  }

  #write(): void {
    const node = this.#writers[wholeBelow(this.#chance, this.#writers.length)]
    if (node === undefined || this.#writing.size >= WRITES_IN_FLIGHT_MAX) return
    const choice = this.#chance()
    const isOld = choice < RESTORE_SHARE + REPEAT_SHARE || this.#nextSubject >= this.#plan.endSubject
    const subject = isOld ? this.#written[wholeBelow(this.#chance, this.#written.length)] : this.#newSubject()
    if (subject === undefined || this.#writing.has(subject)) return
    void (choice < RESTORE_SHARE ? this.#restore(node, subject) : this.#revoke(node, subject))
  }

  #newSubject(): number {
    while (isBystander(this.#nextSubject)) this.#nextSubject += 1
    const subject = this.#nextSubject++
    this.#written.push(subject)
    return subject
  }

  async #revoke(node: RunNode, subject: number): Promise<void> {
    const id = nextId()
    const at = nowMs()
    this.#writing.add(subject)
    const target = nameOf(subject)
    const endAt = at + node.lifeSeconds * 1000
    this.events.push({ type: 'revoking', at, id, node: node.name, target, endAt })
    try {
      const done = await node.revoke(subject)
      this.events.push({ type: 'acknowledged', at: nowMs(), id, ...done })
      this.#counts.acknowledged += 1
    } catch (error) {
      this.#fail(id, error)
    } finally {
      this.#writing.delete(subject)
    }
  }

  async #restore(node: RunNode, subject: number): Promise<void> {
    const id = nextId()
    this.#writing.add(subject)
    const target = nameOf(subject)
    this.events.push({ type: 'restoring', at: nowMs(), id, node: node.name, target, endAt: 0 })
    try {
      const isFound = await node.restore(subject)
      this.events.push({ type: 'acknowledged', at: nowMs(), id, level: 'accepted', isFound })
    } catch (error) {
      this.#fail(id, error)
    } finally {
      this.#writing.delete(subject)
    }
  }

  #fail(id: number, error: unknown): void {
    this.#counts.failed += 1
    const code = error instanceof RescindError ? error.code : 'not ours'
    // A full server is worth telling from others that refuse.
    const isFull = hasCode(error, 'ERR_STORE_REFUSED') && error.message.includes('OOM')
    this.events.push({ type: 'failed', at: nowMs(), id, code: isFull ? `${code} (OOM)` : code })
  }

  #check(node: RunNode): void {
    const subject = this.#anySubject()
    if (this.#chance() >= STRICT_SHARE && node.hasReplica && this.#askMemory(node, subject)) return
    const source = node.hasReplica && node.checkNow(subject) === undefined ? 'store' : 'strict'
    if ((this.#inFlight.get(node) ?? 0) < CHECKS_IN_FLIGHT_MAX) void this.#ask(node, subject, source)
  }

  /** One of the latest, or any one from the first to a little beyond the last. */
  #anySubject(): number {
    const { firstSubject } = this.#plan
    if (this.#chance() < 0.5 && this.#written.length > 0) {
      const from = Math.max(0, this.#written.length - LATEST)
      return this.#written[from + wholeBelow(this.#chance, this.#written.length - from)] as number
    }
    return firstSubject + wholeBelow(this.#chance, this.#nextSubject - firstSubject + 4)
  }

  /** False when the memory is not fresh. */
  #askMemory(node: RunNode, subject: number): boolean {
    const startedAt = nowMs()
    const answer = node.checkNow(subject)
    if (answer === undefined) return false
    this.#answered(node, subject, { source: 'memory', startedAt, ...answer })
    return true
  }

  /** A machine that is short of time may need more than one. */
  async #askUntilTold(node: RunNode, subject: number, source: Source): Promise<void> {
    for (let n = 0; n < ROLL_TRIES && (await this.#ask(node, subject, source)) === 'unknown'; n++) {
      await new Promise((resolve) => setTimeout(resolve, ROLL_PAUSE_MS))
    }
  }

  async #ask(node: RunNode, subject: number, source: Source): Promise<Status> {
    const { name, deadlineMs } = node
    const id = nextId()
    const startedAt = nowMs()
    this.events.push({ type: 'asked', at: startedAt, id, node: name, target: nameOf(subject), source })
    this.#inFlight.set(node, (this.#inFlight.get(node) ?? 0) + 1)
    const answer = node.check(subject)
    let timedAt: number | undefined
    // Held up by the same event loop, and set last: what comes after it is late for a reason of its own.
    const timer = setTimeout(() => (timedAt = nowMs()), deadlineMs)
    const status = await answer
    clearTimeout(timer)
    this.#inFlight.set(node, (this.#inFlight.get(node) ?? 0) - 1)
    const at = nowMs()
    this.#answered(node, subject, {
      ...{ id, source, startedAt, status },
      lateMs: at - startedAt - deadlineMs,
      behindTimerMs: timedAt === undefined ? 0 : at - timedAt,
    })
    return status
  }

  #answered(
    { name }: RunNode,
    subject: number,
    answer: Omit<CheckDone, 'type' | 'at' | 'node' | 'target'>,
  ): void {
    this.#counts.answers += 1
    if (answer.status === 'unknown') this.#counts.unknown += 1
    this.events.push({ type: 'answered', at: nowMs(), node: name, target: nameOf(subject), ...answer })
  }
}

async function inBatches<T>(
  subjects: readonly number[],
  ask: (subject: number) => Promise<T>,
): Promise<readonly T[]> {
  const answers: T[] = []
  for (let from = 0; from < subjects.length; from += SURVEY_AT_ONCE) {
    answers.push(...(await Promise.all(subjects.slice(from, from + SURVEY_AT_ONCE).map(ask))))
  }
  return answers
}
