/**
 * The embedded store on disk, in a folder: for one machine, with any number of processes. A change is acknowledged
 * when it is flushed to the disk; a process may be killed at any moment. Needs the package `lmdb`.
 *
 * Changes that come together are one transaction and one flush, which this thread waits for: about as long as the
 * disk takes. Reads wait for nobody. All files stay on a local disk: LMDB's locks do not reach over a network.
 */
import { resolve } from 'node:path'
import {
  type Environment,
  EnvironmentReader,
  numberProblems,
  throwProblems,
  unknownOptions,
} from '../config.js'
import type { Digest } from '../core/digest.js'
import type { Advanced, Mark } from '../core/mark.js'
import { EMPTY_STATE, type Entry, latestEnd, restore, type Revocation, revoke } from '../core/revocation.js'
import { type LogRecord, readRecord, RECORD_BYTES } from '../core/record.js'
import type { ParsedTarget } from '../core/target.js'
import { RescindError } from '../errors.js'
import { changeOf, revocationOf } from './line.js'
import { LmdbAccess } from './lmdb-access.js'
import { bytesIn, failureOf, type LmdbFile, type OpenedFile, openFile, openLmdbFile } from './lmdb-file.js'
import { unreadable } from './lmdb-header.js'
import { type Ledger, LmdbLog, type Place } from './lmdb-log.js'
import { LmdbMarks } from './lmdb-marks.js'
import { LmdbNodes } from './lmdb-nodes.js'
import { packRow, parseRow, type Row } from './lmdb-row.js'
import { LmdbShapes } from './lmdb-shapes.js'
import { LmdbSweep } from './lmdb-sweep.js'
import { formatPosition, parsePosition } from './position.js'
import {
  type AdvanceOptions,
  type Bell,
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

// For who keeps more beside the store, with the same promises.
export { LmdbAccess, openFile, type OpenedFile }

/** How an `LmdbStore` is opened. */
export interface LmdbStoreOptions {
  /** The folder of the store; made when it is missing, readable for its owner only. */
  readonly path: string
  /**
   * How many targets it may hold, and as many families of refresh tokens besides; past that `put` and `advance` throw
   * `ERR_STORE_FULL`. Default 1,000,000, 1 to 1,000,000,000.
   */
  readonly entriesMax?: number | undefined
  /** How many bytes it may hold; past that the same. Default 1 GiB, 1 MiB to 1 TiB. */
  readonly bytesMax?: number | undefined
}

const ENTRIES_MAX_NORMAL = 1_000_000
const BYTES_MAX_NORMAL = 2 ** 30
const RANGES = {
  entriesMax: { min: 1, max: 1_000_000_000 },
  bytesMax: { min: 2 ** 20, max: 2 ** 40 },
} as const
/** How many rows and chunks of the log one write looks at to remove what has ended. */
const SWEEP_ROWS = 4
const SWEEP_CHUNKS = 1
/** The same, for a write that finds the store full. */
const FULL_SWEEP_ROWS = 1024
const FULL_SWEEP_CHUNKS = 64

/**
 * The embedded store on disk: a folder that any number of processes of one machine share. See {@link Store}.
 */
export class LmdbStore implements Store {
  readonly kind = 'lmdb'
  readonly #file: LmdbFile
  readonly #access: LmdbAccess
  readonly #log: LmdbLog
  readonly #shapes: LmdbShapes
  readonly #marks: LmdbMarks
  readonly #nodes: LmdbNodes
  readonly #entriesMax: number
  readonly #bytesMax: number
  readonly #rowSweep: LmdbSweep

  /** Opens the store, or makes it. Throws `ERR_STORE_CORRUPT` for what it cannot read, and leaves that as it is. */
  static open(options: LmdbStoreOptions): LmdbStore {
    const { path, entriesMax = ENTRIES_MAX_NORMAL, bytesMax = BYTES_MAX_NORMAL } = options
    const isFolder = typeof path === 'string' && path !== ''
    throwProblems([
      ...(isFolder ? [] : ['path must name a folder']),
      ...numberProblems(options, RANGES),
      ...unknownOptions(options, { path, ...RANGES }),
    ])
    return new LmdbStore(resolve(path), entriesMax, bytesMax)
  }

  /** Reads `RESCIND_DATA_DIR`, `RESCIND_ENTRIES_MAX` and `RESCIND_BYTES_MAX`. */
  static fromEnv(env: Environment): LmdbStore {
    const reader = new EnvironmentReader(env)
    const path = reader.text('RESCIND_DATA_DIR')
    if (path === undefined)
      reader.problem('RESCIND_DATA_DIR is missing: the embedded store needs a folder for its data')
    const entriesMax = reader.integer('RESCIND_ENTRIES_MAX', RANGES.entriesMax)
    const bytesMax = reader.integer('RESCIND_BYTES_MAX', RANGES.bytesMax)
    reader.finish()
    return LmdbStore.open({ path: path ?? '', entriesMax, bytesMax })
  }

  private constructor(folder: string, entriesMax: number, bytesMax: number) {
    // Twice the bound: pages that are free again lie between those in use. It is address space, not memory.
    this.#file = openLmdbFile(folder, 2 * bytesMax)
    this.#log = new LmdbLog(this.#file)
    this.#shapes = new LmdbShapes(this.#file)
    this.#rowSweep = new LmdbSweep(this.#file.rows, parseRow)
    this.#marks = new LmdbMarks(this.#file, entriesMax)
    this.#nodes = new LmdbNodes(folder)
    this.#access = new LmdbAccess(this.#file, () => this.#nodes.ring('change'))
    this.#entriesMax = entriesMax
    this.#bytesMax = bytesMax
  }

  async put(target: ParsedTarget, wanted: Entry, options: PutOptions): Promise<Stored> {
    assertAccepted(options)
    return this.#access.write(() => this.#put(target, wanted, options.now))
  }

  async restore(target: ParsedTarget, options: RestoreOptions): Promise<Restored> {
    return this.#access.write(() => this.#restore(target, options.now))
  }

  async advance(family: Digest, mark: Mark, options: AdvanceOptions): Promise<Advanced> {
    assertAccepted(options)
    const hasRoom = () => bytesIn(this.#file) < this.#bytesMax
    return this.#access.write(() => this.#marks.advance(family, mark, options.end, options.now, hasRoom))
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
        const revocation = revocationOf(record, (digest) => this.#row(digest), options.now)
        if (revocation === undefined || options.filter?.(revocation) === false) continue
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
      const changes = places.map((place, i) => {
        const record = readRecord(records, i * RECORD_BYTES)
        return changeOf(record, this.#row(record.digest), this.#toPosition(place))
      })
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
    const { state, made } = revoke(row?.state ?? EMPTY_STATE, wanted, now)
    if (made === undefined) return { state, position: this.#toPosition(this.#log.ledger()) }
    const ledger = this.#makeRoom(row === undefined, now)
    // What has ended may have been removed for it.
    const isNew = !this.#file.rows.doesExist(digest)
    this.#shapes.use(target.shape, latestEnd(state), now)
    const end = this.#log.append(ledger, { operation: 'revoke', digest, ...made })
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
    return { changed: true, restoredAt: state.restoredAt, keptUntil: row.keptUntil }
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
      `the embedded store holds ${swept.rows} revocations in ${bytesIn(this.#file)} bytes already; raise entriesMax or bytesMax (RESCIND_ENTRIES_MAX, RESCIND_BYTES_MAX), or use Redis`,
    )
  }

  /** Removes rows and parts of the log that have ended, in a transaction: bounded work, and no timer. */
  #sweep(rowsMax: number, chunksMax: number, now: number): void {
    const removed = this.#rowSweep.sweep(rowsMax, now)
    const ledger = this.#log.ledger()
    if (removed > 0) this.#log.setLedger({ ...ledger, rows: ledger.rows - removed })
    this.#log.sweep(ledger, chunksMax, now)
  }

  #row(digest: Digest): Row | undefined {
    const text = this.#file.rows.get(digest)
    if (text === undefined) return undefined
    const row = parseRow(text)
    if (row === undefined) throw unreadable(this.#file.path, 'is damaged: a revocation does not make sense')
    return row
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

function assertAccepted({ ack }: PutOptions): void {
  if (ack !== 'replicated') return
  throw new RescindError('ERR_ACK_UNSUPPORTED', 'the embedded store has no replicas; use ack: "accepted"')
}
