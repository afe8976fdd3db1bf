/** The memory of the log between a store and many nodes: what the store tells one reader, each of them is told. */
import { RedisConnection, RedisStore, TokenManager } from 'rescind'
import { expect, it } from 'vitest'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { LogMemory } from '../../src/events/log-memory.js'
import { clockOf } from '../../src/events/moment.js'

const SHAPES = 'rescind:{main.0}:shapes'

async function lose(server: RedisServer, name: string): Promise<void> {
  const lines = (await server.command<string>('GET', SHAPES)).split('\n')
  await server.command('SET', SHAPES, lines.filter((line) => !line.includes(name)).join('\n'))
}

it('every reader is told of a loss once, whoever reads first, and whatever places were asked for besides', async () => {
  const server = await RedisServer.start()
  const open = () => new RedisStore(new RedisConnection({ url: server.url }))
  const [store, writer] = [open(), new TokenManager({ store: open(), replica: false })]
  const memory = new LogMemory({ store, clock: clockOf(Date.now) })
  const read = (asker: string, after: string | undefined, maxAgeMs = 0) =>
    memory.read({ asker, after, bytesMax: 1 << 20, maxAgeMs })
  const isLoss = { code: 'ERR_LOG_CHANGED' }
  try {
    await writer.revoke({ sub: 'a' })
    const { position: early } = await read('behind', undefined)
    for (const target of [{ sid: 's' }, { client_id: 'c' }]) await writer.revoke(target)
    const { position } = await read('one', undefined)
    for (const asker of ['one', 'two']) await read(asker, position)
    for (const [name, first] of [
      ['sid', 'one'],
      ['client_id', 'behind'],
    ] as const) {
      await lose(server, name)
      await read('new', undefined)
      // A place that the log does not hold is no loss.
      await expect(read('lost', `${position.slice(0, -8)}00000000`)).rejects.toMatchObject(isLoss)
      const askers = [first, ...['one', 'two', 'behind'].filter((asker) => asker !== first)]
      for (const asker of askers) {
        const place = asker === 'behind' ? early : position
        await expect(read(asker, place), `${asker} of ${name}`).rejects.toMatchObject(isLoss)
        await read(asker, undefined)
        await read(asker, place)
      }
      // Who begins since then reads all.
      await read(`after ${name}`, undefined)
      await read(`after ${name}`, position)
    }
  } finally {
    memory.close()
    await Promise.all([writer.close(), store.close()])
    await server.stop()
  }
})
