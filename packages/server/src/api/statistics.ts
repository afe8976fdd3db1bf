/**
 * What was revoked, restored and checked, minute by minute, for the last 24 hours: a ring in the memory of this process.
 * Changes are those of all nodes, read from the change log; checks are those of this process.
 */
import { hasCode, remoteFrame, RescindError } from 'rescind'
import { failureFields } from '../log.js'
import type { Parts } from '../parts.js'

export interface Minute {
  /** When it began, in seconds since 1970. */
  readonly at: number
  revoked: number
  restored: number
  /** By answer: `allowed`, or the code of a denial. */
  readonly checks: Record<string, number>
  /** How checks were decided: `fresh`, `strict`, `store`, `stale`, `open`, `closed`. */
  readonly decisions: Record<string, number>
}

export interface Figures {
  readonly since: number
  /** Since when this process counts. */
  readonly countedSince: number
  readonly totals: Omit<Minute, 'at'>
  readonly minutes: readonly Minute[]
}

export const MINUTES_MAX = 1440
const MINUTE_SECONDS = 60
/** The change log, and counters that grow by themselves, are looked at so often. */
const LOOK_MS = 5000

export class Statistics {
  readonly #parts: Parts
  /** The oldest first; a minute in which nothing happened is missing. */
  readonly #minutes: Minute[] = []
  #checksBefore: Readonly<Record<string, number>> = {}
  #decisionsBefore: Readonly<Record<string, number>> = {}
  readonly #startedAt: number
  /** How far the change log was read. */
  #position: string | undefined
  #reading: Promise<void> | undefined

  private constructor(parts: Parts) {
    this.#parts = parts
    this.#startedAt = Math.floor(parts.now() / 1000)
  }

  /** Counts from now on, until the service stops. */
  static start(parts: Parts): Statistics {
    const statistics = new Statistics(parts)
    const timer = setInterval(() => void statistics.#look(), LOOK_MS)
    timer.unref()
    parts.stopping.addEventListener('abort', () => clearInterval(timer))
    void statistics.#look()
    return statistics
  }

  /** The last minutes, the oldest first, those without anything too. */
  async read(minutes: number): Promise<Figures> {
    await this.#look()
    const last = this.#minuteNow()
    const known = new Map(this.#minutes.map((minute) => [minute.at, minute]))
    const all = Array.from({ length: minutes }, (_, i) => {
      const at = last - (minutes - 1 - i) * MINUTE_SECONDS
      return known.get(at) ?? emptyMinute(at)
    })
    const totals = emptyMinute(0)
    for (const { revoked, restored, checks, decisions } of all) {
      totals.revoked += revoked
      totals.restored += restored
      addGrowth(totals.checks, checks, {})
      addGrowth(totals.decisions, decisions, {})
    }
    const { at: _, ...summed } = totals
    return { since: all[0]?.at ?? last, countedSince: this.#startedAt, totals: summed, minutes: all }
  }

  async #look(): Promise<void> {
    const { metrics, gate } = this.#parts
    await this.#readOn()
    const { values } = await metrics.checks.get()
    const checks = Object.fromEntries(values.map(({ labels, value }) => [String(labels.answer), value]))
    const minute = this.#current()
    addGrowth(minute.checks, checks, this.#checksBefore)
    this.#checksBefore = checks
    const decisions = { ...gate.counts }
    addGrowth(minute.decisions, decisions, this.#decisionsBefore)
    this.#decisionsBefore = decisions
  }

  /** Whoever comes while the log is being read waits for that. */
  #readOn(): Promise<void> {
    this.#reading ??= this.#readToEnd().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  /** While the store is away nothing is counted, and later what was missed. */
  async #readToEnd(): Promise<void> {
    const { store, log } = this.#parts
    try {
      this.#position ??= await store.position()
      for (let isEnd = false; !isEnd;) {
        const page = await store.readLog(this.#position, remoteFrame.PAGE_BYTES_MAX, { reader: this })
        this.#count(page.records)
        ;({ position: this.#position, isEnd } = page)
      }
    } catch (error) {
      if (error instanceof RescindError && !hasCode(error, 'ERR_LOG_CHANGED')) return
      // The log has begun anew.
      this.#position = undefined
      log.warn(failureFields(error), 'statistics have missed changes')
    }
  }

  /** From the packed log: who made a change and why is of no interest here, and would be read for each of them. */
  #count(records: Buffer): void {
    const minute = this.#current()
    for (let offset = 0; offset < records.length; offset += remoteFrame.RECORD_BYTES) {
      if (remoteFrame.readRecord(records, offset).operation === 'revoke') minute.revoked++
      else minute.restored++
    }
  }

  #current(): Minute {
    const at = this.#minuteNow()
    const last = this.#minutes.at(-1)
    // A clock that was set back adds to the minute that is known last.
    if (last !== undefined && last.at >= at) return last
    const minute = emptyMinute(at)
    this.#minutes.push(minute)
    if (this.#minutes.length > MINUTES_MAX) this.#minutes.shift()
    return minute
  }

  #minuteNow(): number {
    const seconds = Math.floor(this.#parts.now() / 1000)
    return seconds - (seconds % MINUTE_SECONDS)
  }
}

function emptyMinute(at: number): Minute {
  return { at, revoked: 0, restored: 0, checks: {}, decisions: {} }
}

function addGrowth(
  to: Record<string, number>,
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): void {
  for (const [name, count] of Object.entries(now)) {
    const growth = count - (before[name] ?? 0)
    if (growth > 0) to[name] = (to[name] ?? 0) + growth
  }
}
