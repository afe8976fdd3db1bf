/** Slots of a cluster move while nodes ask: what has not moved yet is found where it is, and what has moved, too. */
import { expect, it } from 'vitest'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { patientConnection } from '../support/patient.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { until } from '../support/until.js'

const PARTITIONS = 2
const PERSONS = Array.from({ length: 40 }, (_, n) => `person-${n}`)
const MIGRATE_TIMEOUT_MS = 5000

it('half of a slot has moved: nobody who was revoked is clear, and everybody is known once all has moved', async () => {
  await using cluster = await RedisCluster.start()
  const connection = patientConnection({ cluster: cluster.nodes })
  const manager = new TokenManager({
    store: new RedisStore(connection, { partitions: PARTITIONS }),
    replica: false,
  })
  const ask = async (sub: string) => (await manager.check({ sub })).status
  const askAll = () => Promise.all(PERSONS.map(ask))
  try {
    for (const sub of PERSONS) await manager.revoke({ sub }, { issuedBefore: null })
    expect(new Set(await askAll())).toEqual(new Set(['revoked']))

    const ids = await Promise.all(cluster.servers.map((server) => server.command<string>('CLUSTER', 'MYID')))
    const slot = await cluster.servers[0]!.command<number>('CLUSTER', 'KEYSLOT', 'rescind:{main.1}:meta')
    const keysAt = (at: number) =>
      cluster.servers[at]!.command<string[]>('CLUSTER', 'GETKEYSINSLOT', slot, 1000)
    const counts = await Promise.all(ids.map(async (_, at) => (await keysAt(at)).length))
    const from = counts.findIndex((count) => count > 0)
    const to = (from + 1) % ids.length
    const [source, target] = [cluster.servers[from]!, cluster.servers[to]!]
    await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[from]!)
    await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[to]!)
    const records = (await keysAt(from)).filter((key) => key.includes(':r:'))
    const half = records.slice(0, records.length / 2)
    expect(half.length).toBeGreaterThan(0)
    await source.command('MIGRATE', target.host, target.port, '', 0, MIGRATE_TIMEOUT_MS, 'KEYS', ...half)
    for (let n = 0; n < 20; n++) expect(await askAll()).not.toContain('clear')

    const rest = await keysAt(from)
    await source.command('MIGRATE', target.host, target.port, '', 0, MIGRATE_TIMEOUT_MS, 'KEYS', ...rest)
    for (const server of [target, source, ...cluster.servers]) {
      await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', ids[to]!)
    }
    await until(async () => (await askAll()).every((status) => status === 'revoked'), {
      what: 'all to be known again',
    })
  } finally {
    await manager.close()
  }
})
