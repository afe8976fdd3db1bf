import { RedisStore } from '../../src/redis/store.js'
import { describeStore } from '../stores/contract.js'
import { patientConnection } from '../support/patient.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { RedisServer } from '../support/redis-server.js'

describeStore('RedisStore on a single server', async () => {
  const server = await RedisServer.start()
  const open = () => new RedisStore(patientConnection({ url: server.url }))
  const [store, other] = [open(), open()]
  return {
    store,
    other,
    stop: async () => {
      await other.close()
      await store.close()
      await server.stop()
    },
  }
})

describeStore('RedisStore on a cluster of three, in eight partitions', async () => {
  const cluster = await RedisCluster.start({ nodes: 3 })
  const open = () =>
    new RedisStore(patientConnection({ cluster: cluster.nodes }), { namespace: 'b', partitions: 8 })
  const [store, other] = [open(), open()]
  return {
    store,
    other,
    stop: async () => {
      await other.close()
      await store.close()
      await cluster.stop()
    },
  }
})
