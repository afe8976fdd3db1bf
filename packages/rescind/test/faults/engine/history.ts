/**
 * What happened in a run, in the order in which it happened: every call of a client with its answer, and every harm
 * and heal. Cheap to write, kept in memory, and read by `checker.ts` when the run is over.
 *
 * All times are milliseconds of the machine's monotonic clock, which all processes of the machine share: histories
 * of several processes can be put together.
 */
import type { AckLevel } from '../../../src/token-manager.js'

/** Where an answer came from: the node's memory, the store because memory was not fresh, or the store by wish. */
export type Source = 'memory' | 'store' | 'strict'
export type Status = 'revoked' | 'clear' | 'unknown'

/** A node comes into being. */
export interface NodeBegun {
  readonly type: 'node'
  readonly at: number
  readonly node: string
  /** It has a memory of its own. */
  readonly hasReplica: boolean
  /** How old its answers from memory may be, in milliseconds. */
  readonly boundMs: number
}

export interface WriteBegun {
  readonly type: 'revoking' | 'restoring'
  readonly at: number
  readonly id: number
  readonly node: string
  readonly target: string
  /** Of a revocation: until when no token of the target may be let in. */
  readonly endAt: number
}

export interface WriteDone {
  readonly type: 'acknowledged'
  readonly at: number
  readonly id: number
  readonly level: AckLevel
  /** Of `everywhere`: the nodes that have it. */
  readonly nodes?: readonly string[]
  /** Of a restore: false when the store said that there was nothing. */
  readonly isFound?: boolean
}

/** Nobody can tell whether it was done. */
export interface WriteFailed {
  readonly type: 'failed'
  readonly at: number
  readonly id: number
  readonly code: string
}

/** A check that may take a while; one from memory has only its answer. */
export interface CheckBegun {
  readonly type: 'asked'
  readonly at: number
  readonly id: number
  readonly node: string
  readonly target: string
  readonly source: Source
}

export interface CheckDone {
  readonly type: 'answered'
  readonly at: number
  /** Of `asked`; absent for an answer from memory. */
  readonly id?: number
  readonly startedAt: number
  readonly node: string
  readonly target: string
  readonly source: Source
  readonly status: Status
  /** Of an answer from memory: how old the node said that it was. */
  readonly stalenessMs?: number
  /** How long after its deadline it came; below 0 in time. */
  readonly lateMs?: number
  /** How long after a plain timer of the same deadline, set at the same moment, it came; 0 in time. */
  readonly behindTimerMs?: number
}

/**
 * The run itself. A round goes `harm` (begins), `harmed` (is done), `healing`, `healed`, `recovered` (every node
 * answers and is fresh), `mended` (every node says the same); after the last one, `roll` is called: every node is
 * asked about everything, and nothing is written any more.
 */
export interface Phase {
  readonly type: 'phase'
  readonly at: number
  readonly phase: 'harm' | 'harmed' | 'healing' | 'healed' | 'recovered' | 'mended' | 'roll'
  /** Of `harm`. */
  readonly harm?: HarmKind
}

export interface HarmKind {
  /** The servers may forget what they acknowledged: until the mending, who never knew it may say so. */
  readonly loses: boolean
  /** No server answers these nodes from `harmed` to `healing`: all of them, or those named. */
  readonly silences: boolean | readonly string[]
  /** Sentinels may change the primary once more after the healing, and so lose what was written since. */
  readonly losesAfterHealing?: boolean
}

export type HistoryEvent = NodeBegun | WriteBegun | WriteDone | WriteFailed | CheckBegun | CheckDone | Phase

/** `performance.now()` counts from the start of the process, by the clock that `hrtime` reads. */
const STARTED_AT = Number(process.hrtime.bigint()) / 1e6 - performance.now()
/** Room for the ids of one process. */
const IDS_PER_PROCESS = 2 ** 30

let lastId = process.pid * IDS_PER_PROCESS

/** The clock of all histories, in milliseconds. */
export function nowMs(): number {
  return STARTED_AT + performance.now()
}

/** A number that no other event of this machine has. */
export function nextId(): number {
  return ++lastId
}

/** Puts histories together that are each in order. */
export function mergeHistories(histories: readonly (readonly HistoryEvent[])[]): HistoryEvent[] {
  return histories.reduce<HistoryEvent[]>((merged, next) => mergeTwo(merged, next), [])
}

function mergeTwo(a: readonly HistoryEvent[], b: readonly HistoryEvent[]): HistoryEvent[] {
  const merged: HistoryEvent[] = []
  let [i, j] = [0, 0]
  for (;;) {
    const [left, right] = [a[i], b[j]]
    if (left === undefined && right === undefined) return merged
    if (right === undefined || (left !== undefined && left.at <= right.at)) {
      merged.push(left as HistoryEvent)
      i += 1
    } else {
      merged.push(right)
      j += 1
    }
  }
}
