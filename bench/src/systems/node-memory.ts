/** A process that holds revocations and tells what that takes of its memory. Needs `--expose-gc`. */
import { flat, revokedJti, secondsNow } from '../tokens.js'
import { openManager } from './check/rescind.js'

export interface HoldRequest {
  readonly what: keyof typeof HOLDERS
  readonly count: number
  /** Where a replica reads from. */
  readonly url: string
  readonly namespace: string
}

/** The differences in bytes that holding makes. */
export interface Held {
  readonly entries: number
  readonly rssBytes: number
  readonly heapBytes: number
  readonly arrayBufferBytes: number
}

const HOLDERS = {
  replica: async ({ url, namespace }: HoldRequest) => {
    const manager = await openManager(url, namespace)
    return { kept: manager, entries: () => manager.replica?.size ?? 0 }
  },
  map: async ({ count }: HoldRequest) => {
    const ends = new Map<string, number>()
    const end = secondsNow() + 3600
    for (let i = 0; i < count; i++) ends.set(flat(revokedJti(i)), end)
    return { kept: ends, entries: () => ends.size }
  },
  set: async ({ count }: HoldRequest) => {
    const names = new Set<string>()
    for (let i = 0; i < count; i++) names.add(flat(revokedJti(i)))
    return { kept: names, entries: () => names.size }
  },
}

export async function hold(request: HoldRequest): Promise<Held> {
  const before = await settled()
  const { kept, entries } = await HOLDERS[request.what](request)
  const after = await settled()
  return {
    entries: kept === undefined ? 0 : entries(),
    rssBytes: after.rss - before.rss,
    heapBytes: after.heapUsed - before.heapUsed,
    arrayBufferBytes: after.arrayBuffers - before.arrayBuffers,
  }
}

/** After what is no longer needed has gone. */
async function settled(): Promise<NodeJS.MemoryUsage> {
  // The libraries belong to the program and not to its data.
  await import('rescind')
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return process.memoryUsage()
}
