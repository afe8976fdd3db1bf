/**
 * The store on Redis. A revocation is a record with its own expiry, a line in the packed log and an entry in
 * meta, written by one script; a strict check is one MGET of the shapes in use and the records of the token.
 *
 * One partition by default. More of them spread records and logs over the shards of a cluster; the shapes, which
 * every check must know, stand in partition 0 for all, and a write is done when both hold it.
 */
import type { Digest } from '../core/digest.js'
import type { Mark } from '../core/mark.js'
import { RECORD_BYTES } from '../core/record.js'
import type { Entry } from '../core/revocation.js'
import type { ParsedTarget } from '../core/target.js'
import { type Environment, throwProblems } from '../config.js'
import { RescindError } from '../errors.js'
import { EventStream } from '../event-stream.js'
import { changeOf, revocationOf } from '../stores/line.js'
import { formatPosition, ORIGIN, type Position } from '../stores/position.js'
import {
  type Advancement,
  type AdvanceOptions,
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
  type ReadLogOptions,
  type ReseedOptions,
  type Restored,
  type RestoreOptions,
  type Store,
  type Stored,
} from '../stores/store.js'
import { MACHINE, type Surroundings } from '../surroundings.js'
import { Breaker } from './breaker.js'
import type { RedisClient } from './client.js'
import type { RedisConnection } from './connection.js'
import { membersOf } from './failure.js'
import { newest, placesOf, type Row, rowsOf, Walk } from './history.js'
import { KnownShapes } from './known-shapes.js'
import { LostParts } from './lost-parts.js'
import { bellChannel } from './namespace.js'
import { NodeList } from './nodes.js'
import type { Stretch } from './partition.js'
import { Partitions } from './partitions.js'
import { parseRecord } from './record.js'
import { Standing } from './standing.js'
import { type RedisStoreOptions, storeOptionsFromEnv, storeProblems } from './store-options.js'
import { Writer } from './writer.js'

export type { RedisStoreOptions } from './store-options.js'

/** What a store has to say while it works. */
export interface RedisStoreEvent {
  /** Redis holds another history than before: it was emptied, replaced or rolled back. */
  readonly type: 'store-changed'
  readonly message: string
}

const OTHER_HISTORY: RedisStoreEvent = {
  type: 'store-changed',
  message: 'Redis holds another history than before: it was emptied, replaced or rolled back',
}
const CHECKS_IN_FLIGHT_MAX = 2048
const CHANGES_CHUNK_RECORDS = 512
/** How much of the time for a read a walk through the list takes at the most. */
const LIST_TIME_SHARE = 0.5
/** Time-outs in a row that open the circuit, and how often it is tried again. */
const CIRCUIT = { timeoutsMax: 5, retryMs: 100 }

/** The store on Redis or Valkey: a single server, a Sentinel set or a cluster. See {@link Store}. */
export class RedisStore implements Store {
  readonly kind = 'redis'
  readonly namespace: string
  readonly partitions: number
  readonly #connection: RedisConnection
  readonly #partitions: Partitions
  readonly #shapes: KnownShapes
  readonly #lostParts: LostParts
  readonly #writer: Writer
  readonly #nodes: NodeList
  readonly #bellChannel: string
  readonly #doorbell: boolean
  readonly #bells = new Set<BellListener>()
  readonly #breaker: Breaker
  readonly #standing: Standing
  readonly #events = new EventStream<RedisStoreEvent>()
  readonly #surroundings: Surroundings
  #isListening = false
  /** The epoch of shapes that did not belong to the log. */
  #doubtedEpoch: string | undefined

  /** Throws `ERR_CONFIG_INVALID` for options that cannot be used. Closes the connection when it is closed. */
  constructor(connection: RedisConnection, options: RedisStoreOptions = {}) {
    throwProblems(storeProblems(options))
    const { namespace = 'main', partitions = 1, surroundings = MACHINE } = options
    const { replicas = 1, onDisk = false, minReplicas = 0, replicaLagMaxSeconds = 2 } = options
    if (options.allowEviction !== true) connection.refuseEviction()
    this.#connection = connection
    this.namespace = namespace
    this.partitions = partitions
    this.#partitions = new Partitions(namespace, partitions, surroundings)
    this.#shapes = new KnownShapes(
      partitions,
      () => surroundings.now() / 1000,
      () => this.#events.publish(OTHER_HISTORY),
    )
    this.#lostParts = new LostParts(this.#partitions, surroundings)
    this.#nodes = new NodeList(this.#partitions.home.key('nodes'), surroundings)
    this.#bellChannel = bellChannel(namespace)
    this.#doorbell = options.doorbell ?? true
    this.#writer = new Writer(connection, {
      partitions: this.#partitions,
      bell: this.#bellChannel,
      replicas,
      onDisk,
    })
    const lagMaxSeconds = replicaLagMaxSeconds
    this.#standing = new Standing(connection, { minReplicas, lagMaxSeconds, surroundings })
    this.#surroundings = surroundings
    this.#breaker = new Breaker({
      ...CIRCUIT,
      inFlightMax: options.checksInFlightMax ?? CHECKS_IN_FLIGHT_MAX,
      monotonic: () => surroundings.monotonic(),
    })
  }

  /**
   * Reads `RESCIND_NAMESPACE`, `RESCIND_REPLICAS`, `RESCIND_ON_DISK`, `RESCIND_PARTITIONS`, `RESCIND_ALLOW_EVICTION`,
   * `RESCIND_MIN_REPLICAS` and `RESCIND_REPLICA_LAG_MAX_SECONDS`.
   */
  static fromEnv(env: Environment, connection: RedisConnection): RedisStore {
    return new RedisStore(connection, storeOptionsFromEnv(env))
  }

  put(target: ParsedTarget, entry: Entry, options: PutOptions): Promise<Stored> {
    return this.#writer.put(target, entry, options)
  }

  restore(target: ParsedTarget, options: RestoreOptions): Promise<Restored> {
    return this.#writer.restore(target, options)
  }

  advance(family: Digest, mark: Mark, options: AdvanceOptions): Promise<Advancement> {
    return this.#writer.advance(family, mark, options)
  }

  async reseed(records: Buffer, options: ReseedOptions): Promise<number | undefined> {
    // With the last all that is missing counts as given back: what was lost after the giver had read the log is told first.
    if (options.isLast) await this.#read((client) => this.#lostParts.lookAtAll(client))
    return this.#writer.reseed(records, options)
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
      const metas = await Promise.all(this.#partitions.all.map((partition) => partition.meta(client)))
      const from =
        options.cursor === undefined ? metas.map((meta) => meta?.end) : this.#partitions.parse(options.cursor)
      const walks = this.#partitions.all.map((partition, i) => new Walk(client, partition, metas[i], from[i]))
      const revocations = []
      // A slow server answers with a short page, and not too late with none.
      const until = this.#surroundings.monotonic() + this.#connection.writeTimeoutMs * LIST_TIME_SHARE
      for (let scanned = 0; scanned < LIST_SCAN_MAX; scanned++) {
        if (scanned > 0 && this.#surroundings.monotonic() > until) break
        const walk = await newest(walks)
        if (walk === undefined) return { revocations }
        const { record, stored } = walk.take()
        const revocation = revocationOf(record, () => stored, options.now)
        if (revocation === undefined || options.filter?.(revocation) === false) continue
        revocations.push(revocation)
        if (revocations.length >= options.limit) break
      }
      return { revocations, cursor: formatPosition(walks.map(({ at }) => at)) }
    })
  }

  async readLog(
    after: string | undefined,
    bytesMax: number,
    { reader }: ReadLogOptions = {},
  ): Promise<LogPage> {
    const from =
      after === undefined ? this.#partitions.all.map(() => ORIGIN) : this.#partitions.parseWhole(after)
    return this.#read(async (client) => {
      const [[shapesText, ...stretches]] = await Promise.all([
        this.#readStretches(client, from, bytesMax),
        this.#standing.assertForLog(client),
        this.#lostParts.look(client, from),
      ])
      this.#shapes.learn(shapesText)
      const isDoubtful = this.#isDoubtful(from[0]?.epoch ?? '')
      if (this.#shapes.takeLoss() || isDoubtful) this.#lostParts.note()
      this.#lostParts.assertTold(reader, after === undefined)
      const [only] = stretches
      const isOne = stretches.length === 1 && only !== undefined
      return {
        records: isOne ? only.records : Buffer.concat(stretches.map(({ records }) => records)),
        position: formatPosition(stretches.map(({ position }) => position)),
        isEnd: stretches.every(({ isEnd }) => isEnd),
        // A log without its shapes, or shapes without their log: who has read it knows what is lost.
        hasGap: stretches.some(({ hasGap }) => hasGap) || stretches[0]?.position.epoch !== this.#shapes.epoch,
        recordsMax: stretches.reduce((sum, { recordsMax }) => sum + recordsMax, 0),
        shapes: this.#shapes.shapes,
      }
    })
  }

  async changes(after: string, limit: number): Promise<Changes> {
    const at = this.#partitions.parseWhole(after)
    const changes: Change[] = []
    await this.#read(async (client) => {
      for (const [i, partition] of this.#partitions.all.entries()) {
        for (let isEnd = false; !isEnd && changes.length < limit;) {
          const bytesMax = Math.min(limit - changes.length, CHANGES_CHUNK_RECORDS) * RECORD_BYTES
          const stretch = await partition.read(client, at[i] as Position, bytesMax)
          if (stretch.hasGap) throw logChanged()
          const rows = await rowsOf(client, partition, stretch.records)
          for (const [n, place] of placesOf(stretch).entries()) {
            at[i] = place
            const { record, stored } = rows[n] as Row
            changes.push(changeOf(record, stored, formatPosition(at)))
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
      const metas = await Promise.all(this.#partitions.all.map((partition) => partition.meta(client)))
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
    await this.#writer.run((client) => client.publish(this.#bellChannel, 'receipt'))
  }

  announce(node: NodeStatus): Promise<void> {
    return this.#writer.run((client) => this.#nodes.announce(client, node))
  }

  retire(id: string): Promise<void> {
    return this.#writer.run((client) => this.#nodes.retire(client, id))
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
      const probed = this.#shapes.shapes
      const digests = [...probe(probed)]
      const [shapesText, found] = this.#partitions.isSpread
        ? await Promise.all([client.get(this.#shapesKey), this.#heldApart(client, digests)])
        : await this.#heldWithShapes(client, digests)
      this.#shapes.learn(shapesText)
      if (shapesText === null && probed.length === 0) await this.#assertUnused(client)
      // Whoever learned of a new shape meanwhile, this check has not looked under it.
      if (!this.#shapes.hasOthersThan(probed)) return found
    }
  }

  /** Throws where something was written and no shapes are told of: nobody knows where to look. */
  async #assertUnused(client: RedisClient): Promise<void> {
    const { home } = this.#partitions
    if ((await client.exists(home.key('meta'))) === 0) return
    // The first revocation of all may have come in between.
    const shapesText = await client.get(home.key('shapes'))
    if (shapesText !== null) return this.#shapes.learn(shapesText)
    throw new RescindError(
      'ERR_STORE_CORRUPT',
      'Redis has lost the list of shapes in use: a node that knows it gives it back with what it knows',
    )
  }

  /** Shapes and records of one moment. */
  async #heldWithShapes(client: RedisClient, digests: readonly Digest[]): Promise<[string | null, Held[]]> {
    const keys = [this.#shapesKey, ...digests.map((digest) => this.#partitions.home.recordKey(digest))]
    const [shapes, ...records] = membersOf(await client.mgetBuffer(keys), keys.length)
    return [shapes?.toString() ?? null, heldOf(digests, records)]
  }

  /** Each by itself: of several keys in a slot that moves the cluster tells nothing until all have moved. */
  async #heldApart(client: RedisClient, digests: readonly Digest[]): Promise<Held[]> {
    const keys = digests.map((digest) => this.#partitions.of(digest).recordKey(digest))
    return heldOf(digests, await Promise.all(keys.map((key) => client.getBuffer(key))))
  }

  /** The shapes, and each partition's log from where it was left. */
  #readStretches(
    client: RedisClient,
    from: readonly Position[],
    bytesMax: number,
  ): Promise<[string | null, ...Stretch[]]> {
    return Promise.all([
      client.get(this.#shapesKey),
      ...this.#partitions.all.map((partition, i) => partition.read(client, from[i] ?? ORIGIN, bytesMax)),
    ])
  }

  /**
   * True, once, when the shapes are not those of the log: it may still stand when all around it is gone, and would never
   * grow again. If the shapes alone were lost, those known go on, until somebody writes them again.
   */
  #isDoubtful(epoch: string): boolean {
    const told = this.#shapes.epoch
    if (epoch === '' || epoch === told || told === this.#doubtedEpoch) return false
    this.#doubtedEpoch = told
    return true
  }

  get #shapesKey(): string {
    return this.#partitions.home.key('shapes')
  }

  #read<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.run('log', this.#connection.writeTimeoutMs, commands)
  }
}

function heldOf(digests: readonly Digest[], records: readonly (Buffer | null)[]): Held[] {
  const found: Held[] = []
  for (const [i, record] of membersOf(records, digests.length).entries()) {
    const digest = digests[i] as Digest
    if (record !== null) found.push({ digest, ...parseRecord(record, digest) })
  }
  return found
}
