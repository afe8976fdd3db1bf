/**
 * Looks at what stands under a namespace: is there a history, does each log go on to where its head says, and do
 * the shapes belong to it? Reads only, and of each log the newest piece (1.25 MiB at the most).
 */
import { chainHolds, chainNext, readSegmentHeader, RECORD_BYTES } from '../core/record.js'
import { hasCode } from '../errors.js'
import { MACHINE } from '../surroundings.js'
import type { RedisClient } from './client.js'
import type { RedisConnection } from './connection.js'
import type { NamespaceFacts, PartitionFacts } from './diagnosis.js'
import { type Meta, Partition } from './partition.js'
import { parseShapes } from './shapes.js'

export interface NamespaceQuestion {
  readonly namespace: string
  readonly partitions: number
  readonly nowSeconds: number
}

/** Together; each command has the connection's own deadline too. */
const DEADLINE_MS = 30_000

export async function inspectNamespace(
  connection: RedisConnection,
  { namespace, partitions, nowSeconds }: NamespaceQuestion,
): Promise<NamespaceFacts> {
  return connection.look(DEADLINE_MS, async (client) => {
    const home = new Partition(namespace, 0)
    const shapes = await client.get(home.key('shapes'))
    const surroundings = { ...MACHINE, now: () => nowSeconds * 1000 }
    const facts: PartitionFacts[] = []
    for (let number = 0; number < partitions; number++) {
      const partition = new Partition(namespace, number, surroundings)
      facts.push({ number, ...(await inspectPartition(client, partition)) })
    }
    return { partitions: facts, shapes: shapesOf(shapes), untold: [] }
  })
}

function shapesOf(text: string | null): NamespaceFacts['shapes'] {
  if (text === null) return 'missing'
  try {
    const { epoch, partitions } = parseShapes(text)
    return { epoch, partitions }
  } catch {
    return 'unreadable'
  }
}

async function inspectPartition(
  client: RedisClient,
  partition: Partition,
): Promise<Omit<PartitionFacts, 'number'>> {
  const nothing = { hasLog: false, segmentsLost: 0, isWhole: true }
  let meta: Meta | undefined
  try {
    meta = await partition.meta(client)
  } catch (error) {
    if (hasCode(error, 'ERR_STORE_CORRUPT')) return { state: 'unreadable', ...nothing }
    throw error
  }
  if (meta === undefined) return { state: 'missing', ...nothing }
  const segmentsLost = (await partition.segmentsMissing(client, meta)).length
  const { epoch, segment, offset } = meta.end
  if (segment === 0) return { state: 'present', ...nothing, epoch, segmentsLost }
  const bytes = await partition.bytes(client, segment, 0, offset)
  return { state: 'present', epoch, hasLog: true, segmentsLost, isWhole: goesOn(bytes, meta) }
}

/** Does this piece begin as its head says, and does each record follow from the one before, to the end? */
function goesOn(bytes: Buffer, { end }: Meta): boolean {
  // It has ended, or is counted as lost.
  if (bytes.length === 0) return true
  if (bytes.length !== end.offset || bytes.length % RECORD_BYTES !== 0) return false
  try {
    const header = readSegmentHeader(bytes)
    if (header.epoch !== end.epoch || header.sequence !== end.segment) return false
    let { chain } = header
    for (let offset = RECORD_BYTES; offset < bytes.length; offset += RECORD_BYTES) {
      chain = chainNext(chain, bytes, offset)
      if (!chainHolds(chain, bytes, offset)) return false
    }
    return chain === end.chain
  } catch {
    return false
  }
}
