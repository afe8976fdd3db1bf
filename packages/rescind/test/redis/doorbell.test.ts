/** The socket of the doorbell is lost: it listens again, and by one subscription, whose refusal somebody hears of. */
import { expect, it } from 'vitest'
import { RedisStore } from '../../src/redis/store.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const LOSSES = 5

async function subscriptions(server: RedisServer): Promise<number> {
  const stats = await server.command<string>('INFO', 'commandstats')
  return Number(/cmdstat_subscribe:calls=(\d+)/.exec(stats)?.[1] ?? 0)
}

it('is heard again after each loss of its socket, and asks for it once', async () => {
  await using server = await RedisServer.start()
  const store = new RedisStore(patientConnection({ url: server.url }))
  try {
    let heard = 0
    store.onBell(() => heard++)
    for (let loss = 0; loss <= LOSSES; loss++) {
      const before = heard
      const isHeard = async () => {
        await store.ringForReceipts()
        return heard > before
      }
      await until(isHeard, { what: `the bell after ${loss} losses` })
      expect(await subscriptions(server)).toBe(loss + 1)
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    }
  } finally {
    await store.close()
  }
})

it('is heard by each store of a connection, whenever it came', async () => {
  await using server = await RedisServer.start()
  const connection = patientConnection({ url: server.url })
  try {
    for (const namespace of ['one', 'two']) {
      const store = new RedisStore(connection, { namespace })
      let heard = 0
      store.onBell(() => heard++)
      const isHeard = async () => {
        await store.ringForReceipts()
        return heard > 0
      }
      await until(isHeard, { what: `the bell of ${namespace}` })
    }
  } finally {
    await connection.close()
  }
})
