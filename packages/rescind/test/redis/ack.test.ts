/** `ack: 'replicated'` says "done" only when the replicas have it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore, type RedisStoreOptions } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const alice = { sub: 'alice', iat: 1 }
const PATIENCE_MS = 6000
/** Where nothing is to come: half of it is waited for replicas. */
const IMPATIENCE_MS = 2500
let primary: RedisServer
let replica: RedisServer
let open: TokenManager[] = []

afterEach(async () => {
  await Promise.all(open.map((manager) => manager.close()))
  open = []
})

function managerOf(
  { writeTimeoutMs = PATIENCE_MS, ...options }: RedisStoreOptions & { writeTimeoutMs?: number } = {},
  hasReplica = true,
): TokenManager {
  const connection = new RedisConnection({ url: primary.url, writeTimeoutMs })
  const manager = new TokenManager({ store: new RedisStore(connection, options), replica: hasReplica })
  open.push(manager)
  return manager
}

/** The primary counts a replica only after its first acknowledgement, up to a second after the link is up. */
async function startPair(config: Record<string, string> = {}): Promise<void> {
  primary = await RedisServer.start({ config: { 'repl-diskless-sync-delay': '0', ...config } })
  replica = await RedisServer.start({ config: { replicaof: `127.0.0.1 ${primary.port}`, ...config } })
  await until(async () => (await primary.command<string>('INFO', 'replication')).includes('state=online'), {
    what: 'the replica',
  })
}

async function stopPair(): Promise<void> {
  await replica.stop()
  await primary.stop()
}

describe('one replica', () => {
  beforeEach(() => startPair())
  afterEach(stopPair)

  it('is reached with it, and without it is an error that says what is known', async () => {
    const { id } = await managerOf().revoke({ sub: 'alice' }, { ack: 'replicated' })
    expect(await replica.command('EXISTS', `rescind:{main.0}:r:${id}`)).toBe(1)
    const manager = managerOf({ writeTimeoutMs: IMPATIENCE_MS })
    replica.freeze()
    await expect(manager.revoke({ sub: 'bob' }, { ack: 'replicated' })).rejects.toMatchObject({
      code: 'ERR_ACK_NOT_REACHED',
      message: expect.stringContaining('0 of 1 replicas') as string,
    })
    // The primary has it all the same: this node refuses at once, and so does a check of the store.
    expect(manager.checkNow({ sub: 'bob', iat: 1 })?.status).toBe('revoked')
    expect(await manager.isRevoked({ sub: 'bob', iat: 1 }, { consistency: 'strict' })).toBe(true)
    await expect(manager.revoke({ sub: 'eve' }, { ack: 'twice' as never })).rejects.toMatchObject({
      code: 'ERR_ACK_UNSUPPORTED',
    })
    expect(await manager.isRevoked({ sub: 'eve', iat: 1 })).toBe(false)
  })

  it('is not reached by asking again for what the primary alone has', async () => {
    replica.freeze()
    await managerOf().revoke({ sub: 'alice' }, { expiresAt: Math.floor(Date.now() / 1000) + 600 })
    // Another connection, on which nothing was written: newer servers wait only for what was.
    const again = managerOf({ writeTimeoutMs: IMPATIENCE_MS }).revoke(
      { sub: 'alice' },
      { ack: 'replicated', expiresAt: Math.floor(Date.now() / 1000) + 600 },
    )
    await expect(again).rejects.toMatchObject({ code: 'ERR_ACK_NOT_REACHED' })
  })
})

it('on disk: where the server can tell it is reached or not, and elsewhere it is an error', async () => {
  await startPair({ appendonly: 'yes', appendfsync: 'everysec' })
  try {
    // It writes its first file after it has followed.
    const isQuiet = async () =>
      !/aof_rewrite_(in_progress|scheduled):1/.test(await replica.command<string>('INFO', 'persistence'))
    await until(isQuiet, { what: 'the first file of the replica' })
    const manager = managerOf({ onDisk: true })
    const version = /^redis_version:(\d+)\.(\d+)/m.exec(await primary.command<string>('INFO', 'server'))
    const isAble = Number(version?.[1]) * 100 + Number(version?.[2]) >= 702
    const revoked = manager.revoke({ sub: 'alice' }, { ack: 'replicated' })
    if (isAble) expect(await revoked).toMatchObject({ ack: 'replicated' })
    else await expect(revoked).rejects.toMatchObject({ code: 'ERR_ACK_UNSUPPORTED' })
    await replica.command('CONFIG', 'SET', 'appendonly', 'no')
    const again = manager.revoke({ sub: 'bob' }, { ack: 'replicated' })
    await expect(again).rejects.toMatchObject({
      code: isAble ? 'ERR_ACK_NOT_REACHED' : 'ERR_ACK_UNSUPPORTED',
    })
    expect(manager.checkNow({ sub: 'bob', iat: 1 })?.status).toBe('revoked')
  } finally {
    await stopPair()
  }
})

it('on a cluster every primary has its own replicas', async () => {
  await using cluster = await RedisCluster.start({ isReplicated: true })
  const [manager, impatient] = [PATIENCE_MS, IMPATIENCE_MS].map((writeTimeoutMs) => {
    const connection = new RedisConnection({ cluster: cluster.nodes, writeTimeoutMs })
    const opened = new TokenManager({ store: new RedisStore(connection, { partitions: 8 }) })
    open.push(opened)
    return opened
  }) as [TokenManager, TokenManager]
  const targets = Array.from({ length: 24 }, (_, n) => ({ sub: `person-${n}` }))
  const receipts = await Promise.all(targets.map((target) => manager.revoke(target, { ack: 'replicated' })))
  expect(receipts.every(({ ack }) => ack === 'replicated')).toBe(true)
  const records = await Promise.all(
    cluster.replicas.map((each) => each.command<string[]>('KEYS', 'rescind:*:r:*')),
  )
  expect(new Set(records.flat()).size).toBe(24)
  await until(() => impatient.revoke({ sub: 'person-29' }, { ack: 'replicated' }), {
    what: 'its connections',
  })
  for (const each of cluster.replicas) each.freeze()
  await expect(impatient.revoke({ sub: 'person-30' }, { ack: 'replicated' })).rejects.toMatchObject({
    code: 'ERR_ACK_NOT_REACHED',
  })
  expect(impatient.checkNow({ sub: 'person-30', iat: 1 })?.status).toBe('revoked')
  for (const each of cluster.replicas) each.thaw()
}, 60_000)

describe('a primary that has lost its replicas', () => {
  beforeEach(() => startPair())
  afterEach(stopPair)

  it('is not believed where replicas count, neither by memory nor by a strict check, until they are back', async () => {
    const careful = managerOf({ minReplicas: 1 })
    const strict = managerOf({ minReplicas: 1 }, false)
    const careless = managerOf()
    await Promise.all([careful.ready(), careless.ready()])
    expect((await careful.check(alice)).status).toBe('clear')
    expect((await strict.check(alice)).status).toBe('clear')
    await careful.revoke({ sub: 'bob' })
    replica.freeze()
    await until(() => careful.checkNow(alice) === undefined, { what: 'the end of trust', timeoutMs: 10_000 })
    await until(async () => (await strict.check(alice)).status === 'unknown', {
      what: 'a strict check to doubt',
    })
    expect(await careful.check(alice)).toMatchObject({
      status: 'unknown',
      cause: { code: 'ERR_STORE_REFUSED' },
    })
    // What is known to be dead is dead, and who does not count goes on.
    expect((await careful.check({ sub: 'bob', iat: 1 })).status).toBe('revoked')
    expect(careless.checkNow(alice)?.status).toBe('clear')
    replica.thaw()
    await until(() => careful.checkNow(alice)?.status === 'clear', { what: 'trust again' })
    expect((await strict.check(alice)).status).toBe('clear')
  })
})

it('options out of their range are one clear error', () => {
  const connection = new RedisConnection({ url: 'redis://127.0.0.1:1' })
  expect(() => new RedisStore(connection, { minReplicas: -1, replicaLagMaxSeconds: 0 })).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG_INVALID',
      problems: [
        'minReplicas must be a whole number from 0 to 100',
        'replicaLagMaxSeconds must be a whole number from 1 to 60',
      ],
    }),
  )
})
