/** `RemoteStore` keeps the contract of a store, through a real service, on each kind of store that one may have. */
import { randomBytes } from 'node:crypto'
import { MemoryStore } from 'rescind'
import { it } from 'vitest'
import { RemoteStore } from '../../../rescind/src/stores/remote.js'
import { describeStore } from '../../../rescind/test/stores/contract.js'
import { expectAgreement, type Run, type RunClock } from '../../../rescind/test/stores/model.js'
import { PATIENCE_MS, PATIENT_ENV } from '../../../rescind/test/support/patient.js'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { startWorld, type World } from '../support/service.js'

/** Each begins two services. */
const RUNS = 30

function remoteTo(world: World): RemoteStore {
  const key = world.keys.admin as string
  return new RemoteStore({ url: world.url, key, timeoutMs: PATIENCE_MS, writeTimeoutMs: PATIENCE_MS })
}

describeStore('RemoteStore of a service in memory', async () => {
  const world = await startWorld({ store: new MemoryStore() })
  const [store, other] = [remoteTo(world), remoteTo(world)]
  return {
    store,
    other,
    stop: async () => {
      await Promise.all([store.close(), other.close()])
      await world[Symbol.asyncDispose]()
    },
  }
})

describeStore('RemoteStore of two services on Redis', async () => {
  const redis = await RedisServer.start()
  const env = { ...PATIENT_ENV, REDIS_URL: redis.url }
  const worlds = [await startWorld({ store: null, env }), await startWorld({ store: null, env })] as const
  const [store, other] = [remoteTo(worlds[0]), remoteTo(worlds[1])]
  return {
    store,
    other,
    stop: async () => {
      await Promise.all([store.close(), other.close()])
      for (const world of worlds) await world[Symbol.asyncDispose]()
      await redis.stop()
    },
  }
})

it('random operations through a service agree with a list of everything ever said', async () => {
  const redis = await RedisServer.start()
  const open = async (clock: RunClock): Promise<Run> => {
    const now = () => clock.now * 1000
    const namespace = randomBytes(8).toString('hex')
    const env = { ...PATIENT_ENV, REDIS_URL: redis.url, RESCIND_NAMESPACE: namespace }
    const worlds = [await startWorld({ now }), await startWorld({ store: null, env, now })]
    const stores = worlds.map(remoteTo)
    return {
      stores: [new MemoryStore(), ...stores],
      close: async () => {
        for (const store of stores) await store.close()
        for (const world of worlds) await world[Symbol.asyncDispose]()
      },
    }
  }
  try {
    await expectAgreement(open, Number(process.env.RESCIND_MODEL_RUNS ?? RUNS))
  } finally {
    await redis.stop()
  }
}, 60_000)
