/**
 * How the embedded store (and who keeps more beside it) reads and writes its file. Changes that come together are one transaction and one flush; an
 * acknowledgement comes after it. What fails is told, and never looks like an empty store: neither a file that was
 * taken away while it was open, nor one after which LMDB does not go on.
 */
import { statSync } from 'node:fs'
import { RescindError } from '../errors.js'
import { failureOf, type OpenedFile } from './lmdb-file.js'
import { unreadable } from './lmdb-header.js'

interface Job {
  run(): unknown
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** How many changes are one transaction, and how many may wait for one. */
const BATCH_MAX = 256
const WAITING_MAX = 100_000
/** Places of processes that were killed while reading are given free so often. */
const READERS_CHECK_MS = 60_000

/**
 * Reads and writes of one open file: that of the store, or of who keeps more beside it.
 *
 * @internal
 */
export class LmdbAccess {
  readonly #file: OpenedFile
  readonly #inode: string
  readonly #onCommit: (() => void) | undefined
  #jobs: Job[] = []
  /** Set while a batch is to come. */
  #batch: NodeJS.Immediate | undefined
  #readersCheckedAt = performance.now()
  /** After a failure from which LMDB does not go on. */
  #failure: RescindError | undefined
  #isClosed = false

  /** `onCommit` is called when something was written. */
  constructor(file: OpenedFile, onCommit?: () => void) {
    this.#file = file
    this.#inode = inodeOf(file.path)
    this.#onCommit = onCommit
  }

  assertOpen(): void {
    if (this.#isClosed) throw new RescindError('ERR_CLOSED', 'the store was closed')
  }

  /** Reads what is committed now, all of one moment. */
  read<T>(work: () => T): T {
    this.#assertUsable()
    return this.guard(() => {
      // LMDB keeps its last look for a while.
      this.#file.root.resetReadTxn()
      return work()
    })
  }

  /**
   * Runs `work` in a transaction, soon, and resolves when that is on the disk. A `RescindError` that it throws is its
   * own alone, and comes before it wrote anything; any other takes back what came with it.
   */
  write<T>(work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#assertUsable()
      if (this.#jobs.length >= WAITING_MAX)
        throw new RescindError('ERR_STORE_OVERLOADED', `${WAITING_MAX} changes wait for the disk already`)
      this.#jobs.push({ run: work, resolve, reject })
      this.#batch ??= setImmediate(() => this.#runBatch())
    })
  }

  /** Failures as the contract has them; what a caller's own function throws passes through. */
  guard<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw isOfLmdb(error) ? failureOf(error, this.#file.path) : error
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    while (this.#jobs.length > 0) this.#runBatch()
    clearImmediate(this.#batch)
    this.#isClosed = true
    await this.#file.root.close()
  }

  #runBatch(): void {
    const jobs = this.#jobs.splice(0, BATCH_MAX)
    this.#batch = this.#jobs.length > 0 ? setImmediate(() => this.#runBatch()) : undefined
    const tell: (() => void)[] = []
    try {
      this.#assertUsable()
      this.#checkReaders()
      this.#file.root.transactionSync(() => {
        for (const { run, resolve, reject } of jobs) {
          try {
            const value = run()
            tell.push(() => resolve(value))
          } catch (error) {
            if (!(error instanceof RescindError)) throw error
            tell.push(() => reject(error))
          }
        }
      })
    } catch (error) {
      const failure = failureOf(error, this.#file.path)
      this.#lookAfter(failure)
      for (const { reject } of jobs) reject(failure)
      return
    }
    for (const each of tell) each()
    this.#onCommit?.()
  }

  /** After a commit that failed: does LMDB go on? */
  #lookAfter(failure: RescindError): void {
    try {
      this.#file.root.resetReadTxn()
      for (const name of this.#file.root.getKeys({ limit: 1 })) void name
    } catch {
      this.#failure = failure
    }
  }

  #assertUsable(): void {
    this.assertOpen()
    if (this.#failure !== undefined) throw this.#failure
    // LMDB would go on with a file that has no name any more.
    if (inodeOf(this.#file.path) !== this.#inode)
      throw unreadable(this.#file.path, 'was moved, removed or replaced while it was open; start again')
  }

  #checkReaders(): void {
    if (performance.now() - this.#readersCheckedAt < READERS_CHECK_MS) return
    this.#readersCheckedAt = performance.now()
    this.#file.root.readerCheck()
  }
}

function isOfLmdb(error: unknown): boolean {
  return typeof (error as { code?: unknown } | null)?.code === 'number'
}

function inodeOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}`
}
