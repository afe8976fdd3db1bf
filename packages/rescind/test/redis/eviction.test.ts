/** A Redis that may drop revocations in silence is not believed, unless the option says so. */
import { afterEach, describe, expect, it } from 'vitest'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore, type RedisStoreOptions } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { patientConnection } from '../support/patient.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { RedisServer, type RedisServerOptions } from '../support/redis-server.js'
import { until } from '../support/until.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function start(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await RedisServer.start(options)
  open.push({ close: () => server.stop() })
  return server
}

function managerAt(
  server: RedisServer,
  options: RedisStoreOptions & { replica?: boolean; username?: string; password?: string } = {},
): TokenManager {
  const { replica = false, username, password, ...rest } = options
  const connection = patientConnection({ url: server.url, username, password })
  const manager = new TokenManager({ store: new RedisStore(connection, rest), replica })
  open.push(manager)
  return manager
}

const alice = { sub: 'alice', jti: '1', iss: 'https://as.example', iat: 1 }

describe.each(['allkeys-lru', 'volatile-ttl'])('a server with maxmemory-policy %s', (policy) => {
  it('refuses to revoke, to list and to be ready, and checks end unknown', async () => {
    const server = await start({ config: { 'maxmemory-policy': policy } })
    const manager = managerAt(server, { replica: true })
    const evicts = { code: 'ERR_STORE_EVICTS', message: expect.stringContaining('noeviction') }
    await expect(manager.ready()).rejects.toMatchObject(evicts)
    await expect(manager.revoke({ sub: 'alice' })).rejects.toMatchObject(evicts)
    await expect(manager.list()).rejects.toMatchObject(evicts)
    expect(await manager.check(alice)).toMatchObject({ status: 'unknown', cause: evicts })
    expect(await manager.check(alice, { consistency: 'strict' })).toMatchObject({ status: 'unknown' })
    expect(manager.checkNow(alice)).toBeUndefined()
    expect(await server.command('DBSIZE')).toBe(0)
  })

  it('works where the option allows it, also from the environment', async () => {
    const server = await start({ config: { 'maxmemory-policy': policy } })
    const manager = managerAt(server, { allowEviction: true })
    await manager.revoke({ sub: 'alice' })
    expect(await manager.check(alice)).toMatchObject({ status: 'revoked' })
    for (const [value, status] of [
      ['true', 'revoked'],
      ['false', 'unknown'],
    ]) {
      const env = { REDIS_URL: server.url, RESCIND_ALLOW_EVICTION: value }
      const other = new TokenManager({
        store: RedisStore.fromEnv(env, RedisConnection.fromEnv(env)),
        replica: false,
      })
      open.push(other)
      expect(await other.check(alice)).toMatchObject({ status })
    }
  })
})

it('RESCIND_ALLOW_EVICTION must be true or false', () => {
  const env = { RESCIND_ALLOW_EVICTION: 'perhaps' }
  expect(() => RedisStore.fromEnv(env, new RedisConnection())).toThrow(/RESCIND_ALLOW_EVICTION must be/)
})

it('a store recovers by itself when the policy is mended', async () => {
  const server = await start({ config: { 'maxmemory-policy': 'allkeys-lru' } })
  const manager = managerAt(server)
  await expect(manager.revoke({ sub: 'alice' })).rejects.toMatchObject({ code: 'ERR_STORE_EVICTS' })
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  await until(() => manager.revoke({ sub: 'alice' }), { what: 'a revocation after the policy was mended' })
  expect(await manager.check(alice)).toMatchObject({ status: 'revoked' })
})

it('every new socket asks again: a server that comes back evicting is refused', async () => {
  const server = await start()
  const manager = managerAt(server)
  await manager.revoke({ sub: 'alice' })
  expect(await manager.check(alice)).toMatchObject({ status: 'revoked' })
  const { port } = server
  await server.stop()
  await start({ port, config: { 'maxmemory-policy': 'volatile-lru' } })
  const statuses = new Set<string>()
  await until(
    async () => {
      const found = await manager.check(alice, { consistency: 'strict' })
      statuses.add(found.status)
      return found.status === 'unknown' && found.cause.code === 'ERR_STORE_EVICTS'
    },
    { what: 'a check refused by the new server' },
  )
  // Never "clear" from the empty server that evicts.
  expect([...statuses]).toEqual(['unknown'])
})

it('a check asks nothing more: INFO is sent once for each socket', async () => {
  const server = await start()
  const manager = managerAt(server)
  await manager.check(alice)
  const calls = async () =>
    Number(/cmdstat_info:calls=(\d+)/.exec(await server.command<string>('INFO', 'commandstats'))?.[1] ?? 0)
  const before = await calls()
  for (let i = 0; i < 50; i++) await manager.check(alice)
  // One more: that of the test itself.
  expect(await calls()).toBe(before + 1)
})

it('a user who may not ask is not refused for it', async () => {
  const server = await start({ config: { 'maxmemory-policy': 'allkeys-lru' } })
  await server.command('ACL', 'SETUSER', 'blind', 'on', '>s3cret-blind', '~*', '+@all', '-info')
  const manager = managerAt(server, { username: 'blind', password: 's3cret-blind' })
  await manager.revoke({ sub: 'alice' })
  expect(await manager.check(alice)).toMatchObject({ status: 'revoked' })
})

it('one primary of a cluster that evicts is enough', async () => {
  const cluster = await RedisCluster.start()
  open.push({ close: () => cluster.stop() })
  const connect = () => {
    const store = new RedisStore(patientConnection({ cluster: cluster.nodes }))
    const manager = new TokenManager({ store, replica: false })
    open.push(manager)
    return manager
  }
  const before = connect()
  await before.revoke({ sub: 'alice' })
  for (const server of cluster.servers) {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random')
    await expect(connect().revoke({ sub: 'alice' })).rejects.toMatchObject({ code: 'ERR_STORE_EVICTS' })
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  }
  expect(await connect().check(alice)).toMatchObject({ status: 'revoked' })
})
