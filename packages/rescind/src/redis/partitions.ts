/**
 * The partitions of a namespace: one by default. More of them spread records and logs over the shards of a cluster;
 * the first is home to what all share.
 */
import { type Digest, digestFromBytes } from '../core/digest.js'
import { RECORD_BYTES } from '../core/record.js'
import { formatPosition, parsePosition, type Position } from '../stores/position.js'
import { logChanged } from '../stores/store.js'
import type { Surroundings } from '../surroundings.js'
import { Partition } from './partition.js'

export class Partitions {
  readonly all: readonly Partition[]
  /** Of the shapes and the list of nodes. */
  readonly home: Partition
  readonly isSpread: boolean

  constructor(namespace: string, count: number, surroundings: Surroundings) {
    this.all = Array.from({ length: count }, (_, number) => new Partition(namespace, number, surroundings))
    this.home = this.all[0] as Partition
    this.isSpread = count > 1
  }

  get count(): number {
    return this.all.length
  }

  /** Where a digest lives. */
  of(digest: Digest): Partition {
    const [first = 0] = Buffer.from(digest.slice(0, 2), 'base64url')
    return this.all[first % this.all.length] as Partition
  }

  /** The lines of a log, each with its partition. */
  linesOf(records: Buffer): Map<Partition, Buffer[]> {
    const groups = new Map<Partition, Buffer[]>()
    for (let at = 0; at < records.length; at += RECORD_BYTES) {
      const line = records.subarray(at, at + RECORD_BYTES)
      const partition = this.of(digestFromBytes(line, 0))
      const group = groups.get(partition)
      if (group === undefined) groups.set(partition, [line])
      else group.push(line)
    }
    return groups
  }

  /** A place in the log of one partition, which leaves the others open. */
  format(partition: Partition, position: Position): string {
    return formatPosition(this.all.map((other) => (other === partition ? position : undefined)))
  }

  /** Throws `ERR_LOG_CHANGED` for a text that no log of so many partitions gave. */
  parse(text: string): (Position | undefined)[] {
    const parts = parsePosition(text)
    if (parts === undefined || parts.length !== this.all.length) throw logChanged()
    return parts
  }

  /** The same for a place to read on from, which leaves no partition open, and stands between two records. */
  parseWhole(text: string): Position[] {
    return this.parse(text).map((part) => {
      if (part === undefined || !isBetweenRecords(part)) throw logChanged()
      return part
    })
  }
}

/** A segment begins with a header as long as a record. */
function isBetweenRecords({ segment, offset }: Position): boolean {
  return segment === 0 || (offset >= RECORD_BYTES && offset % RECORD_BYTES === 0)
}
