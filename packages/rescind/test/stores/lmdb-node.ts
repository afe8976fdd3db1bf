/** A node on the embedded store, in a process of its own: `lmdb-node.ts FOLDER NAME`. It follows until it is killed. */
import { LmdbStore } from '../../src/stores/lmdb.js'
import { TokenManager } from '../../src/token-manager.js'

const [path = '', nodeName = ''] = process.argv.slice(2)
const manager = new TokenManager({ store: LmdbStore.open({ path }), nodeName })
await manager.ready()
process.send?.('ready')
process.on('message', (message: { check?: string; revoke?: string }) => {
  void (async () => {
    if (message.revoke !== undefined) await manager.revoke({ sub: message.revoke })
    const claims = { sub: message.check ?? '', iat: 1 }
    process.send?.(message.check === undefined ? 'revoked' : (manager.checkNow(claims)?.status ?? 'stale'))
  })()
})
// Without its parent it has no reason to live.
process.on('disconnect', () => process.exit())
