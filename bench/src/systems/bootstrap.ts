/** A process that starts with nothing and reads all revocations into its memory. */
import { Redis } from 'ioredis'
import { openManager } from './check/rescind.js'

export interface StartRequest {
  readonly url: string
  /** A namespace of ours, or the key of a sorted set. */
  readonly source: string
}

export interface Started {
  readonly elapsedMs: number
  readonly cpuUs: number
  readonly entries: number
}

const SCAN_COUNT = 1000

/** Ours: from the first connection to a fresh replica. */
export async function startReplica({ url, source }: StartRequest): Promise<Started> {
  await import('rescind')
  return timed(async () => {
    const manager = await openManager(url, source)
    const entries = manager.replica?.size ?? 0
    return { entries, close: () => manager.close() }
  })
}

/** By hand: a sorted set of jti with the ends of their tokens, into a `Map`. */
export async function scanSortedSet({ url, source }: StartRequest): Promise<Started> {
  return timed(async () => {
    const redis = new Redis(url)
    const ends = new Map<string, number>()
    let cursor = '0'
    do {
      const [next, list] = await redis.zscan(source, cursor, 'COUNT', SCAN_COUNT)
      for (let i = 0; i < list.length; i += 2) ends.set(list[i] as string, Number(list[i + 1]))
      cursor = next
    } while (cursor !== '0')
    return { entries: ends.size, close: async () => redis.disconnect() }
  })
}

async function timed(
  start: () => Promise<{ entries: number; close: () => Promise<unknown> }>,
): Promise<Started> {
  const before = process.cpuUsage()
  const startedAt = performance.now()
  const { entries, close } = await start()
  const elapsedMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(before)
  await close()
  return { elapsedMs, cpuUs: user + system, entries }
}
