/** Starts two nodes of the chat, on the embedded store, or on Redis where `REDIS_URL` (or another `REDIS_…`) is set. */
import { EventEmitter, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { generateKeyPair } from 'jose'
import { openStore, RescindError } from 'rescind'
import { makeChat } from './chat.js'

const PORT_NORMAL = 3000
const STOP_TIMEOUT_MS = 3000

try {
  await main(process.env)
} catch (error) {
  const isKnown = error instanceof RescindError || (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
  console.error(isKnown ? (error as Error).message : error)
  process.exit(1)
}

async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const port = Number(env.PORT || PORT_NORMAL)
  const keys = await generateKeyPair('ES256')
  const room = new EventEmitter<{ message: [text: string] }>()
  // On Redis each node has a connection of its own, as in processes of their own; the embedded store is one.
  const store = openStore(env)
  await store.ping()
  const stores = [store, store.kind === 'redis' ? openStore(env) : store] as const
  const nodes = (['A', 'B'] as const).map((name, i) =>
    makeChat({ name, store: stores[i] as typeof store, env, keys, room }),
  )
  const addresses: string[] = []
  for (const [i, { server, manager }] of nodes.entries()) {
    await manager.ready()
    server.listen(port === 0 ? 0 : port + i)
    await once(server, 'listening')
    addresses.push(`http://localhost:${(server.address() as AddressInfo).port}`)
  }
  const kept = store.kind === 'redis' ? 'on Redis' : 'on the embedded store (set REDIS_URL for Redis)'
  console.log(`Rescind example chat ${kept}: log in as the same person on both nodes, and log out on one

  node A: ${addresses[0]}
  node B: ${addresses[1]}
`)

  const stop = () => {
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref()
    void Promise.all(nodes.map(({ manager }) => manager.close())).then(() => process.exit(0))
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}
