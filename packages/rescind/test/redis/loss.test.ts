/** A loss that one read noticed is told to who reads on, whoever begins to read before them. */
import { expect, it } from 'vitest'
import { parseTarget } from '../../src/core/target.js'
import { RedisStore } from '../../src/redis/store.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'

it('the loss of a shape is told to who reads on, also when another begins first', async () => {
  const server = await RedisServer.start()
  const store = new RedisStore(patientConnection({ url: server.url }))
  try {
    const now = Math.floor(Date.now() / 1000)
    for (const target of [{ sub: 'a' }, { sid: 's' }])
      await store.put(parseTarget(target), { at: now, end: now + 600, issuedBefore: now }, { now })
    const { position } = await store.readLog(undefined, 1 << 20)
    const shapes = await server.command<string>('GET', 'rescind:{main.0}:shapes')
    await server.command(
      'SET',
      'rescind:{main.0}:shapes',
      shapes
        .split('\n')
        .filter((line) => !line.includes('sid'))
        .join('\n'),
    )
    await store.readLog(undefined, 1 << 20)
    await expect(store.readLog(position, 1 << 20)).rejects.toMatchObject({ code: 'ERR_LOG_CHANGED' })
    await store.readLog(position, 1 << 20)
  } finally {
    await store.close()
    await server.stop()
  }
})
