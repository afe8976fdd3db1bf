/**
 * The end of the store's log in memory, so that any number of nodes cost the store one reader. It asks the store when
 * somebody wants to know more than it knows, or when the bell rings while nodes listen, once for all who ask at the same
 * time; and it says with every answer how long before the question the store was asked. What it does not hold is read
 * from the store. A store tells this reader of a loss once: it tells each of its own.
 */
import { hasCode, type LogPage, remoteFrame, type RescindError, type Store } from 'rescind'
import { type Clock, type Moment, msBetween } from './moment.js'

export interface LogMemoryOptions {
  readonly store: Store
  readonly clock: Clock
}

export interface ReadOptions {
  /** Who asks, of those who read on; empty where that is not said. */
  readonly asker: string
  readonly after: string | undefined
  readonly bytesMax: number
  /** How old the end of the log may be, in milliseconds. */
  readonly maxAgeMs: number
}

/** A page without the shapes, which are those of the end. */
type Stretch = Pick<LogPage, 'records' | 'position' | 'hasGap'>

interface End extends Omit<Stretch, 'records'> {
  readonly shapes: LogPage['shapes']
  readonly askedAt: Moment
}

interface Flight {
  readonly askedAt: Moment
  readonly page: Promise<LogPage>
}

const BYTES_MAX = 4 * 1024 * 1024
const STRETCHES_MAX = 4096
/** A failure is told to all who ask so soon after it, in milliseconds. */
const FAILURE_MS = 50
/** What the bell leaves out in its pause is read in the middle of it and after it: one reader may ask so often. */
const SOON_PAUSES = [0.5, 1.1]
/** Readers that are remembered. */
const ASKERS_MAX = 20_000
const NOTHING = Buffer.alloc(0)

export class LogMemory {
  readonly #options: LogMemoryOptions
  /** By the position that they follow. */
  readonly #stretches = new Map<string, Stretch>()
  #bytes = 0
  #end: End | undefined
  #reading: Promise<void> | undefined
  #failed: { readonly at: Moment; readonly cause: RescindError } | undefined
  readonly #flights = new Map<string, Flight>()
  /** What the store said of the last loss, how many there were, and of how many each reader knows. */
  #loss: RescindError | undefined
  #losses = 0
  readonly #told = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  #soon: NodeJS.Timeout[] = []

  constructor(options: LogMemoryOptions) {
    this.#options = options
  }

  /** Throws as the store does. */
  async read({ asker, after, bytesMax, maxAgeMs }: ReadOptions): Promise<LogPage> {
    const arrivedAt = this.#options.clock()
    const isNews = this.#tell(asker)
    if (isNews && after !== undefined) throw this.#loss as RescindError
    for (;;) {
      const known = this.#knownAfter(after, bytesMax)
      if (known === undefined) return this.#readThrough(after, bytesMax, maxAgeMs, arrivedAt)
      const { page, askedAt } = known
      const ageMs = msBetween(askedAt, arrivedAt)
      // What is not the end was said then and is said now.
      if (!page.isEnd || ageMs <= maxAgeMs) return { ...page, ageMs }
      await this.#readOn()
    }
  }

  /** Calls back when there is more than before. Returns what ends it. */
  onGrown(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The store has rung: reads on, and again after the pause of its bell. */
  async hear(pauseMs?: number): Promise<void> {
    if (pauseMs !== undefined) this.#readSoon(pauseMs)
    // A read that is under way may have been sent before the change.
    await this.#reading?.catch(() => undefined)
    await this.#readOn().catch(() => undefined)
  }

  close(): void {
    for (const timer of this.#soon) clearTimeout(timer)
  }

  #readSoon(pauseMs: number): void {
    this.close()
    const look = async () => {
      const before = this.#end?.position
      await this.hear()
      if (this.#end?.position !== before) this.#readSoon(pauseMs)
    }
    this.#soon = SOON_PAUSES.map((pauses) => setTimeout(() => void look(), pauses * pauseMs).unref())
  }

  /** The stretches after a position that are held, as one page; undefined where none is, or more than is asked for. */
  #knownAfter(after: string | undefined, bytesMax: number): { page: LogPage; askedAt: Moment } | undefined {
    const end = this.#end
    if (end === undefined || after === undefined) return undefined
    const parts: Buffer[] = []
    let [position, length, hasGap] = [after, 0, false]
    for (let next = this.#stretches.get(position); next !== undefined; next = this.#stretches.get(position)) {
      if (length + next.records.length > bytesMax) break
      parts.push(next.records)
      length += next.records.length
      hasGap ||= next.hasGap
      position = next.position
    }
    const isEnd = position === end.position
    if (position === after && !isEnd) return undefined
    const records = parts.length === 0 ? NOTHING : Buffer.concat(parts)
    const page = { records, position, isEnd, hasGap: hasGap || (isEnd && end.hasGap), shapes: end.shapes }
    return { page, askedAt: end.askedAt }
  }

  /** What is not held: from the store, once for all who ask the same, and the end beside it, so that both meet there. */
  async #readThrough(
    after: string | undefined,
    bytesMax: number,
    maxAgeMs: number,
    arrivedAt: Moment,
  ): Promise<LogPage> {
    const { store, clock } = this.#options
    const name = `${bytesMax} ${after ?? ''}`
    for (;;) {
      let flight = this.#flights.get(name)
      if (flight === undefined) {
        // Of a loss the read beside it is told as well, and counts it.
        flight = { askedAt: clock(), page: store.readLog(after, bytesMax, { reader: this.#flights }) }
        this.#flights.set(name, flight)
        const landed = () => this.#flights.delete(name)
        flight.page.then(landed, landed)
        void this.#readOn().catch(() => undefined)
      }
      const page = await flight.page
      const ageMs = msBetween(flight.askedAt, arrivedAt)
      if (!page.isEnd || ageMs <= maxAgeMs) return { ...page, ageMs }
    }
  }

  /** Reads on to the end. A read that is under way will do. */
  #readOn(): Promise<void> {
    const { clock } = this.#options
    if (this.#failed !== undefined && msBetween(this.#failed.at, clock()) < FAILURE_MS)
      return Promise.reject(this.#failed.cause)
    this.#reading ??= this.#readToEnd().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #readToEnd(): Promise<void> {
    const { store, clock } = this.#options
    const before = this.#end?.position
    try {
      for (let at = before ?? (await store.position()); ;) {
        const askedAt = clock()
        const { records, position, hasGap, isEnd, shapes } = await store.readLog(
          at,
          remoteFrame.PAGE_BYTES_MAX,
          { reader: this },
        )
        this.#keep(at, { records, position, hasGap })
        at = position
        if (!isEnd) continue
        this.#end = { position, hasGap, shapes, askedAt }
        this.#failed = undefined
        break
      }
    } catch (error) {
      const cause = error as RescindError
      if (hasCode(cause, 'ERR_LOG_CHANGED')) this.#lose(cause)
      else this.#failed = { at: clock(), cause }
      throw cause
    }
    if (before !== undefined && this.#end?.position !== before)
      for (const listener of this.#listeners) listener()
  }

  #keep(after: string, stretch: Stretch): void {
    if (stretch.position === after) return
    this.#stretches.set(after, stretch)
    this.#bytes += stretch.records.length
    for (const [oldest, { records }] of this.#stretches) {
      if (this.#bytes <= BYTES_MAX && this.#stretches.size <= STRETCHES_MAX) break
      this.#stretches.delete(oldest)
      this.#bytes -= records.length
    }
  }

  /** True when there was a loss since this reader asked. Who was not seen before knows of all. */
  #tell(asker: string): boolean {
    if (asker === '') return false
    const told = this.#told.get(asker) ?? this.#losses
    this.#told.delete(asker)
    this.#told.set(asker, this.#losses)
    const [oldest] = this.#told.keys()
    if (this.#told.size > ASKERS_MAX && oldest !== undefined) this.#told.delete(oldest)
    return told < this.#losses
  }

  /** What it held may be what was lost. */
  #lose(loss: RescindError): void {
    this.#loss = loss
    this.#losses++
    this.#stretches.clear()
    this.#bytes = 0
    this.#end = undefined
  }
}
