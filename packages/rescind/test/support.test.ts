/** The servers that the other tests rely on are real, obey, and leave nothing behind. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { freePort } from './support/free-port.js'
import { redisServerBinary } from './support/redis-binary.js'
import { RedisCluster } from './support/redis-cluster.js'
import { RedisSentinelSet } from './support/redis-sentinel.js'
import { RedisServer } from './support/redis-server.js'
import { until } from './support/until.js'

/** ioredis does not let its own type through `exactOptionalPropertyTypes`, because of this one option. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>

/** A client that fails at once rather than trying again, and ends with the test. */
function connect(options: ClientOptions, finished = onTestFinished): Redis {
  const redis = new Redis({ retryStrategy: null, maxRetriesPerRequest: 0, ...options })
  redis.on('error', () => {})
  finished(() => redis.disconnect())
  return redis
}

function expectGone(servers: Iterable<RedisServer>): void {
  for (const { pid, dir } of servers) {
    expect(pid).toBeGreaterThan(0)
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(existsSync(dir)).toBe(false)
  }
}

async function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => resolve(false))
    socket.once('error', () => resolve(true)).once('connect', () => socket.destroy())
  })
}

describe('until', () => {
  afterEach(() => vi.useRealTimers())

  it('resolves with the first truthy value', async () => {
    const values = [0, '', undefined, 'there', 'too late']
    expect(await until(() => values.shift(), { what: 'a value', intervalMs: 1 })).toBe('there')
  })

  it('says what it waited for, for how long, and what went wrong last', async () => {
    const refused = new Error('refused')
    const waiting = until(() => Promise.reject(refused), { what: 'an answer', timeoutMs: 30 })
    await expect(waiting).rejects.toThrow('Waited 30 ms for an answer: refused')
    await expect(waiting).rejects.toMatchObject({ cause: refused })
  })

  it('gives up a condition that hangs', async () => {
    const waiting = until(() => new Promise<boolean>(() => {}), { what: 'a hanging promise', timeoutMs: 30 })
    await expect(waiting).rejects.toThrow('Waited 30 ms for a hanging promise')
  })

  it('passes on what a condition asserts in vain, for that is not to be waited for', async () => {
    let looks = 0
    const waiting = until(() => expect(++looks).toBe(2), { what: 'never' })
    await expect(waiting).rejects.toThrow('expected 1 to be 2')
    expect(looks).toBe(1)
  })

  it('works while the clock is fake', async () => {
    vi.useFakeTimers()
    let looks = 0
    expect(await until(() => ++looks === 3, { what: 'the third look' })).toBe(true)
  })
})

describe('redisServerBinary', () => {
  it('finds a redis-server of 6.0 or newer', async () => {
    const { version } = await redisServerBinary()
    expect(Number(/^\d+\.\d+/.exec(version)?.[0])).toBeGreaterThanOrEqual(6)
  })

  it('takes the one that REDIS_SERVER_BIN names', async () => {
    const { path, env, version } = await redisServerBinary()
    const named = await redisServerBinary({ env: { ...env, REDIS_SERVER_BIN: path } })
    expect(named).toMatchObject({ path, version })
  })

  it('refuses a REDIS_SERVER_BIN that does not exist, and says what to do', async () => {
    const finding = redisServerBinary({ env: { REDIS_SERVER_BIN: '/nowhere/redis-server' } })
    await expect(finding).rejects.toThrow(/^REDIS_SERVER_BIN is \/nowhere\/redis-server, .*ENOENT/)
    await expect(finding).rejects.toThrow('brew install redis')
  })

  it('refuses a REDIS_SERVER_BIN that is too old', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'rescind-old-redis-'))
    onTestFinished(() => rm(dir, { recursive: true }))
    const old = join(dir, 'redis-server')
    await writeFile(old, '#!/bin/sh\necho "Redis server v=5.0.14 sha=00000000:0 malloc=libc bits=64"\n')
    await chmod(old, 0o755)
    const finding = redisServerBinary({ env: { ...process.env, REDIS_SERVER_BIN: old } })
    await expect(finding).rejects.toThrow('is redis-server 5.0.14')
  })

  it('says what to install where it can neither find nor fetch one', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'rescind-no-redis-'))
    onTestFinished(() => rm(dir, { recursive: true }))
    const finding = redisServerBinary({ env: { PATH: dir }, cacheDir: join(dir, 'cache/redis') })
    await expect(finding).rejects.toThrow(/needs? redis-server 6\.0 or newer: install it .* REDIS_SERVER_BIN/)
  })
})

describe('RedisServer', () => {
  it('answers on its port and its Unix socket, and is gone after stop()', async () => {
    const server = await RedisServer.start()
    expect(await connect({ host: server.host, port: server.port }).ping()).toBe('PONG')
    expect(await connect({ path: server.socketPath }).ping()).toBe('PONG')
    expect(server.url).toBe(`redis://127.0.0.1:${server.port}`)
    await server.stop()
    expect(server.isRunning).toBe(false)
    expectGone([server])
    await server.stop()
  })

  it('listens on loopback only', async () => {
    await using server = await RedisServer.start()
    expect(await server.command('CONFIG', 'GET', 'bind')).toEqual(['bind', '127.0.0.1'])
  })

  it('takes configuration, and commands that change it', async () => {
    await using server = await RedisServer.start({
      config: { maxmemory: '2mb', 'maxmemory-policy': 'allkeys-lru' },
      args: ['--databases', '3'],
    })
    expect(await server.command('CONFIG', 'GET', 'maxmemory-policy')).toEqual([
      'maxmemory-policy',
      'allkeys-lru',
    ])
    expect(await server.command('CONFIG', 'GET', 'databases')).toEqual(['databases', '3'])
    await server.command('CONFIG', 'SET', 'maxmemory', '1mb')
    expect(await server.command('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '1048576'])
    await expect(server.command('CONFIG', 'SET', 'nonsense', '1')).rejects.toThrow('ERR')
  })

  it('says what Redis said when it does not start', async () => {
    await expect(RedisServer.start({ config: { nonsense: '1' } })).rejects.toThrow(
      /nonsense 1.*\n.*Bad directive/,
    )
  })

  it('says so when the port it was given is taken', async () => {
    await using server = await RedisServer.start()
    await expect(RedisServer.start({ port: server.port })).rejects.toThrow('in use')
  })

  it('starts all or none', async () => {
    const port = await freePort()
    const starting = RedisServer.startAll([{ port }, { config: { nonsense: '1' } }])
    await expect(starting).rejects.toThrow('Bad directive')
    await using server = await RedisServer.start({ port })
    expect(server.port).toBe(port)
  })

  it('is silent while frozen, and goes on when thawed', async () => {
    await using server = await RedisServer.start()
    const impatient = connect({ port: server.port, commandTimeout: 50 })
    const patient = connect({ port: server.port })
    // Not by a command: its fifty milliseconds would begin before the connection stands.
    await Promise.all([impatient, patient].map((client) => once(client, 'ready')))
    server.freeze()
    const answer = patient.ping()
    await expect(impatient.ping()).rejects.toThrow('timed out')
    server.thaw()
    expect(await answer).toBe('PONG')
  })

  it('can be stopped while frozen', async () => {
    const server = await RedisServer.start()
    server.freeze()
    await server.stop()
    expectGone([server])
  })

  it('can be killed while frozen, and started again thawed', async () => {
    await using server = await RedisServer.start()
    server.freeze()
    await server.kill()
    expect(server.isRunning).toBe(false)
    await server.restart()
    expect(await server.command('PING')).toBe('PONG')
  })

  it('is killed at once, and comes back on its port without its data', async () => {
    await using server = await RedisServer.start()
    const { port, pid } = server
    await server.command('SET', 'jti', 'revoked')
    await server.kill()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    await expect(connect({ port, lazyConnect: true }).connect()).rejects.toThrow()
    await server.restart()
    expect(await connect({ port }).get('jti')).toBeNull()
    expect(server.pid).not.toBe(pid)
  })

  it('comes back with its data if it is persistent, killed or not', async () => {
    await using server = await RedisServer.start({ persistence: true })
    await server.command('SET', 'before', 'kill')
    await server.kill()
    await server.restart()
    await server.command('SET', 'after', 'kill')
    await server.restart()
    expect(await server.command('MGET', 'before', 'after')).toEqual(['kill', 'kill'])
  })

  it('serves TLS to a client that knows its authority, by address and by name, and to no other', async () => {
    await using server = await RedisServer.start({ tls: true })
    const ca = await readFile(server.tlsFiles.ca)
    expect(server.url).toBe(`rediss://127.0.0.1:${server.port}`)
    for (const host of ['127.0.0.1', 'localhost']) {
      expect(await connect({ host, port: server.port, family: 4, tls: { ca } }).ping()).toBe('PONG')
    }
    const stranger = connect({ port: server.port, lazyConnect: true, tls: {} })
    const failures: string[] = []
    stranger.on('error', (failure: NodeJS.ErrnoException) => failures.push(failure.code ?? failure.message))
    await expect(stranger.connect()).rejects.toThrow()
    expect(failures).toContain('SELF_SIGNED_CERT_IN_CHAIN')
    await expect(connect({ port: server.port, lazyConnect: true }).connect()).rejects.toThrow()
    expect(await server.command('PING')).toBe('PONG')
  })

  it('can demand a client certificate', async () => {
    await using server = await RedisServer.start({ tls: true, config: { 'tls-auth-clients': 'yes' } })
    const [ca, cert, key] = await Promise.all(
      Object.values(server.tlsFiles).map((path) => readFile(path as string)),
    )
    await expect(connect({ port: server.port, tls: { ca }, lazyConnect: true }).connect()).rejects.toThrow()
    expect(await connect({ port: server.port, tls: { ca, cert, key } }).ping()).toBe('PONG')
  })

  it('has no TLS files without TLS', async () => {
    await using server = await RedisServer.start()
    expect(() => server.tlsFiles).toThrow('tls: true')
  })

  it('takes a password, and a new one', async () => {
    await using server = await RedisServer.start({ config: { requirepass: 'first' } })
    await expect(connect({ port: server.port }).ping()).rejects.toThrow('NOAUTH')
    await server.command('CONFIG', 'SET', 'requirepass', 'second')
    server.password = 'second'
    expect(await server.command('PING')).toBe('PONG')
    expect(await connect({ port: server.port, password: 'second' }).ping()).toBe('PONG')
  })

  it('takes users with fewer rights', async () => {
    await using server = await RedisServer.start()
    await server.command('ACL', 'SETUSER', 'reader', 'on', '>secret', '~rescind:*', '+get', '+info', '+ping')
    const reader = connect({ port: server.port, username: 'reader', password: 'secret' })
    expect(await reader.get('rescind:a')).toBeNull()
    await expect(reader.set('rescind:a', '1')).rejects.toThrow('NOPERM')
    await expect(reader.get('other:a')).rejects.toThrow('NOPERM')
  })

  it.concurrent.for([
    'return',
    'throw',
    'SIGTERM',
    'SIGINT',
    ...(process.platform === 'linux' ? ['SIGKILL'] : []),
  ])('does not outlive its process, which ends by %s', async (end, { expect }) => {
    const support = fileURLToPath(new URL('support/redis-server.ts', import.meta.url))
    const script = `
        const { RedisServer } = await import(${JSON.stringify(support)})
        const server = await RedisServer.start()
        process.stdout.write(JSON.stringify({ dir: server.dir, port: server.port }), () => {
          if (${end === 'return'}) process.exit()
          if (${end === 'throw'}) throw new Error('on purpose')
          process.kill(process.pid, '${end}')
        })`
    const written = await new Promise<string>((resolve) => {
      execFile(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', script],
        (_failure, stdout) => resolve(stdout),
      )
    })
    const { dir, port } = JSON.parse(written) as { dir: string; port: number }
    await until(() => isRefused(port), { what: 'the orphan to be gone' })
    if (end !== 'SIGKILL') expect(existsSync(dir)).toBe(false)
    await rm(dir, { recursive: true, force: true })
  })
})

describe.concurrent('RedisSentinelSet', () => {
  it('puts the replica in the place of a killed primary, which comes back as a replica', async (test) => {
    const { expect, onTestFinished } = test
    await using set = await RedisSentinelSet.start()
    const { sentinels, name } = set
    const patience = { retryStrategy: () => 20, maxRetriesPerRequest: null }
    const client = connect({ sentinels, name, ...patience }, onTestFinished)
    await client.set('jti', 'revoked')
    await until(async () => (await client.wait(1, 1000)) === 1, { what: 'the replica', timeoutMs: 15_000 })
    const former = await set.primary()
    expect(await former.command('ROLE')).toContain('master')

    const promoted = await set.failover()
    expect(promoted).not.toBe(former)
    expect(promoted).toBe(await set.primary())
    expect(former.isRunning).toBe(false)
    expect(await client.get('jti')).toBe('revoked')
    expect(await client.set('jti', 'again')).toBe('OK')

    await former.restart()
    await until(async () => (await former.command<string>('GET', 'jti')) === 'again', {
      what: 'the former primary to follow',
      timeoutMs: 15_000,
    })
    expect(await former.command('ROLE')).toContain('slave')
  })

  it('replaces a primary that is frozen, without a word from it', async ({ expect }) => {
    await using set = await RedisSentinelSet.start({ replicas: 2 })
    const former = await set.primary()
    former.freeze()
    expect(await set.promotedAfter(former)).not.toBe(former)
  })

  it('changes places on command, and leaves nothing running', async ({ expect }) => {
    await using set = await RedisSentinelSet.start({ sentinels: 1 })
    const former = await set.primary()
    expect(await set.failover({ crash: false })).not.toBe(former)
    expect(former.isRunning).toBe(true)
    await set.stop()
    expectGone([...set.servers, ...set.sentinelServers])
  })
})

describe.concurrent('RedisCluster', () => {
  it('routes keys to every node, and leaves nothing running', async ({ expect }) => {
    await using cluster = await RedisCluster.start()
    const client = new Cluster(cluster.nodes)
    const keys = Array.from({ length: 60 }, (_, index) => `rescind:${index}`)
    for (const key of keys) await client.set(key, key)
    for (const key of keys) expect(await client.get(key)).toBe(key)
    const sizes = await Promise.all(cluster.servers.map((server) => server.command<number>('DBSIZE')))
    expect(sizes).toHaveLength(3)
    expect(Math.min(...sizes)).toBeGreaterThan(0)
    expect(sizes.reduce((sum, size) => sum + size)).toBe(keys.length)
    client.disconnect()
    await cluster.stop()
    expectGone(cluster.servers)
  })

  it('is down while a node is, and serves again when the node is back', async () => {
    await using cluster = await RedisCluster.start()
    const [lost, witness] = cluster.servers as [RedisServer, RedisServer, RedisServer]
    const state = async () =>
      /cluster_state:(\w+)/.exec(await witness.command<string>('CLUSTER', 'INFO'))?.[1]
    await lost.kill()
    await until(async () => (await state()) === 'fail', { what: 'the others to notice', timeoutMs: 15_000 })
    await lost.restart()
    await until(async () => (await state()) === 'ok', { what: 'the cluster to be whole', timeoutMs: 15_000 })
  })
})
