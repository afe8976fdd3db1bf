/** What the ACL rules allow, and that nothing a reader can send changes what is revoked. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AclOptions, aclRules } from '../../src/redis/acl.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { namedBy } from '../support/net-namespaces.js'
import { patientConnection } from '../support/patient.js'
import { redisServerBinary } from '../support/redis-binary.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { attacksOn } from './acl-attacks.js'

// Rules to read only came with Redis 7.
const { version } = await redisServerBinary()
const isSeven = !/^6/.test(version) || 'Redis 6 tells no rules'
const hasChannels = !/^6\.0/.test(version) || 'Redis 6.0 knows no rights to channels, which the rules give'
const PASSWORD = 's3cret-of-a-test'
const RECORD = 'rescind:{main.0}:r:'
const META = 'rescind:{main.0}:meta'
const SHAPES = 'rescind:{main.0}:shapes'
const LOG = 'rescind:{main.0}:log:1'
const NODES = 'rescind:{main.0}:nodes'

/** Everything that a reader may run at all; the key rules narrow HSET and HDEL to the list of nodes. */
const READER_COMMANDS = [
  ...['acl|whoami', 'asking', 'client|setname', 'cluster|info', 'cluster|slots'],
  ...['exists', 'get', 'getrange', 'hdel', 'hget', 'hgetall', 'hset', 'info', 'mget', 'ping', 'role'],
  ...['select', 'strlen', 'subscribe', 'time'],
  // Nobody can be kept from these: they are there before any log-in.
  ...['auth', 'hello', 'quit', 'reset'],
].sort()

let server: RedisServer
let admin: Redis
let recordKey: string
const alice = { sub: 'alice', jti: '1', iss: 'https://as.example', iat: 1 }

async function grant(to: RedisServer, options: AclOptions = {}): Promise<void> {
  for (const [name, rules] of Object.entries(aclRules(options)))
    await to.command('ACL', 'SETUSER', name, 'on', `>${PASSWORD}`, ...rules)
}

function managerAs(
  username: string,
  options: { replica?: boolean; partitions?: number } = {},
  at = server,
): TokenManager {
  const connection = patientConnection({ url: at.url, username, password: PASSWORD })
  const store = new RedisStore(connection, { partitions: options.partitions })
  return new TokenManager({ store, replica: options.replica ?? true, nodeName: `node-${username}` })
}

function clientAs(username: string): Redis {
  const client = new Redis({
    path: server.socketPath,
    username,
    password: PASSWORD,
    enableReadyCheck: false,
    disableClientInfo: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    commandTimeout: 3000,
  })
  client.on('error', () => undefined)
  return client
}

/** All that is revoked, as bytes, with its expiry; the list of nodes is not part of it. */
async function everything(): Promise<Record<string, unknown>> {
  const keys = (await admin.keys('*')).filter((key) => key !== NODES).sort()
  const values = keys.map(async (key) => [key, await admin.dumpBuffer(key), await admin.pexpiretime(key)])
  return Object.fromEntries((await Promise.all(values)).map(([key, ...rest]) => [key, rest]))
}

/** Every command of the server, with its subcommands: `config|set`. */
async function allCommands(): Promise<string[]> {
  const told = (await admin.call('COMMAND')) as [string, ...unknown[]][]
  return told.flatMap((command) => {
    const subcommands = command[9] as [string][]
    return subcommands.length > 0 ? subcommands.map(([name]) => name) : [command[0]]
  })
}

async function begin(): Promise<void> {
  // Without these the server itself refuses some commands, and the rules would not be asked.
  const open = { 'enable-debug-command': 'yes', 'enable-module-command': 'yes' }
  server = await RedisServer.start({ config: { ...open, 'repl-diskless-sync-delay': '0' } })
  admin = new Redis({ path: server.socketPath })
  await grant(server)
  const writer = managerAs('writer', { replica: false })
  await writer.revoke({ sub: 'alice' })
  await writer.revoke({ sid: 's1' })
  await writer.close()
  recordKey = (await admin.keys(`${RECORD}*`))[0] as string
}

async function end(): Promise<void> {
  admin.disconnect()
  await server.stop()
}

describe.skipIf(isSeven !== true)(namedBy('rules for Redis 7', isSeven), () => {
  beforeAll(begin)
  afterAll(end)

  describe('a reader', () => {
    it('may run these commands and no other of the server, and changes nothing with any of them', async () => {
      const names = await allCommands()
      expect(names.length).toBeGreaterThan(300)
      const before = await everything()
      expect(Object.keys(before)).toEqual(expect.arrayContaining([recordKey, META, SHAPES, LOG]))
      const allowed: string[] = []
      for (const name of names) {
        const client = clientAs('reader')
        const command = name.split('|')
        const sent = [recordKey, META, SHAPES, LOG].flatMap((key) =>
          argumentsFor(key).map((args) => client.call(...([...command, ...args] as [string])).catch(String)),
        )
        const answers = await Promise.all(sent)
        client.disconnect()
        if (!answers.some((answer) => /NOPERM .*to run the/.test(String(answer)))) allowed.push(name)
      }
      expect(allowed.sort()).toEqual(READER_COMMANDS)
      expect(await everything()).toEqual(before)
    })

    it('changes nothing by these attacks', async () => {
      const before = await everything()
      const client = clientAs('reader')
      const dump = await admin.dumpBuffer(recordKey)
      const keys = { record: recordKey, meta: META, shapes: SHAPES, log: LOG, nodes: NODES }
      // The server says of itself whether this user may, and it must say so for each.
      for (const [name, ...args] of attacksOn(keys, dump)) {
        const answer = await client.call(name as string, ...args).catch((error: Error) => error.message)
        expect(answer, String([name, ...args.map(String)].slice(0, 3))).toMatch(/^NOPERM/)
      }
      client.disconnect()
      expect(await everything()).toEqual(before)
      expect(await admin.config('GET', 'maxmemory')).toEqual(['maxmemory', '0'])
    })

    it('follows, checks, is told by the bell, announces itself, and cannot revoke or restore', async () => {
      await admin.acl('LOG', 'RESET')
      const manager = managerAs('reader')
      const writer = managerAs('writer', { replica: false })
      await manager.ready()
      expect(manager.checkNow(alice)).toMatchObject({ status: 'revoked' })
      expect(await manager.check(alice, { consistency: 'strict' })).toMatchObject({ status: 'revoked' })
      expect(await manager.check({ ...alice, sub: 'bob' }, { consistency: 'strict' })).toEqual({
        status: 'clear',
      })
      // The writer waits for those in the list of nodes, where a reader may write its line.
      await until(async () => (await writer.nodes()).length === 1, { what: 'the line of the reader' })
      const receipt = await writer.revoke({ sub: 'carol' }, { ack: 'everywhere' })
      expect(receipt.nodes).toEqual(['node-reader'])
      expect(manager.checkNow({ ...alice, sub: 'carol' })).toMatchObject({ status: 'revoked' })
      expect((await manager.list()).revocations.length).toBe(3)
      expect(await admin.acl('LOG')).toEqual([])

      const refused = { code: 'ERR_STORE_REFUSED', message: expect.stringContaining('NOPERM') }
      const before = await everything()
      await expect(manager.revoke({ sub: 'dave' })).rejects.toMatchObject(refused)
      await expect(manager.restore({ sub: 'alice' })).rejects.toMatchObject(refused)
      expect(await everything()).toEqual(before)
      await manager.close()
      expect(await admin.hlen(NODES)).toBe(0)
      await writer.close()
    })
  })

  describe('a writer', () => {
    it('revokes and restores, with several partitions and with replicas, and is refused nothing', async () => {
      const replica = await RedisServer.start({ config: { replicaof: `127.0.0.1 ${server.port}` } })
      await grant(server, { partitions: 2 })
      try {
        await until(async () => (await admin.set('x', 'x', 'EX', 60), await admin.wait(1, 100)) === 1, {
          what: 'the replica to follow',
        })
        await admin.flushall()
        await admin.script('FLUSH')
        await admin.acl('LOG', 'RESET')
        const manager = managerAs('writer', { partitions: 2 })
        await manager.ready()
        for (const sub of ['alice', 'bob', 'carol', 'dave'])
          await manager.revoke({ sub }, { ack: 'replicated', reason: 'test' })
        await manager.revoke({ sub: 'erin' }, { ack: 'everywhere' })
        expect(await manager.check(alice, { consistency: 'strict' })).toMatchObject({ status: 'revoked' })
        expect(await manager.restore({ sub: 'alice' })).toBe(true)
        expect(await manager.check(alice, { consistency: 'strict' })).toEqual({ status: 'clear' })
        expect(await admin.exists('rescind:{main.1}:meta')).toBe(1)
        await manager.close()
        expect(await admin.acl('LOG')).toEqual([])
      } finally {
        await replica.stop()
        await grant(server)
      }
    })

    it('cannot flush, delete, configure, or reach what is not of this namespace', async () => {
      await admin.set('sessions:1', 'x')
      const client = clientAs('writer')
      for (const [name, ...args] of [
        ['FLUSHALL'],
        ['FLUSHDB'],
        ['SWAPDB', '0', '1'],
        ['CONFIG', 'SET', 'maxmemory', '1mb'],
        ['CONFIG', 'GET', 'requirepass'],
        ['ACL', 'SETUSER', 'writer', '+@all'],
        ['DEL', META],
        ['UNLINK', META],
        ['RENAME', META, SHAPES],
        ['SCRIPT', 'FLUSH'],
        ['FUNCTION', 'FLUSH'],
        ['DEBUG', 'SLEEP', '0'],
        ['SHUTDOWN'],
        ['REPLICAOF', 'NO', 'ONE'],
        ['SET', 'sessions:1', 'y'],
        ['SET', 'rescind:{main.other.0}:meta', 'y'],
        ['SET', 'rescind:{other.0}:meta', 'y'],
        ['PUBLISH', 'another', 'y'],
      ] as [string, ...string[]][]) {
        const answer = await client.call(name, ...args).catch((error: Error) => error.message)
        expect(answer, name).toMatch(/^NOPERM/)
      }
      // A script has no more rights than who runs it.
      for (const script of [
        `return redis.call('FLUSHALL')`,
        `return redis.call('DEL', '${META}')`,
        `return redis.call('SET', 'sessions:1', 'y')`,
      ]) {
        const answer = await client.call('EVAL', script, '0').catch((error: Error) => error.message)
        expect(answer).toMatch(/can't run this command|NOPERM|No permissions|can't access/i)
      }
      expect(await admin.get('sessions:1')).toBe('x')
      client.disconnect()
    })
  })

  describe('the service', () => {
    it('does what a writer does, and keeps records', async () => {
      await admin.flushall()
      const client = clientAs('service')
      const records = 'rescind:{main}:client'
      for (const [name, ...args] of [
        ['EVAL', `return redis.call('HSET', KEYS[1], 'a', 'x')`, '1', records],
        ['HGET', records, 'a'],
        ['HGETALL', records],
        ['HLEN', records],
        ['HDEL', records, 'a'],
        ['SET', 'rescind:{main}:once:a', 'x', 'PX', '60000', 'NX'],
        ['GET', 'rescind:{main}:once:a'],
        ['DEL', 'rescind:{main}:once:a'],
        ['XADD', 'rescind:{main}:audit', 'MAXLEN', '~', '100', '*', 'text', 'x'],
        ['XREVRANGE', 'rescind:{main}:audit', '+', '-', 'COUNT', '1'],
        ['XRANGE', 'rescind:{main}:audit', '-', '+', 'COUNT', '1'],
        ['XLEN', 'rescind:{main}:audit'],
        ['ZADD', 'rescind:{main}:about', '0', 'x'],
        ['ZRANGE', 'rescind:{main}:about', '-', '+', 'BYLEX'],
        ['ZREM', 'rescind:{main}:about', 'x'],
      ] as [string, ...string[]][])
        await expect(client.call(name, ...args), name).resolves.toBeDefined()
      client.disconnect()
      const manager = managerAs('service', { replica: false })
      await manager.revoke({ sub: 'erin' })
      expect(await manager.restore({ sub: 'erin' })).toBe(true)
      await manager.close()
    })

    it('cannot delete what is revoked, nor reach records of another namespace', async () => {
      const client = clientAs('service')
      for (const [name, ...args] of [
        ['DEL', META],
        ['HLEN', META],
        ['XADD', LOG, '*', 'a', 'x'],
        ['DEL', 'rescind:{main}:audit', META],
        ['EXPIRE', 'rescind:{main}:audit', '1'],
        ['XTRIM', 'rescind:{main}:audit', 'MAXLEN', '0'],
        ['XADD', 'rescind:{main.other}:audit', '*', 'a', 'x'],
        ['HSET', 'rescind:{other}:client', 'a', 'x'],
        ['FLUSHALL'],
        ['CONFIG', 'GET', 'requirepass'],
      ] as [string, ...string[]][]) {
        const answer = await client.call(name, ...args).catch((error: Error) => error.message)
        expect(answer, name).toMatch(/^NOPERM/)
      }
      for (const user of ['reader', 'writer']) {
        const other = clientAs(user)
        await expect(other.call('HGETALL', 'rescind:{main}:client')).rejects.toThrow(/^NOPERM/)
        other.disconnect()
      }
      client.disconnect()
    })
  })

  it('an operator reads, and writes nothing', async () => {
    const client = clientAs('operator')
    const before = await everything()
    expect(await client.call('CONFIG', 'GET', 'save')).toEqual(['save', ''])
    for (const [name, ...args] of [
      ['CONFIG', 'SET', 'save', '1 1'],
      ['ACL', 'SETUSER', 'operator', '+@all'],
      ['HSET', NODES, 'x', 'x'],
      ['SET', SHAPES, 'x'],
      ['EVAL', 'return 1', '0'],
    ] as [string, ...string[]][]) {
      await expect(client.call(name, ...args)).rejects.toThrow(/^NOPERM/)
    }
    client.disconnect()
    expect(await everything()).toEqual(before)
  })

  it('reader and writer work on a cluster, and are refused nothing', async () => {
    const cluster = await RedisCluster.start()
    const managers: TokenManager[] = []
    try {
      for (const node of cluster.servers) await grant(node, { partitions: 4 })
      const [reader, writer] = ['reader', 'writer'].map((username) => {
        const connection = patientConnection({ cluster: cluster.nodes, username, password: PASSWORD })
        const store = new RedisStore(connection, { partitions: 4 })
        const manager = new TokenManager({ store, nodeName: username })
        managers.push(manager)
        return manager
      }) as [TokenManager, TokenManager]
      await Promise.all([reader.ready(), writer.ready()])
      await until(async () => (await writer.nodes()).length === 2, { what: 'both nodes' })
      const { nodes } = await writer.revoke({ sub: 'alice' }, { ack: 'everywhere' })
      expect([...(nodes ?? [])].sort()).toEqual(['reader', 'writer'])
      expect(reader.checkNow(alice)).toMatchObject({ status: 'revoked' })
      await expect(reader.restore({ sub: 'alice' })).rejects.toMatchObject({ code: 'ERR_STORE_REFUSED' })
      for (const node of cluster.servers) {
        const refusals = await node.command<string[][]>('ACL', 'LOG')
        // But for that restore.
        expect(refusals.map((entry) => entry[entry.indexOf('object') + 1])).toSatisfy((objects: string[]) =>
          // And for what the client says of itself to a newer server, whatever it is told not to.
          objects.every((object) => ['evalsha', 'eval', 'client|setinfo'].includes(object)),
        )
      }
    } finally {
      await Promise.all(managers.map((manager) => manager.close()))
      await cluster.stop()
    }
  })
})

describe('rules for Redis 6.2', () => {
  it.skipIf(hasChannels !== true)(
    namedBy('leave a reader silent: it follows and checks, and writes nothing at all', hasChannels),
    async () => {
      const old = await RedisServer.start()
      try {
        await grant(old, { version: 6.2 })
        const writer = managerAs('writer', { replica: false }, old)
        await writer.revoke({ sub: 'alice' })
        await writer.close()
        const reader = managerAs('reader', {}, old)
        const events: string[] = []
        const ended = (async () => {
          for await (const { type } of reader.replica!.events()) events.push(type)
        })()
        await reader.ready()
        expect(reader.checkNow(alice)).toMatchObject({ status: 'revoked' })
        await until(() => events.includes('silent'), { what: 'the node to be silent' })
        await reader.close()
        await ended
        expect(await old.command('EXISTS', NODES)).toBe(0)
        expect(aclRules({ version: 6.2 }).reader.join(' ')).not.toMatch(/%R|clearselectors|\+h(set|del)/)
      } finally {
        await old.stop()
      }
    },
  )

  it('stand in docs/redis-acl.md as they are made', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../../docs/redis-acl.md'), 'utf8')
    const { reader, writer, service, operator } = aclRules()
    for (const [name, rules] of Object.entries({
      api: reader,
      auth: writer,
      rescind: service,
      ops: operator,
    }))
      expect(page).toContain(`ACL SETUSER ${name} on >… ${rules.join(' ')}\n`)
  })

  it('are refused with options that no store takes', () => {
    expect(() => aclRules({ namespace: 'a b', partitions: 3 })).toThrow(/namespace[^]*partitions/)
  })
})

function argumentsFor(key: string): string[][] {
  const other = key === LOG ? META : LOG
  return [
    [],
    [key],
    [key, '1'],
    [key, other],
    ['1', key],
    [key, 'x', 'x'],
    [key, '1', '1', '1'],
    ['return 1', '1', key],
    [key, other, 'LEFT', 'RIGHT', '1'],
    [key, other, '1', '1', '1', '1', '1'],
    [other, key, 'LEFT', 'RIGHT', '1', 'x', 'x', 'x', 'x', 'x'],
  ]
}
