/**
 * The embedded store in memory: one process, gone with it. For development, tests and single-process
 * services; several processes need Redis.
 */
import { randomBytes } from 'node:crypto'
import type { Digest } from '../core/digest.js'
import {
  EMPTY_STATE,
  type Entry,
  isSameEntry,
  latestEnd,
  PRUNE_GRACE_SECONDS,
  restore,
  revoke,
  type State,
  toRevocation,
} from '../core/revocation.js'
import { type ParsedTarget, type Shape, type Target, targetOf } from '../core/target.js'
import { OPERATION_RESTORE, OPERATION_REVOKE, RECORD_BYTES, writeRecord } from '../core/record.js'
import { RescindError } from '../errors.js'
import { formatPosition, parsePosition } from './position.js'
import {
  type Bell,
  type Change,
  type Changes,
  type Held,
  LIST_SCAN_MAX,
  type ListOptions,
  type LiveNode,
  type LogPage,
  logChanged,
  NODE_LIFE_MS,
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
  readonly shapeKey: string
  state: State
  /**
   * The latest end that the row ever had, or the time of its restore: it is kept for the grace beyond, so that a
   * restore outlives what it ended, and every clock by which somebody could revoke again with an earlier time.
   */
  keptUntil: number
}

interface LogLine {
  readonly digest: Digest
  readonly target: Target
  /** Absent for a restore. */
  readonly entry?: Entry
  /** When it was made; for a restore, up to when statements are void. */
  readonly at: number
  readonly keptUntil: number
}

/** How many rows or log lines one write looks at to remove what has ended. */
const SWEEP_STEPS = 4
/** The same, for a write that finds the store full. */
const FULL_SWEEP_STEPS = 1024

export class MemoryStore implements Store {
  readonly kind = 'memory'
  readonly #epoch = randomBytes(8).toString('hex')
  readonly #entriesMax: number
  readonly #rows = new Map<Digest, Row>()
  readonly #shapes = new Map<string, { shape: Shape; end: number }>()
  /** Kept between changes, so that who holds it sees at a glance that nothing came into use. */
  #shapeList: readonly Shape[] | undefined
  readonly #bells = new Set<(bell: Bell) => void>()
  readonly #nodes = new Map<string, { node: NodeStatus; seenMs: number }>()
  readonly #log: LogLine[] = []
  /** Position of the first line that is still in the log. */
  #logStart = 0
  #sweep: Iterator<[Digest, Row]> = this.#rows.entries()
  #closed = false

  /** `entriesMax`: how many targets it may hold, default 1,000,000; past that `put` throws `ERR_STORE_FULL`. */
  constructor(options: { entriesMax?: number } = {}) {
    this.#entriesMax = options.entriesMax ?? 1_000_000
  }

  async put(target: ParsedTarget, wanted: Entry, options: PutOptions): Promise<Stored> {
    this.#assertOpen()
    if (options.ack === 'replicated') {
      throw new RescindError('ERR_ACK_UNSUPPORTED', 'the memory store has no replicas; use ack: "accepted"')
    }
    const { now } = options
    const row = this.#rows.get(target.digest)
    if (row === undefined) {
      for (let i = 0; i < FULL_SWEEP_STEPS && this.#rows.size >= this.#entriesMax; i++) this.#sweepOne(now)
      if (this.#rows.size >= this.#entriesMax) {
        throw new RescindError(
          'ERR_STORE_FULL',
          `the memory store holds ${this.#entriesMax} revocations already; raise entriesMax or use Redis`,
        )
      }
    }
    const { state, changed } = revoke(row?.state ?? EMPTY_STATE, wanted, now)
    if (!changed) return { state, position: this.#end() }
    this.#useShape(target.shape, latestEnd(state), now)
    const held: Row = row ?? {
      target: targetOf(target),
      shapeKey: shapeKey(target.shape),
      state,
      keptUntil: 0,
    }
    const made = state.entries.find(
      (entry) => !(row?.state.entries ?? []).some((old) => isSameEntry(old, entry)),
    )
    held.state = state
    held.keptUntil = Math.max(held.keptUntil, latestEnd(state))
    this.#rows.set(target.digest, held)
    if (made !== undefined) {
      this.#append({
        digest: target.digest,
        target: held.target,
        entry: made,
        at: made.at,
        keptUntil: made.end,
      })
    }
    for (let i = 0; i < SWEEP_STEPS; i++) this.#sweepOne(now)
    return { state, position: this.#end() }
  }

  async restore(target: ParsedTarget, options: RestoreOptions): Promise<Restored> {
    this.#assertOpen()
    const row = this.#rows.get(target.digest)
    const state = row === undefined ? undefined : restore(row.state, options.now)
    if (row === undefined || state === undefined)
      return { changed: false, restoredAt: row?.state.restoredAt ?? 0 }
    row.state = state
    this.#append({
      digest: target.digest,
      target: row.target,
      at: state.restoredAt,
      keptUntil: row.keptUntil,
    })
    row.keptUntil = Math.max(row.keptUntil, state.restoredAt)
    return { changed: true, restoredAt: state.restoredAt }
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
    let at =
      options.cursor === undefined ? this.#logStart + this.#log.length : this.#parsePosition(options.cursor)
    for (let scanned = 0; at > this.#logStart && scanned < LIST_SCAN_MAX; scanned++) {
      at -= 1
      const { digest, target, entry } = this.#log[at - this.#logStart] as LogLine
      if (entry === undefined || options.now >= entry.end) continue
      const live = this.#rows.get(digest)?.state.entries.some((held) => isSameEntry(held, entry))
      if (live !== true) continue
      const revocation = toRevocation(digest, target, entry)
      if (options.filter?.(revocation) === false) continue
      revocations.push(revocation)
      if (revocations.length >= options.limit) break
    }
    return at > this.#logStart ? { revocations, cursor: this.#toPosition(at) } : { revocations }
  }

  async readLog(after: string | undefined, bytesMax: number): Promise<LogPage> {
    this.#assertOpen()
    // Lines that were removed have ended: nobody misses them.
    const start = Math.max(this.#logStart, after === undefined ? 0 : this.#parsePosition(after))
    const count = Math.max(1, Math.floor(bytesMax / RECORD_BYTES))
    const lines = this.#log.slice(start - this.#logStart, start - this.#logStart + count)
    const records = Buffer.alloc(lines.length * RECORD_BYTES)
    lines.forEach(({ digest, entry, at, keptUntil }, i) => {
      const operation = entry === undefined ? OPERATION_RESTORE : OPERATION_REVOKE
      const issuedBefore = entry?.issuedBefore ?? 0
      writeRecord(records, i * RECORD_BYTES, { operation, digest, end: keptUntil, issuedBefore, at })
    })
    return {
      records,
      position: this.#toPosition(start + lines.length),
      isEnd: start + lines.length === this.#logStart + this.#log.length,
      hasGap: false,
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
    return live.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async changes(after: string, limit: number): Promise<Changes> {
    this.#assertOpen()
    const start = this.#parsePosition(after)
    if (start < this.#logStart) throw logChanged()
    const lines = this.#log.slice(start - this.#logStart, start - this.#logStart + limit)
    const changes = lines.map(({ digest, target, entry }, i): Change => {
      const position = this.#toPosition(start + i + 1)
      return entry === undefined
        ? { type: 'restored', position, id: digest, target }
        : { type: 'revoked', position, revocation: toRevocation(digest, target, entry) }
    })
    return { changes, position: this.#toPosition(start + lines.length) }
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

  #append(line: LogLine): void {
    this.#log.push(line)
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

  /** Removes one row and the first log line if they have ended: bounded work a write, and no timer. */
  #sweepOne(now: number): void {
    const line = this.#log[0]
    if (line !== undefined && line.keptUntil + PRUNE_GRACE_SECONDS <= now) {
      this.#log.shift()
      this.#logStart += 1
    }
    let next = this.#sweep.next()
    if (next.done === true) {
      this.#sweep = this.#rows.entries()
      next = this.#sweep.next()
      if (next.done === true) return
    }
    const [digest, row] = next.value
    if (row.keptUntil + PRUNE_GRACE_SECONDS <= now) this.#rows.delete(digest)
  }

  #end(): string {
    return this.#toPosition(this.#logStart + this.#log.length)
  }

  #toPosition(index: number): string {
    return formatPosition([{ epoch: this.#epoch, segment: 1, offset: index, chain: 0 }])
  }

  #parsePosition(text: string): number {
    const position = parsePosition(text)?.[0]
    if (position?.epoch !== this.#epoch || position.offset > this.#logStart + this.#log.length)
      throw logChanged()
    return position.offset
  }

  #assertOpen(): void {
    if (this.#closed) throw new RescindError('ERR_CLOSED', 'the store was closed')
  }
}
