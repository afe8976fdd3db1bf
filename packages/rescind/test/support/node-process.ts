/** A node in a process of its own: `node-process.ts REDIS_URL NAME`. It follows until it is killed. */
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'

const [url = '', nodeName = ''] = process.argv.slice(2)
const manager = new TokenManager({ store: new RedisStore(new RedisConnection({ url })), nodeName })
await manager.ready()
process.send?.('ready')
// Without its parent it has no reason to live.
process.on('disconnect', () => process.exit())
