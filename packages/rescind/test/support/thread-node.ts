/** A node in a worker thread: answers `{ sub }` with what its replica says, at once. */
import { parentPort, workerData } from 'node:worker_threads'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'

const { url, nodeName } = workerData as { url: string; nodeName: string }
const manager = new TokenManager({ store: new RedisStore(new RedisConnection({ url })), nodeName })
await manager.ready()
parentPort?.on('message', (claims: { sub: string } | 'close') => {
  if (claims === 'close') void manager.close().then(() => parentPort?.close())
  else parentPort?.postMessage(manager.checkNow({ ...claims, iat: 1 })?.status ?? 'stale')
})
parentPort?.postMessage('ready')
