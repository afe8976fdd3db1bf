/** What `RedisStore` writes: revocations, restores, marks of families, and what Redis has lost. */
import { randomBytes } from 'node:crypto'
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.js'
import { type Mark, packMark, parseMark } from '../core/mark.js'
import { OPERATION_RESTORE, OPERATION_REVOKE } from '../core/record.js'
import { EMPTY_STATE, type Entry, latestEnd, type State, TIME_MAX } from '../core/revocation.js'
import type { ParsedTarget, Shape } from '../core/target.js'
import { checkedGift } from '../stores/given-records.js'
import {
  type Advancement,
  type AdvanceOptions,
  type PutOptions,
  type ReseedOptions,
  type Restored,
  type RestoreOptions,
  shapeKey,
  type Stored,
} from '../stores/store.js'
import { type Confirmation, writeAndWait } from './acknowledge.js'
import type { ChangeReply, MarkReply, RedisClient } from './client.js'
import type { RedisConnection } from './connection.js'
import { membersOf } from './failure.js'
import { SHAPES_EXCEEDED_REPLY } from './lua.js'
import type { Partition } from './partition.js'
import type { Partitions } from './partitions.js'
import { corrupt, packDetails, packTarget, parseRecord } from './record.js'
import { CHANGE_REPLY_LENGTH, changeArguments, MARK_REPLY_LENGTH, RESEED_BUSY } from './script.js'

export interface WriterOptions {
  readonly partitions: Partitions
  /** The channel of the doorbell. */
  readonly bell: string
  /** `ack: 'replicated'` waits for this many replicas, and for disks. */
  readonly replicas: number
  readonly onDisk: boolean
}

type Parameters = (string | number | Buffer)[]

export class Writer {
  readonly #connection: RedisConnection
  readonly #options: WriterOptions

  constructor(connection: RedisConnection, options: WriterOptions) {
    this.#connection = connection
    this.#options = options
  }

  async put(target: ParsedTarget, entry: Entry, { ack = 'accepted', now }: PutOptions): Promise<Stored> {
    const isWaited = ack === 'replicated'
    const change = this.#changeParameters(OPERATION_REVOKE, target, now, entry, isWaited)
    const shape = this.#options.partitions.isSpread
      ? this.#shapeParameters(target.shape, entry.end, now, isWaited)
      : undefined
    if (isWaited) return this.#putReplicated(target, change, shape)
    return this.run(async (client) => {
      if (shape !== undefined) await client.rescindShape(...shape)
      return this.#storedAs(target, await client.rescindChangeBuffer(...change))
    })
  }

  async restore(target: ParsedTarget, { now, known = EMPTY_STATE }: RestoreOptions): Promise<Restored> {
    const at = known.entries.reduce((latest, entry) => Math.max(latest, entry.at), 0)
    const entry = { at, end: latestEnd(known), issuedBefore: at }
    const parameters = this.#changeParameters(OPERATION_RESTORE, target, now, entry)
    const reply = await this.run((client) => client.rescindChangeBuffer(...parameters))
    const { restoredAt } = stateOf(reply)
    const keptUntil = Number(reply[6])
    if (!(keptUntil >= 0 && keptUntil <= TIME_MAX)) throw corrupt('the end of what was restored')
    return { changed: reply[0] === 1, restoredAt, keptUntil }
  }

  async advance(
    family: Digest,
    mark: Mark,
    { ack = 'accepted', now, end }: AdvanceOptions,
  ): Promise<Advancement> {
    const key = this.#options.partitions.of(family).markKey(family)
    const parameters = [key, now, end, mark.generation, packMark(mark)]
    if (ack === 'accepted')
      return this.run(async (client) => advancementOf(await client.rescindMark(...parameters)))
    return this.#connection.run('waits', this.#connection.writeTimeoutMs, async (client) => {
      const { reply, shortfall } = await writeAndWait<MarkReply>(
        client,
        'rescindMark',
        parameters,
        this.#confirmation(1),
      )
      return { ...advancementOf(reply), shortfall }
    })
  }

  async reseed(given: Buffer, wanted: ReseedOptions): Promise<number | undefined> {
    const { records, options } = checkedGift({ records: given, options: wanted })
    const { now, shapes, end, isLast } = options
    const { partitions } = this.#options
    const groups = partitions.linesOf(records)
    // What all of them have lost is mended when all of it was given.
    if (isLast) for (const each of partitions.all) if (!groups.has(each)) groups.set(each, [])
    return this.run(async (client) => {
      // The latest first: more were in use over time than may be at once.
      for (const shape of [...shapes].reverse()) {
        await client.rescindShape(...this.#shapeParameters(shape, end, now)).catch((error: unknown) => {
          if (!(error instanceof Error && error.message.includes(SHAPES_EXCEEDED_REPLY))) throw error
        })
      }
      const taken = await Promise.all(
        [...groups].map((group) => this.#reseedPartition(client, options, ...group)),
      )
      return taken.includes(RESEED_BUSY) ? undefined : taken.reduce((sum, count) => sum + count, 0)
    })
  }

  /** Runs commands where nothing waits but writes. */
  run<T>(commands: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#connection.run('writes', this.#connection.writeTimeoutMs, commands)
  }

  async #putReplicated(target: ParsedTarget, change: Parameters, shape?: Parameters): Promise<Stored> {
    const confirmation = this.#confirmation(shape === undefined ? 1 : 2)
    const { writeTimeoutMs } = this.#connection
    // On a socket of its own: nothing else waits behind it for replicas that do not answer.
    return this.#connection.run('waits', writeTimeoutMs, async (client) => {
      // Without its shape nobody would look for the record: it must outlive the primary as well.
      const ofShape = shape && (await writeAndWait(client, 'rescindShape', shape, confirmation))
      const { reply, shortfall } = await writeAndWait<ChangeReply>(
        client,
        'rescindChangeBuffer',
        change,
        confirmation,
      )
      return { ...this.#storedAs(target, reply), shortfall: ofShape?.shortfall ?? shortfall }
    })
  }

  /** For so many writes one after the other, and as much time for the way there and back. */
  #confirmation(writes: number): Confirmation {
    const { replicas, onDisk } = this.#options
    const waitMs = Math.max(1, Math.floor(this.#connection.writeTimeoutMs / (writes + 1)))
    return { replicas, onDisk, waitMs }
  }

  #changeParameters(
    operation: number,
    target: ParsedTarget,
    now: number,
    entry: Entry,
    isWaited = false,
  ): Parameters {
    const { partitions, bell } = this.#options
    const partition = partitions.of(target.digest)
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
        shape: partitions.isSpread ? '' : shapeKey(target.shape),
        target: packTarget(target),
        details: packDetails(entry),
        partitions: partitions.count,
        bell,
        isWaited,
        at: entry.at,
      }),
    ]
  }

  /** Makes sure that every check will look under this shape, before the first record of it is written. */
  #shapeParameters(shape: Shape, end: number, now: number, isWaited = false): (string | number)[] {
    const { partitions } = this.#options
    const keys = [partitions.home.key('meta'), partitions.home.key('shapes')]
    return [...keys, now, end, newEpoch(), shapeKey(shape), partitions.count, isWaited ? 1 : 0]
  }

  #reseedPartition(
    client: RedisClient,
    { now, giver, isLast }: ReseedOptions,
    partition: Partition,
    lines: readonly Buffer[],
  ): Promise<number> {
    const records = lines.map((line) => partition.recordKey(digestFromBytes(line, 0)))
    const keys = [partition.key('meta'), partition.key('log:'), ...records]
    const { bell } = this.#options
    const all = Buffer.concat(lines)
    return client.rescindReseed(keys.length, ...keys, now, newEpoch(), bell, all, giver, isLast ? 1 : 0)
  }

  #storedAs({ digest }: ParsedTarget, reply: ChangeReply): Stored {
    const state = stateOf(reply)
    const [, , epoch, segment, size, chain] = reply
    const position = {
      epoch: epoch.toString(),
      segment: Number(segment),
      offset: Number(size),
      chain: Number(chain),
    }
    const { partitions } = this.#options
    return { state, position: partitions.format(partitions.of(digest), position) }
  }
}

/** Throws `ERR_STORE_CORRUPT` for what is no answer of the script. */
function stateOf(reply: ChangeReply): State {
  const [, record] = membersOf(reply, CHANGE_REPLY_LENGTH)
  return record === null ? EMPTY_STATE : parseRecord(record).state
}

/** Throws `ERR_STORE_CORRUPT` for what is no answer of the script. */
function advancementOf(reply: MarkReply): Advancement {
  const [isMoved, packed] = membersOf(reply, MARK_REPLY_LENGTH)
  if (packed === null) return { mark: undefined, isMoved: false }
  const mark = parseMark(packed)
  if (mark === undefined) throw corrupt('the mark of a family')
  return { mark, isMoved: isMoved === 1 }
}

function newEpoch(): string {
  return randomBytes(8).toString('hex')
}
