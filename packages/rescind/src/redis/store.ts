/**
 * The store on Redis. A revocation is a record with its own expiry, a line in the packed log and an entry in
 * meta, written by one script; a strict check is one MGET of the shapes in use and the records of the token.
 *
 * One partition by default. More of them spread records and logs over the shards of a cluster; the shapes, which
 * every check must know, stand in partition 0 for all, and a write is done when both hold it.
 */
import { randomBytes } from 'node:crypto'
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.js'
import { OPERATION_RESTORE, OPERATION_REVOKE, RECORD_BYTES } from '../core/record.js'
import { EMPTY_STATE, type Entry, latestEnd, type State } from '../core/revocation.js'
import { type ParsedTarget, type Shape } from '../core/target.js'
import { type Environment, EnvironmentReader, throwProblems } from '../config.js'
import { EventStream } from '../event-stream.js'
import { formatPosition, ORIGIN, parsePosition, type Position } from '../stores/position.js'
import {
  type BellListener,
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
  type ReseedOptions,
  type RestoreOptions,
  shapeKey,
  SHAPES_MAX,
  type Store,
  type Stored,
} from '../stores/store.js'
import { MACHINE, type Surroundings } from '../surroundings.js'
import { writeAndWait } from './acknowledge.js'
import { Breaker } from './breaker.js'
import type { ChangeReply, RedisClient, RedisConnection } from './connection.js'
import { partitionsDiffer } from './failure.js'
import { liveRevocation, newest, placesOf, type Row, rowsOf, toChange, Walk } from './history.js'
import { SHAPES_EXCEEDED_REPLY } from './lua.js'
import { bellChannel, NAMESPACE, namespaceProblems, PARTITIONS } from './namespace.js'
import { NodeList } from './nodes.js'
import { Partition, type Stretch } from './partition.js'
import { packDetails, packTarget, parseRecord, parseShapes, type StoredShapes } from './record.js'
import { changeArguments, RESEED_BUSY } from './script.js'
import { Standing } from './standing.js'

export interface RedisStoreOptions {
  /** Keeps several systems apart on one Redis. Letters, digits, `-`, `_`, `.`; at most 64. Default `main`. */
  readonly namespace?: string | undefined
  /** `ack: 'replicated'` waits for this many replicas. Default 1, 1 to 100. */
  readonly replicas?: number | undefined
  /** `ack: 'replicated'` waits until primary and replicas have it on their disks (`WAITAOF`, Redis 7.2). Default false. */
  readonly onDisk?: boolean | undefined
  /**
   * A primary with fewer replicas in good standing is not believed, for reading too: it may have been cut off, and
   * another may have taken its place. Default 0: nobody counts them. 0 to 100.
   */
  readonly minReplicas?: number | undefined
  /** A replica that has said nothing for longer does not count, in seconds. They speak every second. Default 2, 1 to 60. */
  readonly replicaLagMaxSeconds?: number | undefined
  /** At most this many checks wait for Redis; further ones are `unknown` at once. Default 2,048. */
  readonly checksInFlightMax?: number | undefined
  /**
   * Spreads the revocations over so many hash slots of a cluster: 1, 2, 4 … 64. Default 1. It is fixed when the
   * namespace is first written to; a node that was given another number fails with `ERR_PARTITIONS_DIFFER`.
   */
  readonly partitions?: number | undefined
  /** Listen to the doorbell, so that a replica reads a change at once. Default true; without it, it polls. */
  readonly doorbell?: boolean | undefined
  /**
   * Work with a Redis whose `maxmemory-policy` lets it drop revocations in silence. Default false: then everything
   * fails with `ERR_STORE_EVICTS`, and checks are `unknown`.
   */
  readonly allowEviction?: boolean | undefined
  /** Time and chance, for simulations. Default: the machine's. */
  readonly surroundings?: Surroundings | undefined
}

/** What a store has to say while it works. */
export interface RedisStoreEvent {
  /** Redis holds another history than before: it was emptied, replaced or rolled back. */
  readonly type: 'store-changed'
  readonly message: string
}

/** How often the log is asked for its epoch, where no shapes tell it, and for all of its segments. In milliseconds. */
const EPOCH_PERIOD_MS = 1000
const KEPT_PERIOD_MS = 10_000
const CHANGES_CHUNK_RECORDS = 512
/** Shapes that one node knows, with those that went out of use in its life. */
const KNOWN_SHAPES_MAX = 2 * SHAPES_MAX
const NO_SHAPES: StoredShapes = { epoch: '', partitions: 0, shapes: [] }
/** Time-outs in a row that open the circuit, and how often it is tried again. */
const CIRCUIT = { timeoutsMax: 5, retryMs: 100 }

export class RedisStore implements Store {
  readonly kind = 'redis'
  readonly #connection: RedisConnection
  readonly #partitions: readonly Partition[]
  readonly #home: Partition
  readonly #nodes: NodeList
  readonly #bellChannel: string
  readonly #doorbell: boolean
  readonly #bells = new Set<BellListener>()
  readonly #replicas: number
  readonly #breaker: Breaker
  readonly #standing: Standing
  readonly #onDisk: boolean
  readonly #events = new EventStream<RedisStoreEvent>()
  readonly #surroundings: Surroundings
  #epochAskedAt = -Infinity
  #keptAskedAt: number
  #isListening = false
  #shapesText: string | null = null
  /** The list of shapes that did not belong to the log. */
  #doubtedText: string | null | undefined
  #shapes: StoredShapes = NO_SHAPES

  /** Throws `ERR_CONFIG_INVALID` for options that cannot be used. Closes the connection when it is closed. */
  constructor(connection: RedisConnection, options: RedisStoreOptions = {}) {
    const { namespace = 'main', replicas = 1, checksInFlightMax = 2048, partitions = 1 } = options
    const { minReplicas = 0, replicaLagMaxSeconds = 2, onDisk = false, surroundings = MACHINE } = options
    const problems = namespaceProblems(namespace, partitions)
    if (!Number.isInteger(replicas) || replicas < 1 || replicas > 100)
      problems.push('replicas must be 1 to 100')
    if (!Number.isInteger(minReplicas) || minReplicas < 0 || minReplicas > 100)
      problems.push('minReplicas must be 0 to 100')
    if (!Number.isInteger(replicaLagMaxSeconds) || replicaLagMaxSeconds < 1 || replicaLagMaxSeconds > 60)
      problems.push('replicaLagMaxSeconds must be 1 to 60')
    if (!Number.isInteger(checksInFlightMax) || checksInFlightMax < 1) {
      problems.push('checksInFlightMax must be a whole number of at least 1')
    }
    throwProblems(problems)
    if (options.allowEviction !== true) connection.refuseEviction()
    this.#connection = connection
    this.#partitions = Array.from(
      { length: partitions },
      (_, number) => new Partition(namespace, number, surroundings),
    )
    this.#home = this.#partitions[0] as Partition
    this.#nodes = new NodeList(this.#home.key('nodes'), surroundings)
    this.#bellChannel = bellChannel(namespace)
    this.#doorbell = options.doorbell ?? true
    this.#replicas = replicas
    this.#onDisk = onDisk
    this.#standing = new Standing(connection, {
      minReplicas,
      lagMaxSeconds: replicaLagMaxSeconds,
      surroundings,
    })
    this.#surroundings = surroundings
    this.#keptAskedAt = surroundings.monotonic()
    this.#breaker = new Breaker({
      ...CIRCUIT,
      inFlightMax: checksInFlightMax,
      monotonic: () => surroundings.monotonic(),
    })
  }

  /**
   * Reads `RESCIND_NAMESPACE`, `RESCIND_REPLICAS`, `RESCIND_ON_DISK`, `RESCIND_PARTITIONS`, `RESCIND_ALLOW_EVICTION`,
   * `RESCIND_MIN_REPLICAS` and `RESCIND_REPLICA_LAG_MAX_SECONDS`.
   */
  static fromEnv(env: Environment, connection: RedisConnection): RedisStore {
    const reader = new EnvironmentReader(env)
    const namespace = reader.text('RESCIND_NAMESPACE')
    if (namespace !== undefined && !NAMESPACE.test(namespace)) {
      reader.problem('RESCIND_NAMESPACE must be 1 to 64 letters, digits, "-", "_" or "."')
    }
    const replicas = reader.integer('RESCIND_REPLICAS', { min: 1, max: 100 })
    const partitions = reader.integer('RESCIND_PARTITIONS', { min: 1, max: 64 })
    if (partitions !== undefined && !PARTITIONS.includes(partitions)) {
      reader.problem(`RESCIND_PARTITIONS must be one of ${PARTITIONS.join(', ')}`)
    }
    const allowEviction = reader.boolean('RESCIND_ALLOW_EVICTION')
    const onDisk = reader.boolean('RESCIND_ON_DISK')
    const minReplicas = reader.integer('RESCIND_MIN_REPLICAS', { min: 0, max: 100 })
    const replicaLagMaxSeconds = reader.integer('RESCIND_REPLICA_LAG_MAX_SECONDS', { min: 1, max: 60 })
    reader.finish()
    return new RedisStore(connection, {
      namespace,
      replicas,
      partitions,
      allowEviction,
      onDisk,
      minReplicas,
      replicaLagMaxSeconds,
    })
  }

  async put(target: ParsedTarget, entry: Entry, options: PutOptions): Promise<Stored> {
    const { ack = 'accepted', now } = options
    if (ack === 'replicated') return this.#putReplicated(target, entry, now)
    const parameters = this.#changeParameters(OPERATION_REVOKE, target, now, entry)
    return this.#write(async (client) => {
      if (this.#isSpread()) await client.rescindShape(...this.#shapeParameters(target.shape, entry.end, now))
      return this.#storedAs(target, await client.rescindChangeBuffer(...parameters))
    })
  }

  async restore(target: ParsedTarget, options: RestoreOptions): Promise<boolean> {
    const { now, known = EMPTY_STATE } = options
    const at = known.entries.reduce((latest, entry) => Math.max(latest, entry.at), 0)
    const parameters = this.#changeParameters(OPERATION_RESTORE, target, now, {
      at,
      end: latestEnd(known),
      issuedBefore: at,
    })
    const [changed] = await this.#write((client) => client.rescindChangeBuffer(...parameters))
    return changed === 1
  }

  async reseed(records: Buffer, options: ReseedOptions): Promise<number | undefined> {
    const { now, shapes, end, isLast } = options
    const groups = new Map<Partition, Buffer[]>()
    for (let at = 0; at < records.length; at += RECORD_BYTES) {
      const line = records.subarray(at, at + RECORD_BYTES)
      const partition = this.#partitionOf(digestFromBytes(line, 0))
      const group = groups.get(partition)
      if (group === undefined) groups.set(partition, [line])
      else group.push(line)
    }
    // What all of them have lost is mended when all of it was given.
    if (isLast)
      for (const partition of this.#partitions) if (!groups.has(partition)) groups.set(partition, [])
    return this.#write(async (client) => {
      // The latest first: more were in use over time than may be at once.
      for (const shape of [...shapes].reverse()) {
        await client.rescindShape(...this.#shapeParameters(shape, end, now)).catch((error: unknown) => {
          if (!(error instanceof Error && error.message.includes(SHAPES_EXCEEDED_REPLY))) throw error
        })
      }
      const given = await Promise.all(
        [...groups].map((group) => this.#reseedPartition(client, options, ...group)),
      )
      return given.includes(RESEED_BUSY) ? undefined : given.reduce((sum, count) => sum + count, 0)
    })
  }

  async find(probe: Probe): Promise<readonly Held[]> {
    const { checkTimeoutMs } = this.#connection
    return this.#breaker.run(() =>
      this.#connection.run('checks', checkTimeoutMs, async (client) => {
        const [held] = await Promise.all([this.#find(client, probe), this.#standing.assertForCheck(client)])
        return held
      }),
    )
  }

  async list(options: ListOptions): Promise<Page> {
    return this.#read(async (client) => {
      const metas = await Promise.all(this.#partitions.map((partition) => partition.meta(client)))
      const from =
        options.cursor === undefined ? metas.map((meta) => meta?.end) : this.#parsePosition(options.cursor)
      const walks = this.#partitions.map((partition, i) => new Walk(client, partition, metas[i], from[i]))
      const revocations = []
      for (let scanned = 0; scanned < LIST_SCAN_MAX; scanned++) {
        const walk = await newest(walks)
        if (walk === undefined) return { revocations }
        const revocation = liveRevocation(walk.take(), options.now)
        if (revocation === undefined || options.filter?.(revocation) === false) continue
        revocations.push(revocation)
        if (revocations.length >= options.limit) break
      }
      return { revocations, cursor: formatPosition(walks.map(({ at }) => at)) }
    })
  }

  async readLog(after: string | undefined, bytesMax: number): Promise<LogPage> {
    const from = after === undefined ? this.#partitions.map(() => ORIGIN) : this.#readFrom(after)
    return this.#read(async (client) => {
      const [[shapesText, ...stretches]] = await Promise.all([
        this.#readStretches(client, from, bytesMax),
        this.#standing.assertForLog(client),
        this.#assertKept(client, from),
      ])
      if (shapesText !== this.#shapesText) this.#learnShapes(shapesText)
      // The log may still stand when all around it is gone, and would never grow again.
      const epoch = from[0]?.epoch ?? ''
      if (epoch !== '' && epoch !== this.#shapes.epoch && shapesText !== this.#doubtedText) {
        // Once: if the shapes alone were lost, those known go on, until somebody writes them again.
        this.#doubtedText = shapesText
        throw logChanged()
      }
      const [only] = stretches
      const isOne = stretches.length === 1 && only !== undefined
      return {
        records: isOne ? only.records : Buffer.concat(stretches.map(({ records }) => records)),
        position: formatPosition(stretches.map(({ position }) => position)),
        isEnd: stretches.every(({ isEnd }) => isEnd),
        // Shapes without a log: what it said is lost, and only who has read it knows.
        hasGap:
          stretches.some(({ hasGap }) => hasGap) ||
          (stretches[0]?.position.epoch === '' && this.#shapes.epoch !== ''),
        recordsMax: stretches.reduce((sum, { recordsMax }) => sum + recordsMax, 0),
        shapes: this.#shapes.shapes,
      }
    })
  }

  async changes(after: string, limit: number): Promise<Changes> {
    const at = this.#readFrom(after)
    const changes: Change[] = []
    await this.#read(async (client) => {
      for (const [i, partition] of this.#partitions.entries()) {
        for (let isEnd = false; !isEnd && changes.length < limit;) {
          const bytesMax = Math.min(limit - changes.length, CHANGES_CHUNK_RECORDS) * RECORD_BYTES
          const stretch = await partition.read(client, at[i] as Position, bytesMax)
          const rows = await rowsOf(client, partition, stretch.records)
          for (const [n, place] of placesOf(stretch).entries()) {
            at[i] = place
            changes.push(toChange(rows[n] as Row, formatPosition(at)))
          }
          at[i] = stretch.position
          isEnd = stretch.isEnd
        }
      }
    })
    return { changes, position: formatPosition(at) }
  }

  async position(): Promise<string> {
    return this.#read(async (client) => {
      const metas = await Promise.all(this.#partitions.map((partition) => partition.meta(client)))
      return formatPosition(metas.map((meta) => meta?.end ?? ORIGIN))
    })
  }

  onBell(listener: BellListener): () => void {
    if (this.#doorbell && this.#bells.size === 0 && !this.#isListening) {
      this.#isListening = true
      this.#connection.listen(this.#bellChannel, (message) => {
        const [bell, pause] = message.split(' ')
        const pauseMs = pause === undefined ? undefined : Number(pause)
        for (const each of this.#bells) each(bell === 'receipt' ? 'receipt' : 'change', pauseMs)
      })
    }
    this.#bells.add(listener)
    return () => this.#bells.delete(listener)
  }

  async ringForReceipts(): Promise<void> {
    await this.#write((client) => client.publish(this.#bellChannel, 'receipt'))
  }

  announce(node: NodeStatus): Promise<void> {
    return this.#write((client) => this.#nodes.announce(client, node))
  }

  retire(id: string): Promise<void> {
    return this.#write((client) => this.#nodes.retire(client, id))
  }

  nodes(): Promise<readonly LiveNode[]> {
    return this.#read((client) => this.#nodes.list(client))
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

  /** One MGET a partition; a second one only when a shape came into use that this node did not know. */
  async #find(client: RedisClient, probe: Probe): Promise<Held[]> {
    for (;;) {
      const probed = this.#shapes
      const digests = [...probe(probed.shapes)]
      const [shapesText, found] = this.#isSpread()
        ? await Promise.all([client.get(this.#home.key('shapes')), this.#heldApart(client, digests)])
        : await this.#heldWithShapes(client, digests)
      if (shapesText !== this.#shapesText) this.#learnShapes(shapesText)
      // Whoever learned of a new shape meanwhile, this check has not looked under it.
      if (this.#shapes !== probed && hasOthers(this.#shapes, probed)) continue
      return found
    }
  }

  /** Shapes and records of one moment. */
  async #heldWithShapes(client: RedisClient, digests: readonly Digest[]): Promise<[string | null, Held[]]> {
    const [shapes, ...records] = await client.mgetBuffer([
      this.#home.key('shapes'),
      ...digests.map((digest) => this.#home.recordKey(digest)),
    ])
    return [shapes?.toString() ?? null, heldOf(digests, records)]
  }

  async #heldApart(client: RedisClient, digests: readonly Digest[]): Promise<Held[]> {
    const groups = new Map<Partition, Digest[]>()
    for (const digest of digests) {
      const partition = this.#partitionOf(digest)
      groups.set(partition, [...(groups.get(partition) ?? []), digest])
    }
    const found = await Promise.all(
      [...groups].map(async ([partition, group]) =>
        heldOf(group, await client.mgetBuffer(group.map((digest) => partition.recordKey(digest)))),
      ),
    )
    return found.flat()
  }

  /**
   * Takes over the shapes that Redis tells of, beside those known before: were only that key lost, the records
   * would still be found.
   */
  #learnShapes(text: string | null): void {
    const told = text === null ? NO_SHAPES : parseShapes(text)
    if (told.partitions !== 0 && told.partitions !== this.#partitions.length) throw partitionsDiffer()
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
    const isSame =
      known.size === before.shapes.length && before.shapes.every((shape) => known.has(shapeKey(shape)))
    // The same array while nothing came into use: replicas compare it.
    this.#shapes = { ...told, shapes: isSame ? before.shapes : [...known.values()] }
  }

  #changeParameters(
    operation: number,
    target: ParsedTarget,
    now: number,
    entry: Entry,
    isWaited = false,
  ): (string | number | Buffer)[] {
    const partition = this.#partitionOf(target.digest)
    return [
      partition.recordKey(target.digest),
      partition.key('meta'),
      partition.key('shapes'),
      partition.key('log:'),
      ...changeArguments({
        operation,
        now,
        digest: digestToBytes(target.digest),
        end: entry.end,
        issuedBefore: entry.issuedBefore,
        epoch: newEpoch(),
        shape: this.#isSpread() ? '' : shapeKey(target.shape),
        target: packTarget(target),
        details: packDetails(entry),
        partitions: this.#partitions.length,
        bell: this.#bellChannel,
        isWaited,
      }),
    ]
  }

  /** Makes sure that every check will look under this shape, before the first record of it is written. */
  #shapeParameters(shape: Shape, end: number, now: number, isWaited = false): (string | number)[] {
    const keys = [this.#home.key('meta'), this.#home.key('shapes')]
    return [...keys, now, end, newEpoch(), shapeKey(shape), this.#partitions.length, isWaited ? 1 : 0]
  }

  async #reseedPartition(
    client: RedisClient,
    { now, giver, isLast }: ReseedOptions,
    partition: Partition,
    lines: readonly Buffer[],
  ): Promise<number> {
    const keys = [
      partition.key('meta'),
      partition.key('log:'),
      ...lines.map((line) => partition.recordKey(digestFromBytes(line, 0))),
    ]
    const all = Buffer.concat(lines)
    return client.rescindReseed(
      keys.length,
      ...keys,
      now,
      newEpoch(),
      this.#bellChannel,
      all,
      giver,
      isLast ? 1 : 0,
    )
  }

  async #putReplicated(target: ParsedTarget, entry: Entry, now: number): Promise<Stored> {
    // One write, or two one after the other, and as much for the way there and back.
    const waits = this.#isSpread() ? 3 : 2
    const waitMs = Math.max(1, Math.floor(this.#connection.writeTimeoutMs / waits))
    const confirmation = { replicas: this.#replicas, onDisk: this.#onDisk, waitMs }
    const change = this.#changeParameters(OPERATION_REVOKE, target, now, entry, true)
    return this.#write(async (client) => {
      // Without its shape nobody would look for the record: it must outlive the primary as well.
      const ofShape = this.#isSpread()
        ? await writeAndWait(
            client,
            'rescindShape',
            this.#shapeParameters(target.shape, entry.end, now, true),
            confirmation,
          )
        : undefined
      const { reply, shortfall } = await writeAndWait<ChangeReply>(
        client,
        'rescindChangeBuffer',
        change,
        confirmation,
      )
      return { ...this.#storedAs(target, reply), shortfall: ofShape?.shortfall ?? shortfall }
    })
  }

  #storedAs(target: ParsedTarget, reply: ChangeReply): Stored {
    return { state: stateOf(reply), position: this.#positionOf(target.digest, reply) }
  }

  /** The shapes, and each partition's log from where it was left. */
  #readStretches(
    client: RedisClient,
    from: readonly Position[],
    bytesMax: number,
  ): Promise<[string | null, ...Stretch[]]> {
    return Promise.all([
      client.get(this.#home.key('shapes')),
      ...this.#partitions.map((partition, i) => partition.read(client, from[i] ?? ORIGIN, bytesMax)),
    ])
  }

  /** The log may go on as it was read when all around it is gone. Throws when it is another one, or lost a part. */
  async #assertKept(client: RedisClient, from: readonly Position[]): Promise<void> {
    const now = this.#surroundings.monotonic()
    const isEpochDue = now - this.#epochAskedAt >= EPOCH_PERIOD_MS
    const isKeptDue = now - this.#keptAskedAt >= KEPT_PERIOD_MS
    if (isEpochDue) this.#epochAskedAt = now
    if (isKeptDue) this.#keptAskedAt = now
    await Promise.all(
      this.#partitions.map(async (partition, i) => {
        const { epoch } = from[i] as Position
        if (epoch === '') return
        if (isKeptDue) await partition.assertKept(client, epoch)
        // Of the first the shapes tell at each read.
        else if (i > 0 || isEpochDue) await partition.assertEpoch(client, epoch)
      }),
    )
  }

  #partitionOf(digest: Digest): Partition {
    const [first = 0] = Buffer.from(digest.slice(0, 2), 'base64url')
    return this.#partitions[first % this.#partitions.length] as Partition
  }

  #positionOf(digest: Digest, reply: ChangeReply): string {
    const [, , epoch, segment, size, chain] = reply
    const mine = this.#partitionOf(digest)
    const position = {
      epoch: epoch.toString(),
      segment: Number(segment),
      offset: Number(size),
      chain: Number(chain),
    }
    return formatPosition(this.#partitions.map((partition) => (partition === mine ? position : undefined)))
  }

  #parsePosition(text: string): (Position | undefined)[] {
    const parts = parsePosition(text)
    if (parts === undefined || parts.length !== this.#partitions.length) throw logChanged()
    return parts
  }

  #readFrom(text: string): Position[] {
    return this.#parsePosition(text).map((part) => {
      if (part === undefined) throw logChanged()
      return part
    })
  }

  #isSpread(): boolean {
    return this.#partitions.length > 1
  }

  #write<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.run('writes', this.#connection.writeTimeoutMs, commands)
  }

  #read<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.run('log', this.#connection.writeTimeoutMs, commands)
  }
}

/** True when some shape of `now` was not among those of `before`. */
function hasOthers(now: StoredShapes, before: StoredShapes): boolean {
  const known = new Set(before.shapes.map(shapeKey))
  return now.shapes.some((shape) => !known.has(shapeKey(shape)))
}

function stateOf([, record]: ChangeReply): State {
  return record === null ? EMPTY_STATE : parseRecord(record).state
}

function heldOf(digests: readonly Digest[], records: readonly (Buffer | null)[]): Held[] {
  const found: Held[] = []
  for (const [i, record] of records.entries()) {
    const digest = digests[i] as Digest
    if (record !== null) found.push({ digest, ...parseRecord(record, digest) })
  }
  return found
}

function newEpoch(): string {
  return randomBytes(8).toString('hex')
}
