/**
 * The store on Redis. A revocation is a record with its own expiry, a line in the packed log and an entry in
 * meta, written by one script; a check is one MGET of the shapes in use and the records of the token.
 *
 * Keys, all with the hash tag of the partition: `rescind:{NS.0}:r:DIGEST`, `rescind:{NS.0}:log:N`,
 * `rescind:{NS.0}:meta`, `rescind:{NS.0}:shapes`.
 */
import { randomBytes } from 'node:crypto'
import { type Digest, digestToBytes } from '../core/digest.js'
import {
  chainHolds,
  chainNext,
  type LogRecord,
  OPERATION_RESTORE,
  OPERATION_REVOKE,
  readRecord,
  readSegmentHeader,
  RECORD_BYTES,
  SEGMENT_BYTES_MAX,
} from '../core/record.js'
import { EMPTY_STATE, type Entry, PRUNE_GRACE_SECONDS, type State, toRevocation } from '../core/revocation.js'
import { type ParsedTarget, targetOf } from '../core/target.js'
import { type Environment, EnvironmentReader, throwProblems } from '../config.js'
import { RescindError } from '../errors.js'
import { EventStream } from '../event-stream.js'
import {
  type Change,
  type Changes,
  type Held,
  LIST_SCAN_MAX,
  type ListOptions,
  logChanged,
  type Page,
  type Probe,
  type PutOptions,
  shapeKey,
  SHAPES_MAX,
  type Store,
} from '../stores/store.js'
import { Breaker } from './breaker.js'
import type { RedisClient, RedisConnection } from './connection.js'
import { detailsText, parseRecord, parseShapes, type StoredRecord, type StoredShapes } from './record.js'
import { changeArguments } from './script.js'

export interface RedisStoreOptions {
  /** Keeps several systems apart on one Redis. Letters, digits, `-`, `_`, `.`; at most 64. Default `main`. */
  readonly namespace?: string | undefined
  /** `ack: 'replicated'` waits for this many replicas. Default 1, 1 to 100. */
  readonly replicas?: number | undefined
  /** At most this many checks wait for Redis; further ones are `unknown` at once. Default 2,048. */
  readonly checksInFlightMax?: number | undefined
}

/** What a store has to say while it works. */
export interface RedisStoreEvent {
  /** Redis holds another history than before: it was emptied, replaced or rolled back. */
  readonly type: 'store-changed'
  readonly message: string
}

const NAMESPACE = /^[A-Za-z0-9._-]{1,64}$/
const LIST_CHUNK_RECORDS = 512
/** Shapes that one node knows, with those that went out of use in its life. */
const KNOWN_SHAPES_MAX = 2 * SHAPES_MAX
const NO_SHAPES: StoredShapes = { epoch: '', shapes: [] }
/** Time-outs in a row that open the circuit, and how often it is tried again. */
const CIRCUIT = { timeoutsMax: 5, retryMs: 100 }

interface Meta {
  readonly epoch: string
  readonly segment: number
  /** The latest end of each live segment, by number. */
  readonly ends: ReadonlyMap<number, number>
}

interface Position {
  readonly epoch: string
  readonly segment: number
  readonly offset: number
}

export class RedisStore implements Store {
  readonly kind = 'redis'
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #replicas: number
  readonly #breaker: Breaker
  readonly #events = new EventStream<RedisStoreEvent>()
  #shapesText: string | null = null
  #shapes: StoredShapes = NO_SHAPES

  /** Throws `ERR_CONFIG_INVALID` for options that cannot be used. Closes the connection when it is closed. */
  constructor(connection: RedisConnection, options: RedisStoreOptions = {}) {
    const { namespace = 'main', replicas = 1, checksInFlightMax = 2048 } = options
    const problems: string[] = []
    if (!NAMESPACE.test(namespace))
      problems.push('namespace must be 1 to 64 letters, digits, "-", "_" or "."')
    if (!Number.isInteger(replicas) || replicas < 1 || replicas > 100)
      problems.push('replicas must be 1 to 100')
    if (!Number.isInteger(checksInFlightMax) || checksInFlightMax < 1) {
      problems.push('checksInFlightMax must be a whole number of at least 1')
    }
    throwProblems(problems)
    this.#connection = connection
    this.#prefix = `rescind:{${namespace}.0}:`
    this.#replicas = replicas
    this.#breaker = new Breaker({
      ...CIRCUIT,
      inFlightMax: checksInFlightMax,
      monotonic: () => performance.now(),
    })
  }

  /** Reads `RESCIND_NAMESPACE` and `RESCIND_REPLICAS`. */
  static fromEnv(env: Environment, connection: RedisConnection): RedisStore {
    const reader = new EnvironmentReader(env)
    const namespace = reader.text('RESCIND_NAMESPACE')
    if (namespace !== undefined && !NAMESPACE.test(namespace)) {
      reader.problem('RESCIND_NAMESPACE must be 1 to 64 letters, digits, "-", "_" or "."')
    }
    const replicas = reader.integer('RESCIND_REPLICAS', { min: 1, max: 100 })
    reader.finish()
    return new RedisStore(connection, { namespace, replicas })
  }

  async put(target: ParsedTarget, entry: Entry, options: PutOptions): Promise<State> {
    const { ack = 'accepted', now } = options
    if (ack === 'replicated' && this.#connection.kind === 'cluster') {
      throw new RescindError('ERR_ACK_UNSUPPORTED', 'ack "replicated" is not available on a cluster yet')
    }
    const parameters = this.#changeParameters(OPERATION_REVOKE, target, now, entry)
    const state = await this.#write(async (client) => {
      if (ack === 'accepted') return stateOf(await client.rescindChange(...parameters))
      return this.#writeAndWait(client, parameters)
    })
    return state
  }

  async restore(target: ParsedTarget, options: PutOptions): Promise<boolean> {
    const parameters = this.#changeParameters(OPERATION_RESTORE, target, options.now)
    const [changed] = await this.#write((client) => client.rescindChange(...parameters))
    return changed === 1
  }

  async find(probe: Probe): Promise<readonly Held[]> {
    const { checkTimeoutMs } = this.#connection
    return this.#breaker.run(() =>
      this.#connection.run('checks', checkTimeoutMs, (client) => this.#find(client, probe)),
    )
  }

  async list(options: ListOptions): Promise<Page> {
    return this.#read(async (client) => {
      const meta = await this.#meta(client)
      if (meta === undefined) return { revocations: [] }
      const revocations = []
      let scanned = 0
      let at = options.cursor === undefined ? await this.#end(client, meta) : parsePosition(options.cursor)
      if (at.epoch !== meta.epoch) throw logChanged()
      while (at.segment > 0) {
        if (at.offset <= RECORD_BYTES) {
          at = await this.#segmentBefore(client, meta, at.segment)
          continue
        }
        if (scanned >= LIST_SCAN_MAX) return { revocations, cursor: formatPosition(at) }
        const start = Math.max(RECORD_BYTES, at.offset - LIST_CHUNK_RECORDS * RECORD_BYTES)
        const bytes = await this.#bytes(client, at.segment, start, at.offset)
        const records = readRecords(bytes).reverse()
        const rows = await this.#records(client, records)
        for (const [i, record] of records.entries()) {
          scanned += 1
          at = { ...at, offset: at.offset - RECORD_BYTES }
          const revocation = liveRevocation(record, rows[i], options.now)
          if (revocation === undefined || options.filter?.(revocation) === false) continue
          revocations.push(revocation)
          if (revocations.length >= options.limit) return { revocations, cursor: formatPosition(at) }
        }
        // A segment that ended between the two reads is skipped, not walked for ever.
        if (records.length === 0) at = { ...at, offset: 0 }
      }
      return { revocations }
    })
  }

  async changes(after: string, limit: number): Promise<Changes> {
    return this.#read(async (client) => {
      const from = parsePosition(after)
      const meta = await this.#meta(client)
      if (meta === undefined) {
        // Nothing was ever written: the position of an empty log stays where it is.
        if (from.epoch === '') return { changes: [], position: after }
        throw logChanged()
      }
      let at: Position = from.epoch === '' ? { epoch: meta.epoch, segment: 0, offset: 0 } : from
      if (at.epoch !== meta.epoch || at.segment > meta.segment) throw logChanged()
      const changes: Change[] = []
      while (changes.length < limit) {
        const room = Math.min(limit - changes.length, LIST_CHUNK_RECORDS)
        const records = at.segment === 0 ? [] : await this.#recordsAfter(client, meta, at, room)
        const rows = await this.#records(client, records)
        for (const [i, record] of records.entries()) {
          at = { ...at, offset: at.offset + RECORD_BYTES }
          changes.push(toChange(record, rows[i], formatPosition(at)))
        }
        if (records.length > 0) continue
        const next = await this.#segmentAfter(client, meta, at.segment)
        if (next === undefined) break
        at = { epoch: meta.epoch, segment: next, offset: RECORD_BYTES }
      }
      return { changes, position: formatPosition(at) }
    })
  }

  async position(): Promise<string> {
    return this.#read(async (client) => {
      const meta = await this.#meta(client)
      return formatPosition(
        meta === undefined ? { epoch: '', segment: 0, offset: 0 } : await this.#end(client, meta),
      )
    })
  }

  /** What happens to the store from now on: `store-changed` when Redis lost its history. */
  events(options: { signal?: AbortSignal } = {}): AsyncIterableIterator<RedisStoreEvent> {
    return this.#events.subscribe(options)
  }

  ping(): Promise<void> {
    return this.#connection.ping()
  }

  async close(): Promise<void> {
    this.#events.end()
    await this.#connection.close()
  }

  /** One MGET; a second one only when a shape came into use that this node did not know. */
  async #find(client: RedisClient, probe: Probe): Promise<Held[]> {
    for (;;) {
      const probed = this.#shapes
      const digests = [...probe(probed.shapes)]
      const [shapesText = null, ...texts] = await client.mget(
        this.#key('shapes'),
        ...digests.map((digest) => this.#recordKey(digest)),
      )
      if (shapesText !== this.#shapesText) this.#learnShapes(shapesText)
      // Whoever learned of a new shape meanwhile, this check has not looked under it.
      if (this.#shapes !== probed && hasOthers(this.#shapes, probed)) continue
      const found: Held[] = []
      for (const [i, text] of texts.entries()) {
        if (text === null) continue
        found.push({ digest: digests[i] as Digest, ...parseRecord(text) })
      }
      return found
    }
  }

  /**
   * Takes over the shapes that Redis tells of, beside those known before: were only that key lost, the records
   * would still be found.
   */
  #learnShapes(text: string | null): void {
    const told = text === null ? NO_SHAPES : parseShapes(text)
    const before = this.#shapes
    if (before.epoch !== '' && told.epoch !== before.epoch) {
      this.#events.publish({
        type: 'store-changed',
        message: 'Redis holds another history than before: it was emptied, replaced or rolled back',
      })
    }
    const known = new Map(before.shapes.map((shape) => [shapeKey(shape), shape]))
    for (const shape of told.shapes) known.set(shapeKey(shape), shape)
    // The bound: shapes of long ago are given up for those that are told of.
    if (known.size > KNOWN_SHAPES_MAX) {
      known.clear()
      for (const shape of told.shapes) known.set(shapeKey(shape), shape)
    }
    this.#shapesText = text
    this.#shapes = { epoch: told.epoch, shapes: [...known.values()] }
  }

  #changeParameters(
    operation: number,
    target: ParsedTarget,
    now: number,
    entry?: Entry,
  ): (string | number | Buffer)[] {
    return [
      this.#recordKey(target.digest),
      this.#key('meta'),
      this.#key('shapes'),
      this.#key('log:'),
      ...changeArguments({
        operation,
        now,
        digest: digestToBytes(target.digest),
        end: entry?.end ?? 0,
        issuedBefore: entry?.issuedBefore ?? 0,
        epoch: randomBytes(8).toString('hex'),
        shape: shapeKey(target.shape),
        target: JSON.stringify(targetOf(target)),
        details: entry === undefined ? '{}' : detailsText(entry),
      }),
    ]
  }

  /** Append and WAIT in one pipeline on one connection: WAIT speaks of the writes of its own connection. */
  async #writeAndWait(client: RedisClient, parameters: (string | number | Buffer)[]): Promise<State> {
    const waitMs = Math.max(1, Math.floor(this.#connection.writeTimeoutMs / 2))
    const pipeline = client.pipeline() as ReturnType<RedisClient['pipeline']> & {
      rescindChange(...parameters: (string | number | Buffer)[]): unknown
    }
    pipeline.rescindChange(...parameters)
    pipeline.wait(this.#replicas, waitMs)
    const results = await pipeline.exec()
    const [change, waited] = results ?? []
    if (change === undefined || waited === undefined)
      throw new RescindError('ERR_STORE_UNAVAILABLE', 'Redis cannot be reached')
    if (change[0] !== null) throw change[0]
    const reached = waited[0] === null ? Number(waited[1]) : 0
    if (reached < this.#replicas) {
      throw new RescindError(
        'ERR_ACK_NOT_REACHED',
        `the primary has the revocation, but ${reached} of ${this.#replicas} replicas confirmed it within ${waitMs} ms`,
      )
    }
    return stateOf(change[1] as [number, string | null])
  }

  async #meta(client: RedisClient): Promise<Meta | undefined> {
    const fields = await client.hgetall(this.#key('meta'))
    if (fields.epoch === undefined) return undefined
    const ends = new Map<number, number>()
    for (const [name, value] of Object.entries(fields)) {
      if (name.startsWith('s:')) ends.set(Number(name.slice(2)), Number(value))
    }
    return { epoch: fields.epoch, segment: Number(fields.segment), ends }
  }

  async #end(client: RedisClient, meta: Meta): Promise<Position> {
    const offset = await client.strlen(this.#key(`log:${meta.segment}`))
    return { epoch: meta.epoch, segment: meta.segment, offset }
  }

  /** The end of the nearest segment before this one that still exists; segment 0 when there is none. */
  async #segmentBefore(client: RedisClient, meta: Meta, segment: number): Promise<Position> {
    for (const number of [...meta.ends.keys()].filter((other) => other < segment).sort((a, b) => b - a)) {
      const offset = await client.strlen(this.#key(`log:${number}`))
      if (offset > RECORD_BYTES) return { epoch: meta.epoch, segment: number, offset }
    }
    return { epoch: meta.epoch, segment: 0, offset: 0 }
  }

  /** The next segment after this one that still exists. */
  async #segmentAfter(client: RedisClient, meta: Meta, segment: number): Promise<number | undefined> {
    for (const number of [...meta.ends.keys()].filter((other) => other > segment).sort((a, b) => a - b)) {
      if ((await client.exists(this.#key(`log:${number}`))) === 1) return number
    }
    return undefined
  }

  /** Records from a position on, with the chain checked over what is read. */
  async #recordsAfter(client: RedisClient, meta: Meta, at: Position, limit: number): Promise<LogRecord[]> {
    const isFirst = at.offset <= RECORD_BYTES
    const header = isFirst ? await this.#bytes(client, at.segment, 0, RECORD_BYTES) : undefined
    const bytes = await this.#bytes(client, at.segment, at.offset, at.offset + limit * RECORD_BYTES)
    if (header !== undefined && header.length > 0) {
      const { epoch, chain } = readSegmentHeader(header)
      if (epoch !== meta.epoch) throw logChanged()
      checkChain(chain, bytes)
    }
    if (bytes.length === 0 && (await client.strlen(this.#key(`log:${at.segment}`))) < at.offset) {
      const end = meta.ends.get(at.segment)
      const hasEnded = end === undefined || end - PRUNE_GRACE_SECONDS < Date.now() / 1000
      if (!hasEnded) throw logChanged()
    }
    return readRecords(bytes)
  }

  #bytes(client: RedisClient, segment: number, start: number, end: number): Promise<Buffer> {
    return client.getrangeBuffer(this.#key(`log:${segment}`), start, Math.min(end, SEGMENT_BYTES_MAX) - 1)
  }

  async #records(client: RedisClient, records: readonly LogRecord[]): Promise<(StoredRecord | undefined)[]> {
    if (records.length === 0) return []
    const texts = await client.mget(...records.map(({ digest }) => this.#recordKey(digest)))
    return texts.map((text) => (text === null ? undefined : parseRecord(text)))
  }

  #write<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.run('writes', this.#connection.writeTimeoutMs, commands)
  }

  #read<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.run('log', this.#connection.writeTimeoutMs, commands)
  }

  #recordKey(digest: Digest): string {
    return `${this.#prefix}r:${digest}`
  }

  #key(name: string): string {
    return this.#prefix + name
  }
}

/** True when some shape of `now` was not among those of `before`. */
function hasOthers(now: StoredShapes, before: StoredShapes): boolean {
  const known = new Set(before.shapes.map(shapeKey))
  return now.shapes.some((shape) => !known.has(shapeKey(shape)))
}

function stateOf([, text]: [number, string | null]): State {
  return text === null ? EMPTY_STATE : parseRecord(text).state
}

function readRecords(bytes: Buffer): LogRecord[] {
  const records: LogRecord[] = []
  for (let offset = 0; offset + RECORD_BYTES <= bytes.length; offset += RECORD_BYTES) {
    records.push(readRecord(bytes, offset))
  }
  return records
}

function checkChain(start: number, bytes: Buffer): void {
  let chain = start
  for (let offset = 0; offset + RECORD_BYTES <= bytes.length; offset += RECORD_BYTES) {
    chain = chainNext(chain, bytes, offset)
    if (!chainHolds(chain, bytes, offset)) throw logChanged()
  }
}

/** The revocation that a log record speaks of, if it still holds. */
function liveRevocation(record: LogRecord, row: StoredRecord | undefined, now: number) {
  if (record.operation !== 'revoke' || row === undefined || now >= record.end) return undefined
  const entry = row.state.entries.find((held) => isRecordOf(record, held))
  return entry === undefined ? undefined : toRevocation(record.digest, row.target, entry)
}

function toChange(record: LogRecord, row: StoredRecord | undefined, position: string): Change {
  if (record.operation === 'restore') {
    return row === undefined
      ? { type: 'restored', position, id: record.digest }
      : { type: 'restored', position, id: record.digest, target: row.target }
  }
  const { end, issuedBefore, at } = record
  const entry = row?.state.entries.find((held) => isRecordOf(record, held)) ?? { end, issuedBefore, at }
  // The record may have ended or been removed meanwhile: then the log knows the times, and not the target.
  return { type: 'revoked', position, revocation: toRevocation(record.digest, row?.target ?? {}, entry) }
}

function isRecordOf(record: LogRecord, entry: Entry): boolean {
  return entry.at === record.at && entry.end === record.end && entry.issuedBefore === record.issuedBefore
}

function formatPosition({ epoch, segment, offset }: Position): string {
  return `${epoch}:${segment}:${offset}`
}

function parsePosition(text: string): Position {
  const match = /^([0-9a-f]{16}|):(\d{1,10}):(\d{1,7})$/.exec(text)
  if (match === null) throw logChanged()
  return { epoch: match[1] as string, segment: Number(match[2]), offset: Number(match[3]) }
}
