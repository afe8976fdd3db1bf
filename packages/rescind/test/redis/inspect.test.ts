/** The doctor at real servers: what it is told there, and that it keeps secrets. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { aclRules } from '../../src/redis/acl.js'
import { namedBy } from '../support/net-namespaces.js'
import { redisServerBinary } from '../support/redis-binary.js'
import { RedisCluster } from '../support/redis-cluster.js'
import type { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { codes, figures, inspectAt, open, revokeSome, start } from './inspected.js'

// Without %R~ and ACL DRYRUN, which came with Redis 7, there is less to see.
const isSeven = !/^6/.test((await redisServerBinary()).version) || 'Redis 6 knows no selectors'
const PASSWORD = 's3cret-of-a-test'

it('a bare server: no persistence, no replica, no limit, everybody may do everything', async () => {
  const server = await start()
  const inspection = await inspectAt(server)
  expect(codes(inspection)).toEqual(
    expect.arrayContaining([
      ...['persistence_off', 'replicas_none', 'memory_unlimited', 'min_replicas_off'],
      ...['may_write', 'may_destroy', 'default_user_open_locally', 'namespace_missing'],
    ]),
  )
  expect(codes(inspection)).not.toContain('cannot_be_told')
  expect(codes(inspection)).not.toContain('tls_off')
  expect(inspection.worst).toBe('critical')
  expect(inspection.servers).toMatchObject([
    {
      address: `127.0.0.1:${server.port}`,
      software: expect.stringMatching(/^(redis|valkey)$/),
      role: 'primary',
      user: 'default',
      replicas: 0,
    },
  ])
  expect(figures(inspection, 'may_destroy')?.commands).toBe(
    'DEL, UNLINK, EXPIRE, RENAME, RESTORE, FLUSHALL, FLUSHDB, SWAPDB, CONFIG SET, REPLICAOF, SHUTDOWN, DEBUG, ACL SETUSER, MODULE LOAD, SCRIPT FLUSH',
  )
})

it('it writes nothing, and does none of what it asks about', async () => {
  const server = await start()
  await revokeSome(server)
  const keys = await server.command('DBSIZE')
  const changes = async () => /rdb_changes_since_last_save:\d+/.exec(await server.command('INFO'))?.[0]
  const before = await changes()
  await inspectAt(server)
  expect(await changes()).toBe(before)
  expect(await server.command('DBSIZE')).toBe(keys)
})

it('a server that evicts, before and after it did', async () => {
  const server = await start({ config: { 'maxmemory-policy': 'volatile-lru' } })
  await revokeSome(server, 20)
  expect(codes(await inspectAt(server))).toContain('evicts_expiring_keys')
  expect(codes(await inspectAt(server))).not.toContain('keys_evicted')
  await server.command('CONFIG', 'SET', 'maxmemory', '1')
  await until(async () => (await server.command('EXISTS', 'rescind:{main.0}:log:1')) === 0, {
    what: 'the server to evict the log too',
  })
  const inspection = await inspectAt(server)
  expect(codes(inspection)).toContain('keys_evicted')
  expect(figures(inspection, 'keys_evicted')?.evicted).toBeGreaterThan(0)
  // All records and the log have an expiry, so they went; head and shapes have none.
  expect(codes(inspection)).toContain('log_lost')
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  expect(codes(await inspectAt(server))).toContain('evicts_any_key')
})

it('memory that is nearly full', async () => {
  const server = await start()
  await server.command('CONFIG', 'SET', 'maxmemory', '1')
  expect(codes(await inspectAt(server))).toContain('memory_exhausted')
  const used = Number(/used_memory:(\d+)/.exec(await server.command<string>('INFO', 'memory'))?.[1])
  await server.command('CONFIG', 'SET', 'maxmemory', Math.round(used * 1.12))
  expect(codes(await inspectAt(server))).toContain('memory_low')
})

it('how the data is kept', async () => {
  const server = await start({ config: { appendonly: 'yes', appendfsync: 'everysec' } })
  expect(codes(await inspectAt(server))).toContain('appendfsync_everysec')
  await server.command('CONFIG', 'SET', 'appendfsync', 'no')
  expect(codes(await inspectAt(server))).toContain('appendfsync_no')
  await server.command('CONFIG', 'SET', 'appendonly', 'no')
  await server.command('CONFIG', 'SET', 'save', '3600 1')
  expect(codes(await inspectAt(server))).toContain('snapshots_only')
})

it('a save that failed', async () => {
  const server = await start()
  await server.command('SET', 'x', 'x', 'EX', 60)
  // A folder where the file should be.
  await mkdir(join(server.dir, 'dump.rdb', 'x'), { recursive: true })
  await expect(server.command('SAVE')).rejects.toThrow()
  await server.command('BGSAVE')
  await until(
    async () => /rdb_last_bgsave_status:err/.test(await server.command<string>('INFO', 'persistence')),
    { what: 'the save to fail' },
  )
  expect(codes(await inspectAt(server))).toContain('save_failed')
})

describe('a primary and its replica', () => {
  it('roles, min-replicas, priorities, and a replica that went away', async () => {
    const primary = await start({ config: { 'repl-diskless-sync-delay': '0' } })
    const replica = await start({
      config: { replicaof: `127.0.0.1 ${primary.port}`, 'replica-priority': '0' },
    })
    const seen = await until(
      async () => {
        const inspection = await inspectAt(primary)
        const isThere = inspection.servers[0]?.replicas === 1
        return isThere && !codes(inspection).includes('replica_not_online') && inspection
      },
      { what: 'the replica to be online' },
    )
    expect(codes(seen)).toEqual(
      expect.arrayContaining(['min_replicas_off', 'replica_never_promoted', 'replicas_none_promotable']),
    )
    expect(codes(seen)).not.toContain('replicas_none')
    expect(figures(seen, 'replica_never_promoted')).toEqual({ replica: `127.0.0.1:${replica.port}` })

    await replica.command('CONFIG', 'SET', 'replica-priority', '100')
    await primary.command('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await primary.command('CONFIG', 'SET', 'min-replicas-max-lag', '60')
    const better = codes(await inspectAt(primary))
    expect(better).toContain('min_replicas_lag_long')
    for (const gone of ['min_replicas_off', 'replica_never_promoted', 'replicas_none_promotable'])
      expect(better).not.toContain(gone)

    expect(codes(await inspectAt(replica))).toContain('is_replica')
    expect((await inspectAt(replica)).servers[0]?.role).toBe('replica')
    await replica.kill()
    const alone = await until(
      async () => {
        const inspection = await inspectAt(primary)
        return codes(inspection).includes('replicas_none') && inspection
      },
      { what: 'the replica to be missed' },
    )
    expect(figures(alone, 'min_replicas_unmet')).toEqual({ good: 0, wanted: 1 })
  })

  it('a replica that lost its primary', async () => {
    const primary = await start({ config: { 'repl-diskless-sync-delay': '0' } })
    const replica = await start({ config: { replicaof: `127.0.0.1 ${primary.port}` } })
    await primary.kill()
    await until(async () => codes(await inspectAt(replica)).includes('primary_link_down'), {
      what: 'the link to be down',
    })
  })
})

it('clocks that differ, by the clock that is given', async () => {
  const server = await start()
  const skewed = async (ms: number) => inspectAt(server, { now: () => Date.now() + ms })
  expect(codes(await skewed(0))).not.toContain('clock_skew')
  const behind = await skewed(5000)
  expect(figures(behind, 'clock_skew')?.skewMs).toBeLessThan(-4000)
  expect(figures(await skewed(-5000), 'clock_skew')?.skewMs).toBeGreaterThan(4000)
  expect(codes(await skewed(120_000))).toContain('clock_skew_large')
  expect(codes(await inspectAt(server, { skewMaxMs: 10_000, now: () => Date.now() + 5000 }))).not.toContain(
    'clock_skew',
  )
})

describe.skipIf(isSeven !== true)(namedBy('rights', isSeven), () => {
  async function guarded(): Promise<RedisServer> {
    const server = await start()
    for (const [name, rules] of Object.entries(aclRules()))
      await server.command('ACL', 'SETUSER', name, 'on', `>${PASSWORD}`, ...rules)
    return server
  }

  it('an operator is told everything, also of other users', async () => {
    const server = await guarded()
    await revokeSome(server)
    const login = { username: 'operator', password: PASSWORD }
    const own = await inspectAt(server, {}, login)
    for (const code of ['cannot_be_told', 'may_write', 'may_destroy', 'namespace_missing', 'log_broken'])
      expect(codes(own)).not.toContain(code)
    expect(codes(own)).toContain('default_user_open_locally')
    const reader = await inspectAt(server, { user: 'reader' }, login)
    expect(codes(reader)).not.toContain('may_write')
    expect(reader.servers[0]?.user).toBe('reader')
    const writer = await inspectAt(server, { user: 'writer' }, login)
    expect(figures(writer, 'may_write')).toEqual({ user: 'writer', commands: 'SET, HSET, APPEND, EVAL' })
    expect(codes(writer)).not.toContain('may_destroy')
    expect(codes(await inspectAt(server, { user: 'writer', revokes: true }, login))).not.toContain(
      'may_write',
    )
    expect(codes(await inspectAt(server, { user: 'default' }, login))).toContain('may_destroy')
    // Whoever was refused something would stand here.
    expect(await server.command('ACL', 'LOG')).toEqual([])
  })

  it('without ACL DRYRUN they are read from ACL GETUSER', async () => {
    const server = await guarded()
    await server.command('ACL', 'SETUSER', 'operator', '-acl|dryrun')
    const login = { username: 'operator', password: PASSWORD }
    expect(codes(await inspectAt(server, { user: 'reader' }, login))).not.toContain('may_destroy')
    expect(codes(await inspectAt(server, { user: 'default' }, login))).toContain('may_destroy')
    expect(figures(await inspectAt(server, { user: 'writer' }, login), 'may_write')?.commands).toBe(
      'SET, HSET, APPEND, EVAL',
    )
  })

  it('a reader cannot be told much, and each of it is said', async () => {
    const server = await guarded()
    const inspection = await inspectAt(server, {}, { username: 'reader', password: PASSWORD })
    const untold = inspection.findings.filter(({ code }) => code === 'cannot_be_told')
    expect(untold.map((each) => each.figures.subject).sort()).toEqual(
      [
        'save',
        'appendfsync',
        'min-replicas-to-write',
        'min-replicas-max-lag',
        'rights',
        'default user',
      ].sort(),
    )
    expect(untold.every((each) => each.figures.because === 'NOPERM')).toBe(true)
    // What INFO tells is told.
    expect(codes(inspection)).toEqual(
      expect.arrayContaining(['aof_off', 'memory_unlimited', 'replicas_none']),
    )
  })

  it('a default user with a password is not open', async () => {
    const server = await start({ config: { requirepass: PASSWORD } })
    const inspection = await inspectAt(server, {}, { password: PASSWORD })
    expect(codes(inspection)).not.toContain('default_user_open_locally')
    expect(codes(inspection)).not.toContain('default_user_open')
  })
})

it('a cluster: every primary is asked, and one bad one is named', async () => {
  const cluster = await RedisCluster.start()
  open.push({ close: () => cluster.stop() })
  const [, second] = cluster.servers
  await second?.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  const inspection = await inspectAt({ cluster: cluster.nodes })
  expect(inspection.servers.map(({ address }) => address).sort()).toEqual(
    cluster.servers.map(({ port }) => `127.0.0.1:${port}`).sort(),
  )
  expect(inspection.findings.filter(({ code }) => code === 'evicts_any_key')).toMatchObject([
    { server: `127.0.0.1:${second?.port}` },
  ])
  expect(codes(inspection)).not.toContain('cluster_not_ok')
  expect(inspection.findings.filter(({ code }) => code === 'replicas_none').length).toBe(3)
})

it('no finding carries a password or its digest', async () => {
  const server = await start({ config: { requirepass: PASSWORD, masterauth: PASSWORD } })
  server.password = PASSWORD
  const inspection = await inspectAt({
    url: `redis://default:${PASSWORD}@127.0.0.1:${server.port}`,
  })
  const text = JSON.stringify(inspection)
  expect(text).toContain('persistence_off')
  expect(text).not.toContain(PASSWORD)
  expect(text).not.toContain(createHash('sha256').update(PASSWORD).digest('hex'))
})

it('over TLS', async () => {
  const server = await start({ tls: true })
  const ca = readFileSync(server.tlsFiles.ca, 'utf8')
  const inspection = await inspectAt({ host: '127.0.0.1', port: server.port, tls: { ca } })
  expect(inspection.servers).toMatchObject([{ address: `127.0.0.1:${server.port}`, role: 'primary' }])
})
