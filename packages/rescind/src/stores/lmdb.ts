/**
 * The embedded store on disk, in a folder: for one machine, with any number of processes. A change is acknowledged
 * when it is flushed to the disk; a process may be killed at any moment. Needs the package `lmdb`.
 *
 * Changes that come together are one transaction and one flush, which this thread waits for: about as long as the
 * disk takes. Reads wait for nobody. All files stay on a local disk: LMDB's locks do not reach over a network.
 */
import { resolve } from 'node:path'
import { throwProblems } from '../config.js'
import type { Digest } from '../core/digest.js'
import {
  EMPTY_STATE,
  type Entry,
  isSameEntry,
  latestEnd,
  PRUNE_GRACE_SECONDS,
  restore,
  type Revocation,
  revoke,
  toRevocation,
} from '../core/revocation.js'
import { type LogRecord, readRecord, RECORD_BYTES } from '../core/record.js'
import type { ParsedTarget } from '../core/target.js'
import { RescindError } from '../errors.js'
import { LmdbAccess } from './lmdb-access.js'
import { bytesIn, failureOf, type LmdbFile, openLmdbFile } from './lmdb-file.js'
import { unreadable } from './lmdb-header.js'
import { type Ledger, LmdbLog, type Place } from './lmdb-log.js'
import { LmdbNodes } from './lmdb-nodes.js'
import { packRow, parseRow, type Row } from './lmdb-row.js'
import { LmdbShapes } from './lmdb-shapes.js'
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
  type NodeStatus,
  type Page,
  type Probe,
  type PutOptions,
  type Restored,
  type RestoreOptions,
  type Store,
  type Stored,
} from './store.js'

export interface LmdbStoreOptions {
  /** The folder of the store; made when it is missing, readable for its owner only. */
  readonly path: string
  /** How many targets it may hold; past that `put` throws `ERR_STORE_FULL`. Default 1,000,000. */
  readonly entriesMax?: number | undefined
  /** How many bytes it may hold, 1 MiB at least; past that the same. Default 1 GiB. */
  readonly bytesMax?: number | undefined
}

const ENTRIES_MAX_NORMAL = 1_000_000
const BYTES_MAX_NORMAL = 2 ** 30
const BYTES_MAX_MIN = 2 ** 20
/** How many rows and chunks of the log one write looks at to remove what has ended. */
const SWEEP_ROWS = 4
const SWEEP_CHUNKS = 1
/** The same, for a write that finds the store full. */
const FULL_SWEEP_ROWS = 1024
const FULL_SWEEP_CHUNKS = 64

export class LmdbStore implements Store {
  readonly kind = 'lmdb'
  readonly #file: LmdbFile
  readonly #access: LmdbAccess
  readonly #log: LmdbLog
  readonly #shapes: LmdbShapes
  readonly #nodes: LmdbNodes
  readonly #entriesMax: number
  readonly #bytesMax: number
  /** The last digest that was looked at for its end. */
  #sweptTo: Digest | undefined

  /** Opens the store, or makes it. Throws `ERR_STORE_CORRUPT` for what it cannot read, and leaves that as it is. */
  static open(options: LmdbStoreOptions): LmdbStore {
    const { path, entriesMax = ENTRIES_MAX_NORMAL, bytesMax = BYTES_MAX_NORMAL } = options
    const problems: string[] = []
    if (typeof path !== 'string' || path === '') problems.push('path must name a folder')
    if (!Number.isInteger(entriesMax) || entriesMax < 1)
      problems.push('entriesMax must be a whole number of at least 1')
    if (!Number.isInteger(bytesMax) || bytesMax < BYTES_MAX_MIN)
      problems.push(`bytesMax must be a whole number of at least ${BYTES_MAX_MIN}`)
    throwProblems(problems)
    return new LmdbStore(resolve(path), entriesMax, bytesMax)
  }

  private constructor(folder: string, entriesMax: number, bytesMax: number) {
    // Twice the bound: pages that are free again lie between those in use. It is address space, not memory.
    this.#file = openLmdbFile(folder, 2 * bytesMax)
    this.#log = new LmdbLog(this.#file)
    this.#shapes = new LmdbShapes(this.#file)
    this.#nodes = new LmdbNodes(folder)
    this.#access = new LmdbAccess(this.#file, () => this.#nodes.ring('change'))
    this.#entriesMax = entriesMax
    this.#bytesMax = bytesMax
  }

  async put(target: ParsedTarget, wanted: Entry, options: PutOptions): Promise<Stored> {
    if (options.ack === 'replicated')
      throw new RescindError('ERR_ACK_UNSUPPORTED', 'the embedded store has no replicas; use ack: "accepted"')
    return this.#access.write(() => this.#put(target, wanted, options.now))
  }

  async restore(target: ParsedTarget, options: RestoreOptions): Promise<Restored> {
    return this.#access.write(() => this.#restore(target, options.now))
  }

  async find(probe: Probe): Promise<readonly Held[]> {
    return this.#access.read(() => {
      const found: Held[] = []
      for (const digest of probe(this.#shapes.inUse())) {
        const row = this.#row(digest)
        if (row !== undefined) found.push({ digest, target: row.target, state: row.state })
      }
      return found
    })
  }

  async list(options: ListOptions): Promise<Page> {
    const { from, begin } = this.#access.read(() => ({
      from: options.cursor === undefined ? this.#log.ledger().index : this.#placeOf(options.cursor).index,
      begin: this.#log.begin(),
    }))
    const revocations = []
    let at = from
    let scanned = 0
    const chunks = this.#log.backwards(from)
    for (;;) {
      const step = this.#access.read(() => chunks.next())
      if (step.done === true) return { revocations }
      for (const { index, record } of step.value) {
        at = index
        scanned++
        if (record.operation !== 'revoke' || options.now >= record.end) continue
        const row = this.#row(record.digest)
        const entry = row?.state.entries.find((held) => isSameEntry(held, record))
        if (row === undefined || entry === undefined) continue
        const revocation = toRevocation(record.digest, row.target, entry)
        if (options.filter?.(revocation) === false) continue
        revocations.push(revocation)
        if (revocations.length >= options.limit) return this.#page(revocations, at, begin)
      }
      if (scanned >= LIST_SCAN_MAX) return this.#page(revocations, at, begin)
      // A long walk lets others have their turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async readLog(after: string | undefined, bytesMax: number): Promise<LogPage> {
    return this.#access.read(() => {
      const from = after === undefined ? undefined : this.#placeOf(after)
      const count = Math.max(1, Math.floor(bytesMax / RECORD_BYTES))
      const { records, next, isEnd, recordsMax } = this.#log.read(from, count)
      return {
        records,
        position: this.#toPosition(next),
        isEnd,
        hasGap: false,
        recordsMax,
        shapes: this.#shapes.inUse(),
      }
    })
  }

  onBell(listener: (bell: Bell) => void): () => void {
    return this.#nodes.onBell(listener)
  }

  async ringForReceipts(): Promise<void> {
    this.#access.assertOpen()
    await this.#beside(this.#nodes.ringForReceipts())
  }

  async announce(node: NodeStatus): Promise<void> {
    this.#access.assertOpen()
    await this.#beside(this.#nodes.announce(node))
  }

  async retire(id: string): Promise<void> {
    await this.#beside(this.#nodes.retire(id))
  }

  async nodes(): Promise<readonly LiveNode[]> {
    this.#access.assertOpen()
    return this.#beside(this.#nodes.live())
  }

  async changes(after: string, limit: number): Promise<Changes> {
    return this.#access.read(() => {
      const { records, places, next } = this.#log.read(this.#placeOf(after), limit)
      const changes = places.map((place, i) =>
        this.#toChange(readRecord(records, i * RECORD_BYTES), this.#toPosition(place)),
      )
      return { changes, position: this.#toPosition(next) }
    })
  }

  async position(): Promise<string> {
    return this.#access.read(() => this.#toPosition(this.#log.ledger()))
  }

  async ping(): Promise<void> {
    this.#access.read(() => this.#log.ledger())
  }

  /** Writes what waits to be written, and closes the file. */
  async close(): Promise<void> {
    this.#nodes.close()
    await this.#access.close()
  }

  #put(target: ParsedTarget, wanted: Entry, now: number): Stored {
    const { digest } = target
    const row = this.#row(digest)
    const before = row?.state ?? EMPTY_STATE
    const { state, changed } = revoke(before, wanted, now)
    if (!changed) return { state, position: this.#toPosition(this.#log.ledger()) }
    const ledger = this.#makeRoom(row === undefined, now)
    // What has ended may have been removed for it.
    const isNew = !this.#file.rows.doesExist(digest)
    const made = state.entries.find((entry) => !before.entries.some((old) => isSameEntry(old, entry)))
    this.#shapes.use(target.shape, latestEnd(state), now)
    const end =
      made === undefined ? ledger : this.#log.append(ledger, { operation: 'revoke', digest, ...made })
    const keptUntil = Math.max(row?.keptUntil ?? 0, latestEnd(state))
    void this.#file.rows.put(digest, packRow(target, state, keptUntil))
    this.#log.setLedger({ ...end, rows: ledger.rows + (isNew ? 1 : 0) })
    this.#sweep(SWEEP_ROWS, SWEEP_CHUNKS, now)
    return { state, position: this.#toPosition(end) }
  }

  #restore(target: ParsedTarget, now: number): Restored {
    const { digest } = target
    const row = this.#row(digest)
    const state = row === undefined ? undefined : restore(row.state, now)
    if (row === undefined || state === undefined)
      return { changed: false, restoredAt: row?.state.restoredAt ?? 0 }
    const ledger = this.#log.ledger()
    const record: LogRecord = {
      operation: 'restore',
      digest,
      end: row.keptUntil,
      issuedBefore: 0,
      at: state.restoredAt,
    }
    const end = this.#log.append(ledger, record)
    void this.#file.rows.put(digest, packRow(target, state, Math.max(row.keptUntil, state.restoredAt)))
    this.#log.setLedger({ ...end, rows: ledger.rows })
    return { changed: true, restoredAt: state.restoredAt }
  }

  /** Removes what has ended where a bound is reached. Throws `ERR_STORE_FULL` when that was not enough. */
  #makeRoom(isNew: boolean, now: number): Ledger {
    const isFull = ({ rows }: Ledger) =>
      (isNew && rows >= this.#entriesMax) || bytesIn(this.#file) >= this.#bytesMax
    const ledger = this.#log.ledger()
    if (!isFull(ledger)) return ledger
    this.#sweep(FULL_SWEEP_ROWS, FULL_SWEEP_CHUNKS, now)
    const swept = this.#log.ledger()
    if (!isFull(swept)) return swept
    throw new RescindError(
      'ERR_STORE_FULL',
      `the embedded store holds ${swept.rows} revocations in ${bytesIn(this.#file)} bytes already; raise entriesMax or bytesMax, or use Redis`,
    )
  }

  /** Removes rows and parts of the log that have ended, in a transaction: bounded work, and no timer. */
  #sweep(rowsMax: number, chunksMax: number, now: number): void {
    const { rows } = this.#file
    const start = this.#sweptTo === undefined ? {} : { start: this.#sweptTo, exclusiveStart: true }
    const ended: Digest[] = []
    let seen = 0
    for (const { key, value } of rows.getRange({ ...start, limit: rowsMax })) {
      seen++
      this.#sweptTo = key
      const row = parseRow(value)
      if (row !== undefined && row.keptUntil + PRUNE_GRACE_SECONDS <= now) ended.push(key)
    }
    if (seen < rowsMax) this.#sweptTo = undefined
    for (const digest of ended) void rows.remove(digest)
    const ledger = this.#log.ledger()
    if (ended.length > 0) this.#log.setLedger({ ...ledger, rows: ledger.rows - ended.length })
    this.#log.sweep(ledger, chunksMax, now)
  }

  #row(digest: Digest): Row | undefined {
    const text = this.#file.rows.get(digest)
    if (text === undefined) return undefined
    const row = parseRow(text)
    if (row === undefined) throw unreadable(this.#file.path, 'is damaged: a revocation does not make sense')
    return row
  }

  #toChange({ operation, digest, end, issuedBefore, at }: LogRecord, position: string): Change {
    const row = this.#row(digest)
    if (operation === 'restore') {
      return { type: 'restored', position, id: digest, ...(row === undefined ? {} : { target: row.target }) }
    }
    const said = { end, issuedBefore, at }
    const entry = row?.state.entries.find((held) => isSameEntry(held, said)) ?? said
    // The row may have ended meanwhile: then the log knows the times, and not the target.
    return { type: 'revoked', position, revocation: toRevocation(digest, row?.target ?? {}, entry) }
  }

  #page(revocations: Revocation[], at: number, begin: number): Page {
    return at > begin ? { revocations, cursor: this.#toPosition({ index: at, chain: 0 }) } : { revocations }
  }

  #toPosition({ index, chain }: Place): string {
    return formatPosition([{ epoch: this.#file.epoch, segment: 1, offset: index, chain }])
  }

  #placeOf(text: string): Place {
    const [position, ...others] = parsePosition(text) ?? []
    if (
      position?.epoch !== this.#file.epoch ||
      others.length > 0 ||
      position.offset > this.#log.ledger().index
    )
      throw logChanged()
    return { index: position.offset, chain: position.chain }
  }

  /** Files beside the data: failures as the contract has them. */
  async #beside<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      throw failureOf(error, this.#file.path)
    }
  }
}
