import { type AddressInfo, createServer } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import type { RedisOptions } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RescindError } from '../../src/errors.js'
import type { RedisClient, RedisRole } from '../../src/redis/client.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { openStore } from '../../src/open-store.js'
import { allowedMs } from '../faults/engine/figures.js'
import { freePort } from '../support/free-port.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { RedisSentinelSet } from '../support/redis-sentinel.js'
import { RedisServer } from '../support/redis-server.js'
import { RefusingRedis } from '../support/refusing-redis.js'
import { until } from '../support/until.js'

const HOUR_MS = 3_600_000
const SECRET = 'canary-s3cret%&/'

async function pings(connection: RedisConnection): Promise<boolean> {
  try {
    await connection.ping()
    return true
  } finally {
    await connection.close()
  }
}

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(RescindError)
    const { code, message, problems } = error as RescindError
    expect(code).toBe('ERR_CONFIG_INVALID')
    for (const problem of problems) expect(message).toContain(problem)
    return problems
  }
  return []
}

describe('RedisConnection reaches', () => {
  let server: RedisServer
  let folder: string
  beforeAll(async () => {
    server = await RedisServer.start()
    folder = await mkdtemp(join(tmpdir(), 'rescind-'))
  })
  afterAll(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })

  it('a server by REDIS_URL', async () => {
    expect(await pings(RedisConnection.fromEnv({ REDIS_URL: server.url }))).toBe(true)
  })

  it('a server by parts', async () => {
    expect(
      await pings(RedisConnection.fromEnv({ REDIS_HOST: '127.0.0.1', REDIS_PORT: String(server.port) })),
    ).toBe(true)
  })

  it('a server by a URL in a file', async () => {
    const path = join(folder, 'url')
    await writeFile(path, `${server.url}\n`)
    expect(await pings(RedisConnection.fromEnv({ REDIS_URL_FILE: path }))).toBe(true)
  })

  it('a unix socket, by path and by URL', async () => {
    expect(await pings(RedisConnection.fromEnv({ REDIS_SOCKET: server.socketPath }))).toBe(true)
    expect(await pings(RedisConnection.fromEnv({ REDIS_URL: `redis+unix://${server.socketPath}` }))).toBe(
      true,
    )
  })

  it('another database of the server', async () => {
    const connection = RedisConnection.fromEnv({ REDIS_URL: `${server.url}/3` })
    await connection.run('writes', 1000, (client) => client.set('here', '1', 'EX', 60))
    await connection.close()
    await server.command('SELECT', '0')
    expect(await server.command('INFO', 'keyspace')).toContain('db3:keys=1')
  })

  it('a server as an ACL user whose password stands in a file', async () => {
    await server.command('ACL', 'SETUSER', 'app', 'on', `>${SECRET}`, '~rescind:*', '+@all')
    const path = join(folder, 'password')
    await writeFile(path, `${SECRET}\n`)
    const env = { REDIS_URL: server.url, REDIS_USERNAME: 'app', REDIS_PASSWORD_FILE: path }
    expect(await pings(RedisConnection.fromEnv(env))).toBe(true)
    const url = `redis://app:${encodeURIComponent(SECRET)}@127.0.0.1:${server.port}`
    expect(await pings(RedisConnection.fromEnv({ REDIS_URL: url }))).toBe(true)
  })

  it('no server with a wrong password, and says so without it', async () => {
    const connection = new RedisConnection({ url: server.url, username: 'app', password: `${SECRET}wrong` })
    const error = await connection.ping().catch((failure: unknown) => failure)
    expect(error).toMatchObject({ code: 'ERR_STORE_REFUSED', message: expect.stringContaining('WRONGPASS') })
    const { inspect } = await import('node:util')
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('s3cret')
    await connection.close()
  })

  it('a server by TLS with its own authority, and refuses it without', async () => {
    const secure = await RedisServer.start({ tls: true })
    try {
      const env = { REDIS_URL: secure.url, REDIS_TLS_CA_FILE: secure.tlsFiles.ca }
      expect(await pings(RedisConnection.fromEnv(env))).toBe(true)
      const ca = readFileSync(secure.tlsFiles.ca, 'utf8')
      expect(await pings(new RedisConnection({ host: '127.0.0.1', port: secure.port, tls: { ca } }))).toBe(
        true,
      )
      await expect(pings(RedisConnection.fromEnv({ REDIS_URL: secure.url }))).rejects.toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
      })
    } finally {
      await secure.stop()
    }
  })

  it('Sentinels and their primary by TLS, and gives neither a word in the clear', async () => {
    await using primary = await RedisServer.start({ tls: true, config: { requirepass: SECRET } })
    const tls = primary.tlsFiles
    const watch = {
      'sentinel monitor': `rescind 127.0.0.1 ${primary.port} 1`,
      'sentinel auth-pass': `rescind ${SECRET}`,
      'tls-replication': 'yes',
    }
    await using sentinel = await RedisServer.start({ args: ['--sentinel'], config: watch, tls })
    const options = { sentinelName: 'rescind', password: SECRET, tls: { ca: readFileSync(tls.ca, 'utf8') } }
    const connection = new RedisConnection({ ...options, sentinels: [sentinel] })
    try {
      await connection.ping()
      const [server] = await connection.primaries()
      expect(server?.where()).toMatchObject({ isEncrypted: true })
    } finally {
      await connection.close()
    }
    // Nobody speaks TLS here: nothing is said.
    const heard: Buffer[] = []
    const plain = createServer((socket) => {
      socket.on('error', () => undefined).on('data', (bytes) => heard.push(bytes))
    })
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = plain.address() as AddressInfo
      const hopeful = new RedisConnection({ ...options, sentinels: [{ host: '127.0.0.1', port }] })
      await expect(pings(hopeful)).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_STORE_(UNAVAILABLE|TIMEOUT)$/),
      })
      // A handshake of TLS.
      expect(heard[0]?.[0]).toBe(22)
      expect(Buffer.concat(heard).toString('latin1')).not.toMatch(/hello|auth|sentinel/i)
    } finally {
      plain.close()
    }
  })

  it('a cluster', async () => {
    const cluster = await RedisCluster.start({ nodes: 3 })
    try {
      const nodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')
      const env = { REDIS_CLUSTER_NODES: nodes, RESCIND_WRITE_TIMEOUT_MS: '10000' }
      expect(await pings(RedisConnection.fromEnv(env))).toBe(true)
    } finally {
      await cluster.stop()
    }
  })

  it('the primary of a Sentinel set, before and after it was killed', async () => {
    const set = await RedisSentinelSet.start()
    const connection = RedisConnection.fromEnv({
      REDIS_SENTINELS: set.sentinels.map(({ host, port }) => `${host}:${port}`).join(','),
      REDIS_SENTINEL_NAME: set.name,
    })
    try {
      const write = () => connection.run('writes', 1000, (client) => client.set('k', 'v', 'EX', 60))
      expect(await until(write, { what: 'the first write', timeoutMs: 10_000 })).toBe('OK')
      await set.failover()
      expect(await until(write, { what: 'a write to the new primary', timeoutMs: 10_000 })).toBe('OK')
    } finally {
      await connection.close()
      await set.stop()
    }
  })
})

describe('RedisConnection tells', () => {
  it('what happens to its sockets, survives a killed server and comes back by itself', async () => {
    const server = await RedisServer.start()
    const connection = new RedisConnection({ url: server.url })
    const seen: string[] = []
    const reading = (async () => {
      for await (const { type, role } of connection.events()) seen.push(`${role} ${type}`)
    })()
    await connection.ping()
    await server.kill()
    await until(() => seen.includes('checks lost'), { what: 'the loss' })
    await expect(connection.ping()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    await until(() => seen.includes('checks failed'), { what: 'a failed attempt' })
    await server.restart()
    const started = performance.now()
    await until(async () => connection.ping().then(() => true), { what: 'the recovery', timeoutMs: 10_000 })
    expect(performance.now() - started).toBeLessThan(allowedMs(2000))
    await connection.close()
    await reading
    expect(seen.filter((event) => event === 'checks ready')).toHaveLength(2)
    await expect(connection.ping()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await server.stop()
  })

  it('all its sockets when one has found the server again, so that none waits for its next attempt', async () => {
    const server = await RedisServer.start()
    const connection = new RedisConnection({ url: server.url })
    const clients = new Map<RedisRole, RedisClient>()
    for (const role of ['checks', 'log', 'writes'] as const) {
      await connection.run(role, 5000, async (client) => void clients.set(role, client))
    }
    const [first, ...others] = [...clients.values()] as [RedisClient, ...RedisClient[]]
    for (const { options } of others) (options as RedisOptions).retryStrategy = () => HOUR_MS
    await server.kill()
    await until(() => others.every(({ status }) => status === 'reconnecting'), { what: 'their wait' })
    await server.restart()
    await until(() => [first, ...others].every(({ status }) => status === 'ready'), {
      what: 'all to be back',
    })
    await connection.close()
    await server.stop()
  })

  it('at once that nobody listens, again and again, and never ends the process', async () => {
    const connection = new RedisConnection({ host: '127.0.0.1', port: await freePort() })
    for (let i = 0; i < 3; i++) {
      await expect(connection.ping()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    }
    await connection.close()
  })

  it('a reader of events ends with its signal', async () => {
    const connection = new RedisConnection({ host: '127.0.0.1', port: await freePort() })
    const stop = new AbortController()
    const events = connection.events({ signal: stop.signal })
    const next = events.next()
    stop.abort()
    expect(await next).toEqual({ done: true, value: undefined })
    await connection.close()
  })
})

describe('a configuration that cannot be used', () => {
  it('is one error that names each variable and never its value', () => {
    const env = {
      REDIS_URL: `http://user:${SECRET}@somewhere-${SECRET}`,
      REDIS_HOST: `host-${SECRET}`,
      REDIS_PORT: `99999${SECRET}`,
      REDIS_DB: SECRET,
      REDIS_TLS: SECRET,
      REDIS_TLS_CERT: SECRET,
      REDIS_PASSWORD: SECRET,
      REDIS_PASSWORD_FILE: `/nowhere/${SECRET}`,
      REDIS_USERNAME_FILE: `/nowhere/${SECRET}`,
      REDIS_SENTINELS: `a b c ${SECRET}`,
      REDIS_SENTINEL_PASSWORD: SECRET,
      REDIS_CLUSTER_NODES: `:::${SECRET}`,
      RESCIND_CHECK_TIMEOUT_MS: '5',
    }
    const problems = problemsOf(() => RedisConnection.fromEnv(env))
    const names = Object.keys(env).filter((name) => !['REDIS_HOST', 'REDIS_TLS_CERT'].includes(name))
    for (const name of names) expect(problems.join('\n'), name).toContain(name.replace(/_FILE$/, ''))
    expect(problems.join('\n')).not.toContain('s3cret')
  })

  it.each<[string, Record<string, string>, RegExp]>([
    ['a URL beside parts', { REDIS_URL: 'redis://a', REDIS_HOST: 'b' }, /REDIS_URL and REDIS_HOST/],
    ['a URL that is none', { REDIS_URL: 'localhost' }, /REDIS_URL/],
    ['a URL with a query', { REDIS_URL: 'redis://a?x=1' }, /REDIS_URL must not have a query/],
    ['a URL with a bad database', { REDIS_URL: 'redis://a/x' }, /REDIS_URL must end in a database/],
    ['two passwords', { REDIS_URL: 'redis://:p@a', REDIS_PASSWORD: 'q' }, /both give the password/],
    ['two databases', { REDIS_URL: 'redis://a/1', REDIS_DB: '2' }, /both give the database/],
    ['Sentinels without a name', { REDIS_SENTINELS: 'a:1' }, /REDIS_SENTINEL_NAME is missing/],
    ['a Sentinel name without Sentinels', { REDIS_SENTINEL_NAME: 'x' }, /REDIS_SENTINEL_NAME is set without/],
    [
      'Sentinels and a cluster',
      { REDIS_SENTINELS: 'a', REDIS_SENTINEL_NAME: 'n', REDIS_CLUSTER_NODES: 'b' },
      /keep one/,
    ],
    ['a cluster with a database', { REDIS_CLUSTER_NODES: 'a', REDIS_DB: '1' }, /REDIS_DB must be 0/],
    ['a port out of range', { REDIS_PORT: '65536' }, /REDIS_PORT must be a whole number from 1 to 65535/],
    ['a port of a node out of range', { REDIS_CLUSTER_NODES: 'a:0' }, /REDIS_CLUSTER_NODES has an address/],
    ['TLS off with certificates', { REDIS_TLS: 'off', REDIS_TLS_SERVERNAME: 'x' }, /REDIS_TLS is off/],
    ['a certificate that is none', { REDIS_TLS_CA: 'x' }, /not in PEM/],
    ['TLS on a socket', { REDIS_SOCKET: '/x', REDIS_TLS: 'true' }, /unix socket/],
    ['a socket beside a host', { REDIS_SOCKET: '/x', REDIS_HOST: 'a' }, /REDIS_SOCKET and REDIS_HOST/],
  ])('%s', (_, env, expected) => {
    expect(problemsOf(() => RedisConnection.fromEnv(env)).join('\n')).toMatch(expected)
  })

  it('names options where it was given as options', () => {
    const wrong = { url: 'redis://a', host: 'b', port: 1.5, checkTimeoutMs: 1, passwort: SECRET }
    const problems = problemsOf(() => new RedisConnection(wrong))
    expect(problems).toHaveLength(4)
    expect(problems.join('\n')).not.toMatch(/REDIS_|s3cret/)
  })
})

describe('openStore', () => {
  it('is the embedded store where nothing names a Redis, and Redis otherwise', async () => {
    const stores = [openStore({}), openStore({ REDIS_HOST: 'x' })]
    expect(stores.map(({ kind }) => kind)).toEqual(['memory', 'redis'])
    await Promise.all(stores.map((store) => store.close()))
    expect(problemsOf(() => openStore({ REDIS_HOST: 'x', RESCIND_NAMESPACE: 'a b' })).join()).toContain(
      'RESCIND_NAMESPACE',
    )
  })
})

it('does nothing afterwards of what its caller was told had failed', async () => {
  const server = await RefusingRedis.start('ERR no')
  server.isLoading = true
  const connection = new RedisConnection({ url: server.url })
  try {
    const late = connection.run('writes', 300, (client) => client.set('late', '1', 'EX', 60))
    await expect(late).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    server.isLoading = false
    // The connection has come to stand, and whatever waited for it has had its turn.
    await until(() => connection.run('writes', 1000, (client) => client.get('now')).catch(isReply), {
      what: 'an answer',
    })
    expect(server.commands).toContain('GET')
    expect(server.commands).not.toContain('SET')
  } finally {
    await connection.close()
    await server.stop()
  }
})

it('does nothing afterwards either where the server was first asked whether it evicts', async () => {
  await using server = await RedisServer.start()
  const connection = new RedisConnection({ url: server.url })
  try {
    await connection.run('writes', 1000, (client) => client.get('now'))
    connection.refuseEviction()
    server.freeze()
    const late = connection.run('writes', 200, (client) => client.set('late', '1', 'EX', 60))
    await expect(late).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    server.thaw()
    expect(await connection.run('writes', 1000, (client) => client.get('late'))).toBeNull()
  } finally {
    server.thaw()
    await connection.close()
  }
})

function isReply(failure: unknown): boolean {
  return failure instanceof RescindError && failure.message === 'Redis cannot be reached'
}
