/**
 * The embedded store in memory: one process, gone with it. For development, tests and single-process
 * services; several processes need Redis.
 */
import { randomBytes } from 'node:crypto'
import {
  type Environment,
  EnvironmentReader,
  numberProblems,
  throwProblems,
  unknownOptions,
} from '../config.js'
import type { Digest } from '../core/digest.js'
import type { Advanced, Mark } from '../core/mark.js'
import {
  EMPTY_STATE,
  type Entry,
  latestEnd,
  PRUNE_GRACE_SECONDS,
  restore,
  revoke,
  type State,
} from '../core/revocation.js'
import { type ParsedTarget, type Shape, type Target, targetOf } from '../core/target.js'
import {
  type LogRecord,
  OPERATION_RESTORE,
  OPERATION_REVOKE,
  RECORD_BYTES,
  writeRecord,
} from '../core/record.js'
import { RescindError } from '../errors.js'
import { changeOf, revocationOf } from './line.js'
import { MemoryLog } from './memory-log.js'
import { MemoryMarks } from './memory-marks.js'
import { MemorySweep } from './memory-sweep.js'
import { formatPosition, parsePosition } from './position.js'
import {
  type AdvanceOptions,
  assertCountable,
  type Bell,
  type Changes,
  type Held,
  LIST_SCAN_MAX,
  type ListOptions,
  type LiveNode,
  type LogPage,
  logChanged,
  NODE_LIFE_MS,
  NODES_MAX,
  type NodeStatus,
  type Page,
  type Probe,
  type PutOptions,
  type Restored,
  type RestoreOptions,
  SHAPES_MAX,
  shapeKey,
  shapesExceeded,
  type Store,
  type Stored,
} from './store.js'

interface Row {
  readonly target: Target
  state: State
  /**
   * The latest end that the row ever had, or the time of its restore: it is kept for the grace beyond, so that a
   * restore outlives what it ended, and every clock by which somebody could revoke again with an earlier time.
   */
  keptUntil: number
}

const ENTRIES_MAX_NORMAL = 1_000_000
/** A `Map` holds 16.7 million keys, and of those that were taken away it keeps the places for a while. */
const RANGES = { entriesMax: { min: 1, max: 8_000_000 } }
/**
 * So many lines the log may hold for each target that the store may hold: whoever revokes and restores the same in turn
 * adds lines, and no target.
 */
const LINES_PER_ENTRY_MAX = 4
/** How many rows one write looks at to remove what has ended, and of the log one chunk. */
const SWEEP_STEPS = 4
/** How many rows and chunks at the most, for a write that finds the store full. */
const FULL_SWEEP_STEPS = 1024

/**
 * The store in the memory of one process: for tests, and for one process that may forget. See {@link Store}.
 */
export class MemoryStore implements Store {
  readonly kind = 'memory'
  readonly #epoch = randomBytes(8).toString('hex')
  readonly #entriesMax: number
  readonly #rows = new Map<Digest, Row>()
  readonly #shapes = new Map<string, { shape: Shape; end: number }>()
  /** Kept between changes, so that who holds it sees at a glance that nothing came into use. */
  #shapeList: readonly Shape[] | undefined
  readonly #bells = new Set<(bell: Bell) => void>()
  readonly #marks: MemoryMarks
  readonly #nodes = new Map<string, { node: NodeStatus; seenMs: number }>()
  readonly #log = new MemoryLog()
  readonly #sweep = new MemorySweep(this.#rows)
  #closed = false

  /**
   * `entriesMax`: how many targets it may hold, four times as many lines of its log, and as many families besides,
   * default 1,000,000, 1 to 8,000,000; past that `put` and `advance` throw `ERR_STORE_FULL`.
   */
  constructor(options: { readonly entriesMax?: number | undefined } = {}) {
    throwProblems([...numberProblems(options, RANGES), ...unknownOptions(options, RANGES)])
    const { entriesMax = ENTRIES_MAX_NORMAL } = options
    this.#entriesMax = entriesMax
    this.#marks = new MemoryMarks(this.#entriesMax)
  }

  /** Reads `RESCIND_ENTRIES_MAX`. */
  static fromEnv(env: Environment): MemoryStore {
    const reader = new EnvironmentReader(env)
    const entriesMax = reader.integer('RESCIND_ENTRIES_MAX', RANGES.entriesMax)
    reader.finish()
    return new MemoryStore({ entriesMax })
  }

  async put(target: ParsedTarget, wanted: Entry, options: PutOptions): Promise<Stored> {
    this.#assertOpen()
    assertAccepted(options)
    const { now } = options
    const row = this.#rows.get(target.digest)
    const { state, made } = revoke(row?.state ?? EMPTY_STATE, wanted, now)
    if (made === undefined) return { state, position: this.#end() }
    this.#makeRoom(row === undefined, now)
    this.#useShape(target.shape, latestEnd(state), now)
    const held: Row = row ?? { target: targetOf(target), state, keptUntil: 0 }
    held.state = state
    held.keptUntil = Math.max(held.keptUntil, latestEnd(state))
    this.#rows.set(target.digest, held)
    this.#append({ operation: 'revoke', digest: target.digest, ...made })
    for (let i = 0; i < SWEEP_STEPS; i++) this.#sweep.step(now)
    this.#log.sweepOne(now)
    return { state, position: this.#end() }
  }

  async restore(target: ParsedTarget, options: RestoreOptions): Promise<Restored> {
    this.#assertOpen()
    const row = this.#rows.get(target.digest)
    const state = row === undefined ? undefined : restore(row.state, options.now)
    if (row === undefined || state === undefined)
      return { changed: false, restoredAt: row?.state.restoredAt ?? 0 }
    row.state = state
    const { digest } = target
    const { restoredAt } = state
    this.#append({ operation: 'restore', digest, end: row.keptUntil, issuedBefore: 0, at: restoredAt })
    const { keptUntil } = row
    row.keptUntil = Math.max(keptUntil, restoredAt)
    return { changed: true, restoredAt, keptUntil }
  }

  async advance(family: Digest, mark: Mark, options: AdvanceOptions): Promise<Advanced> {
    this.#assertOpen()
    assertAccepted(options)
    return this.#marks.advance(family, mark, options.end, options.now)
  }

  async find(probe: Probe): Promise<readonly Held[]> {
    this.#assertOpen()
    const found: Held[] = []
    for (const digest of probe(this.#shapesInUse())) {
      const row = this.#rows.get(digest)
      if (row !== undefined) found.push({ digest, target: row.target, state: row.state })
    }
    return found
  }

  async list(options: ListOptions): Promise<Page> {
    this.#assertOpen()
    const revocations = []
    let at = options.cursor === undefined ? this.#log.end : this.#parsePosition(options.cursor)
    let scanned = 0
    for (const line of this.#log.backwards(at)) {
      at = line.place
      const revocation = revocationOf(line, (digest) => this.#rows.get(digest), options.now)
      if (revocation !== undefined && options.filter?.(revocation) !== false) revocations.push(revocation)
      if (revocations.length >= options.limit || ++scanned >= LIST_SCAN_MAX) break
    }
    return at > this.#log.begin ? { revocations, cursor: this.#toPosition(at) } : { revocations }
  }

  async readLog(after: string | undefined, bytesMax: number): Promise<LogPage> {
    this.#assertOpen()
    const count = Math.max(1, Math.floor(bytesMax / RECORD_BYTES))
    const from = after === undefined ? 0 : this.#parsePosition(after)
    const { lines, next, isEnd } = this.#log.read(from, count)
    const records = Buffer.alloc(lines.length * RECORD_BYTES)
    for (const [i, line] of lines.entries()) {
      const operation = line.operation === 'revoke' ? OPERATION_REVOKE : OPERATION_RESTORE
      writeRecord(records, i * RECORD_BYTES, { ...line, operation })
    }
    return {
      records,
      position: this.#toPosition(next),
      isEnd,
      hasGap: false,
      recordsMax: Math.min(this.#log.size, this.#log.end - from),
      shapes: this.#shapesInUse(),
    }
  }

  onBell(listener: (bell: Bell) => void): () => void {
    this.#bells.add(listener)
    return () => this.#bells.delete(listener)
  }

  async ringForReceipts(): Promise<void> {
    this.#ring('receipt')
  }

  async announce(node: NodeStatus): Promise<void> {
    this.#assertOpen()
    // Forgets those that died; where it throws, there is no room.
    if (!this.#nodes.has(node.id) && this.#nodes.size >= NODES_MAX) await this.nodes()
    this.#nodes.set(node.id, { node, seenMs: performance.now() })
  }

  async retire(id: string): Promise<void> {
    this.#nodes.delete(id)
  }

  async nodes(): Promise<readonly LiveNode[]> {
    this.#assertOpen()
    const nowMs = performance.now()
    const live: LiveNode[] = []
    for (const [id, { node, seenMs }] of this.#nodes) {
      if (nowMs - seenMs > NODE_LIFE_MS) this.#nodes.delete(id)
      else live.push({ ...node, ageMs: nowMs - seenMs })
    }
    assertCountable(live.length)
    return live.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async changes(after: string, limit: number): Promise<Changes> {
    this.#assertOpen()
    const { lines, next } = this.#log.read(this.#parsePosition(after), limit)
    const changes = lines.map((line) =>
      changeOf(line, this.#rows.get(line.digest), this.#toPosition(line.place + 1)),
    )
    return { changes, position: this.#toPosition(next) }
  }

  async position(): Promise<string> {
    this.#assertOpen()
    return this.#end()
  }

  async ping(): Promise<void> {
    this.#assertOpen()
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #append(line: LogRecord): void {
    this.#log.append(line)
    this.#ring('change')
  }

  #ring(bell: Bell): void {
    for (const listener of this.#bells) listener(bell)
  }

  #shapesInUse(): readonly Shape[] {
    return (this.#shapeList ??= [...this.#shapes.values()].map(({ shape }) => shape))
  }

  #useShape(shape: Shape, end: number, now: number): void {
    const key = shapeKey(shape)
    const known = this.#shapes.get(key)
    if (known !== undefined) {
      known.end = Math.max(known.end, end)
      return
    }
    for (const [other, { end: ended }] of this.#shapes) {
      if (ended + PRUNE_GRACE_SECONDS > now) continue
      this.#shapes.delete(other)
      this.#shapeList = undefined
    }
    if (this.#shapes.size >= SHAPES_MAX) throw shapesExceeded()
    this.#shapes.set(key, { shape, end })
    this.#shapeList = undefined
  }

  /** Removes what has ended where a bound is reached. Throws `ERR_STORE_FULL` when that was not enough. */
  #makeRoom(isNew: boolean, now: number): void {
    const isLogFull = () => this.#log.size >= LINES_PER_ENTRY_MAX * this.#entriesMax
    const isFull = () => isNew && this.#rows.size >= this.#entriesMax
    for (let i = 0; i < FULL_SWEEP_STEPS && isLogFull(); i++) this.#log.sweepOne(now)
    for (let i = 0; i < FULL_SWEEP_STEPS && isFull(); i++) this.#sweep.step(now)
    if (!isLogFull() && !isFull()) return
    throw new RescindError(
      'ERR_STORE_FULL',
      `the memory store holds ${this.#rows.size} targets and ${this.#log.size} lines of its log already; raise entriesMax (RESCIND_ENTRIES_MAX) or use Redis`,
    )
  }

  #end(): string {
    return this.#toPosition(this.#log.end)
  }

  #toPosition(index: number): string {
    return formatPosition([{ epoch: this.#epoch, segment: 1, offset: index, chain: 0 }])
  }

  #parsePosition(text: string): number {
    const position = parsePosition(text)?.[0]
    if (position?.epoch !== this.#epoch || position.offset > this.#log.end) throw logChanged()
    return position.offset
  }

  #assertOpen(): void {
    if (this.#closed) throw new RescindError('ERR_CLOSED', 'the store was closed')
  }
}

function assertAccepted({ ack }: PutOptions): void {
  if (ack !== 'replicated') return
  throw new RescindError('ERR_ACK_UNSUPPORTED', 'the memory store has no replicas; use ack: "accepted"')
}
