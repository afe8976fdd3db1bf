/** The list of live nodes: each announcement is a line with the time of the server. */
import { expect, it } from 'vitest'
import { RedisStore } from '../../src/redis/store.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const NODES = 'rescind:{main.0}:nodes'

it('now and then an announcement removes the lines of nodes that died long ago, and no other', async () => {
  const server = await RedisServer.start()
  const store = new RedisStore(patientConnection({ url: server.url }))
  try {
    const line = (agoMs: number) => `${Date.now() - agoMs} {"name":"x"}`
    await server.command('HSET', NODES, 'dead', line(61_000), 'late', line(30_000), 'spoiled', 'x')
    const node = { id: 'me', name: 'me', position: '', stalenessMs: 0, entries: 0 }
    await until(
      async () => {
        // One in 1,024 looks.
        for (let i = 0; i < 1000; i++) await store.announce(node)
        return (await server.command('HEXISTS', NODES, 'dead')) === 0
      },
      { what: 'the dead line to be removed', timeoutMs: 20_000 },
    )
    expect((await server.command<string[]>('HKEYS', NODES)).sort()).toEqual(['late', 'me'])
    expect(await store.nodes()).toMatchObject([{ id: 'me', name: 'me' }])
    await store.retire('me')
    expect(await server.command('HKEYS', NODES)).toEqual(['late'])
  } finally {
    await store.close()
    await server.stop()
  }
})
