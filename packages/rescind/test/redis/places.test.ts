/** A place in the log comes from whoever asks: one at which no record begins is none, and nothing of the store's is wrong. */
import { expect, it } from 'vitest'
import { parseTarget } from '../../src/core/target.js'
import { RedisStore } from '../../src/redis/store.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'

it('a place where no record begins is refused as one that the log does not hold', async () => {
  const server = await RedisServer.start()
  const store = new RedisStore(patientConnection({ url: server.url }))
  try {
    const now = Math.floor(Date.now() / 1000)
    await store.put(parseTarget({ sub: 'a' }), { at: now, end: now + 600, issuedBefore: now }, { now })
    const { position } = await store.readLog(undefined, 1 << 20)
    const [epoch = '', segment, offset, chain] = position.split(':')
    expect([segment, offset]).toEqual(['1', '64'])
    for (const place of ['0', '16', '31', '33', '63', '65', String(2 ** 50)]) {
      const asked = [epoch, segment, place, chain].join(':')
      for (const reading of [store.readLog(asked, 1 << 20), store.changes(asked, 10)])
        await expect(reading, place).rejects.toMatchObject({ code: 'ERR_LOG_CHANGED' })
    }
    expect((await store.readLog(position, 1 << 20)).isEnd).toBe(true)
  } finally {
    await store.close()
    await server.stop()
  }
})
