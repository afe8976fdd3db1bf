/** A process of several nodes that each wait for the next entry of a stream with a blocking `XREAD`. */
import { Redis } from 'ioredis'

export interface StreamsRequest {
  readonly url: string
  readonly key: string
  readonly nodes: number
}

let clients: Redis[] = []
let isClosing = false
let entries = 0

export async function open({ url, key, nodes }: StreamsRequest): Promise<void> {
  clients = Array.from({ length: nodes }, () => new Redis(url, { lazyConnect: true }))
  await Promise.all(clients.map((client) => client.connect()))
  for (const client of clients) void follow(client, key)
}

/** User and system time of this process, in microseconds. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** How many entries the nodes have read together. */
export async function close(): Promise<number> {
  isClosing = true
  for (const client of clients) client.disconnect()
  return entries
}

async function follow(client: Redis, key: string): Promise<void> {
  let last = '$'
  while (!isClosing) {
    const reply = await client.xread('BLOCK', 0, 'STREAMS', key, last).catch(() => null)
    const list = reply?.[0]?.[1] ?? []
    entries += list.length
    last = list.at(-1)?.[0] ?? last
  }
}
