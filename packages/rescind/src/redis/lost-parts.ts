/**
 * What a store notices to be lost beside what is read: a segment of long ago, a shape, the history around the log. Each
 * reader is told of each loss once, by `ERR_LOG_CHANGED`: it reads everything again, and gives back what is missing.
 */
import type { Position } from '../stores/position.js'
import { logChanged } from '../stores/store.js'
import type { Surroundings } from '../surroundings.js'
import type { RedisClient } from './client.js'
import type { Meta, Partition } from './partition.js'
import type { Partitions } from './partitions.js'

/** How often the log is asked for its epoch, where no shapes tell it, and for all of its segments. In milliseconds. */
const EPOCH_PERIOD_MS = 1000
const KEPT_PERIOD_MS = 10_000

/** The segments of an epoch that were found to be lost: each is news once. */
interface Known {
  readonly epoch: string
  readonly segments: Set<number>
}

export class LostParts {
  readonly #partitions: Partitions
  readonly #surroundings: Surroundings
  readonly #known = new Map<Partition, Known>()
  /** How many there were, and of how many each reader knows. */
  #count = 0
  readonly #told = new WeakMap<object, number>()
  #epochAskedAt = -Infinity
  #keptAskedAt: number

  constructor(partitions: Partitions, surroundings: Surroundings) {
    this.#partitions = partitions
    this.#surroundings = surroundings
    this.#keptAskedAt = surroundings.monotonic()
  }

  /** Something was lost. */
  note(): void {
    this.#count += 1
  }

  /**
   * Throws `ERR_LOG_CHANGED` where a reader goes on and does not know of all that was lost. Who begins reads all that
   * there is; of those who do not say who they are, another may be the one who goes on.
   */
  assertTold(reader: object | undefined, isBeginning: boolean): void {
    const name = reader ?? this
    const known = this.#told.get(name) ?? 0
    if (!isBeginning || reader !== undefined) this.#told.set(name, this.#count)
    if (!isBeginning && known < this.#count) throw logChanged()
  }

  /**
   * Looks now and then whether what is around the log still stands, for the log may go on as it was read when it does
   * not. Throws `ERR_LOG_CHANGED` when it is another log.
   */
  async look(client: RedisClient, from: readonly Position[]): Promise<void> {
    // Who begins knows of nothing that could be lost, and does not take the turn of who goes on.
    if (from.every(({ epoch }) => epoch === '')) return
    const now = this.#surroundings.monotonic()
    const isEpochDue = now - this.#epochAskedAt >= EPOCH_PERIOD_MS
    const isKeptDue = now - this.#keptAskedAt >= KEPT_PERIOD_MS
    if (isEpochDue) this.#epochAskedAt = now
    if (isKeptDue) this.#keptAskedAt = now
    await Promise.all(
      this.#partitions.all.map(async (partition, i) => {
        const { epoch } = from[i] as Position
        if (epoch === '') return
        if (isKeptDue) {
          const meta = await partition.meta(client)
          if (meta?.end.epoch !== epoch) throw logChanged()
          await this.#noteMissing(client, partition, meta)
        }
        // Of the first the shapes tell at each read.
        else if (i > 0 || isEpochDue) await partition.assertEpoch(client, epoch)
      }),
    )
  }

  /** Looks at once whether all segments still stand. */
  async lookAtAll(client: RedisClient): Promise<void> {
    await Promise.all(
      this.#partitions.all.map(async (partition) => {
        const meta = await partition.meta(client)
        if (meta !== undefined) await this.#noteMissing(client, partition, meta)
      }),
    )
  }

  async #noteMissing(client: RedisClient, partition: Partition, meta: Meta): Promise<void> {
    const missing = await partition.segmentsMissing(client, meta)
    const { epoch } = meta.end
    const before = this.#known.get(partition)
    const known = before?.epoch === epoch ? before : { epoch, segments: new Set<number>() }
    this.#known.set(partition, known)
    if (missing.some((segment) => !known.segments.has(segment))) this.note()
    for (const segment of missing) known.segments.add(segment)
  }
}
