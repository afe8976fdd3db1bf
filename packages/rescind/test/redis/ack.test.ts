/** `ack: 'replicated'` says "done" only when the replicas have it. */
import { expect, it } from 'vitest'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

it('replicated is reached with a replica, and without it is an error that says what is known', async () => {
  const primary = await RedisServer.start({ config: { 'repl-diskless-sync-delay': '0' } })
  const replica = await RedisServer.start({ config: { replicaof: `127.0.0.1 ${primary.port}` } })
  const manager = new TokenManager({
    store: new RedisStore(new RedisConnection({ url: primary.url, writeTimeoutMs: 3000 })),
  })
  try {
    await until(
      // The primary counts a replica only after its first acknowledgement, up to a second after the link is up.
      async () => (await primary.command<string>('INFO', 'replication')).includes('state=online'),
      { what: 'the replica' },
    )
    const { id } = await manager.revoke({ sub: 'alice' }, { ack: 'replicated' })
    expect(await replica.command('EXISTS', `rescind:{main.0}:r:${id}`)).toBe(1)
    replica.freeze()
    await expect(manager.revoke({ sub: 'bob' }, { ack: 'replicated' })).rejects.toMatchObject({
      code: 'ERR_ACK_NOT_REACHED',
      message: expect.stringContaining('0 of 1 replicas') as string,
    })
    // The primary has it all the same, and a check says so.
    expect(await manager.isRevoked({ sub: 'bob', iat: 1 })).toBe(true)
    await expect(manager.revoke({ sub: 'eve' }, { ack: 'twice' as never })).rejects.toMatchObject({
      code: 'ERR_ACK_UNSUPPORTED',
    })
    expect(await manager.isRevoked({ sub: 'eve', iat: 1 })).toBe(false)
  } finally {
    await manager.close()
    await replica.stop()
    await primary.stop()
  }
})
