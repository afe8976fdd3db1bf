/**
 * What Redis loses, the nodes give back: emptied, restarted bare, rolled back, a segment or the records deleted.
 * Beside them a naive client with keys of its own, which must lose them, or the harm proves nothing.
 */
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Target } from '../../src/core/target.js'
import { RedisStore } from '../../src/redis/store.js'
import type { ReadyOptions } from '../../src/readiness.js'
import type { ReplicaEvent } from '../../src/replica/event.js'
import { MACHINE, type Surroundings } from '../../src/surroundings.js'
import { TokenManager } from '../../src/token-manager.js'
import { patientConnection } from '../support/patient.js'
import { everyChannel } from '../support/redis-binary.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const ISS = 'https://login.example.com'
const token = (n: number) => ({ iss: ISS, jti: `token-${n}`, sub: `person-${n % 7}`, iat: 1_700_000_000 })

let server: RedisServer
let naive: Redis
let open: TokenManager[] = []
beforeEach(async () => {
  server = await RedisServer.start({ config: { appendonly: 'no', save: '""' } })
  naive = new Redis(server.url, { lazyConnect: false })
  naive.on('error', () => undefined)
})
afterEach(async () => {
  await Promise.all(open.map((manager) => manager.close()))
  open = []
  naive.disconnect()
  await server.stop()
})

interface NodeOptions {
  partitions?: number
  replica?: boolean
  url?: string
  /** Reads the log when it is told to, and does not poll before it is woken. */
  isQuiet?: boolean
  /** Adds to its monotonic clock, in milliseconds. */
  skipped?: { ms: number }
}

/** What quiet nodes wait for before their next poll. */
const wakes = new WeakMap<TokenManager, () => void>()

function node(options: NodeOptions = {}): TokenManager {
  const { partitions = 1, replica, url = server.url, isQuiet = false, skipped } = options
  let isAsleep = isQuiet
  const surroundings: Surroundings = {
    ...MACHINE,
    monotonic: () => performance.now() + (skipped?.ms ?? 0),
    sleep: (ms, sleeping) =>
      isAsleep && sleeping?.isIdle === true ? untilAborted(sleeping.signal!) : MACHINE.sleep(ms, sleeping),
  }
  const connection = patientConnection({ url })
  const manager = new TokenManager({
    store: new RedisStore(connection, { partitions, doorbell: !isQuiet, surroundings }),
    stalenessMaxMs: isQuiet ? 60_000 : 1000,
    replica,
    surroundings,
  })
  wakes.set(manager, () => (isAsleep = false))
  open.push(manager)
  return manager
}

/** From now on a quiet node is as others, and has read the log. */
function wake(manager: TokenManager, options?: ReadyOptions): Promise<void> {
  wakes.get(manager)?.()
  return manager.ready(options)
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    const end = () => reject(new Error('woken'))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

/** What happens to a node's replica, as it comes. */
function eventsOf(manager: TokenManager): ReplicaEvent[] {
  const events: ReplicaEvent[] = []
  void (async () => {
    for await (const event of manager.replica!.events()) events.push(event)
  })()
  return events
}

const HARMS: [string, () => Promise<unknown>][] = [
  ['emptied', () => server.command('FLUSHALL')],
  [
    'killed and started again with nothing',
    async () => {
      await server.kill()
      await server.restart()
    },
  ],
  [
    'rolled back to what it was before the last revocations',
    async () => {
      // Among the revocations a copy was put on the disk.
      await server.kill()
      await server.restart()
    },
  ],
  ['deprived of its log', () => server.command('DEL', 'rescind:{main.0}:log:1')],
  ['deprived of meta', () => server.command('DEL', 'rescind:{main.0}:meta')],
  [
    'deprived of meta and shapes',
    () => server.command('DEL', 'rescind:{main.0}:meta', 'rescind:{main.0}:shapes'),
  ],
]

describe.each(HARMS)('a server that is %s', (name, harm) => {
  it('gets back every revocation and every restore from a node that lives', async () => {
    const first = node()
    const second = node()
    await Promise.all([first.ready(), second.ready()])
    const events = [...[first, second].map(eventsOf)]
    for (let n = 0; n < 40; n++) {
      if (n === 20 && name.startsWith('rolled back')) await server.command('SAVE')
      await first.revoke({ iss: ISS, jti: `token-${n}` }, { reason: 'lost' })
      await naive.set(`naive:${n}`, '1', 'EX', 1800)
    }
    await first.revoke({ sub: 'person-3' })
    await first.revoke({ sub: 'person-5' })
    await first.restore({ sub: 'person-5' })
    await first.revoke({ sub: 'the last' })
    await until(() => second.checkNow({ sub: 'the last', iat: 1_700_000_000 })?.status === 'revoked', {
      what: 'the second node to follow',
    })

    await harm()
    await until(() => events.every((each) => each.some(({ type }) => type === 'reseeded')), {
      what: 'both nodes to give back what was lost',
      timeoutMs: 15_000,
    })

    // A node that comes new knows nothing but what the store has.
    const stranger = node()
    await stranger.ready()
    const isDead = (n: number) => stranger.checkNow(token(n))?.status === 'revoked'
    await until(() => Array.from({ length: 40 }, (_, n) => n).every(isDead), {
      what: 'all revocations to be back',
      timeoutMs: 15_000,
    })
    const strict = node({ replica: false })
    for (let n = 0; n < 40; n++) {
      expect(await strict.check(token(n)), `token ${n}`).toMatchObject({ status: 'revoked' })
    }
    expect(stranger.checkNow({ sub: 'person-3', iat: 1_700_000_000 })?.status).toBe('revoked')
    // Restored is restored, and nobody is refused who was never revoked.
    expect(stranger.checkNow({ ...token(100), sub: 'person-5' })?.status).toBe('clear')
    expect(await strict.check({ ...token(100), sub: 'person-5' })).toEqual({ status: 'clear' })
    expect(await strict.check(token(102))).toEqual({ status: 'clear' })
    if (name.startsWith('deprived')) return
    const left = await naive.exists(...Array.from({ length: 40 }, (_, n) => `naive:${n}`))
    expect(left, 'the naive client must lose some').toBeLessThan(40)
  })
})

it('between the loss and its mending a node that knows of a revocation never says clear, not even when it asks the store', async () => {
  const one = node()
  await one.ready()
  for (let n = 0; n < 50; n++) await one.revoke({ iss: ISS, jti: `token-${n}` })
  let isMended = false
  let asked = 0
  const answers = new Set<string>()
  const asking = (async () => {
    while (!isMended || asked < 200) {
      const result = await one.check(token(asked++ % 50), { consistency: 'strict' })
      answers.add(result.status)
      answers.add(one.checkNow(token(asked % 50))?.status ?? 'unknown')
    }
  })()
  for (let round = 0; round < 3; round++) {
    const events = eventsOf(one)
    await server.command('FLUSHALL')
    await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  }
  isMended = true
  await asking
  expect([...answers].filter((answer) => answer !== 'unknown')).toEqual(['revoked'])
})

it('many nodes give back the same at once, and the log does not grow with their number', async () => {
  const COUNT = 3000
  const NODES = 8
  const nodes = Array.from({ length: NODES }, () => node())
  await Promise.all(nodes.map((each) => each.ready()))
  const writer = nodes[0]!
  const targets: Target[] = Array.from({ length: COUNT }, (_, n) => ({ iss: ISS, jti: `token-${n}` }))
  for (let n = 0; n < COUNT; n += 100)
    await Promise.all(targets.slice(n, n + 100).map((target) => writer.revoke(target)))
  await until(() => nodes.every((each) => each.replica!.size === COUNT), { what: 'all to follow' })
  const events = nodes.map(eventsOf)
  await server.command('FLUSHALL')
  await until(() => events.every((each) => each.some(({ type }) => type === 'reseeded')), {
    what: 'all nodes to be done',
    timeoutMs: 20_000,
  })
  const stranger = node()
  await stranger.ready()
  expect(stranger.replica!.size).toBe(COUNT)
  const bytes = await server.command<number>('STRLEN', 'rescind:{main.0}:log:1')
  // One line each, and the header: what one node gave back, the others found in place.
  expect(bytes).toBe((COUNT + 1) * 32)
  const given = events.flat().reduce((sum, { entries = 0 }) => sum + entries, 0)
  expect(given).toBe(COUNT)
})

it('a node without the right to write says so, and one that has it gives back', async () => {
  const rules = ['on', '>secret', '~*', ...(await everyChannel()), '+@all', '-@scripting']
  await server.command('ACL', 'SETUSER', 'reader', ...rules)
  const { host, port } = server
  const reader = node({ url: `redis://reader:secret@${host}:${port}` })
  const writer = node()
  await Promise.all([reader.ready(), writer.ready()])
  await writer.revoke({ sub: 'person-1' })
  await until(() => reader.checkNow(token(1))?.status === 'revoked', { what: 'the reader to follow' })
  await writer.close()
  const events = eventsOf(reader)
  await server.command('FLUSHALL')
  await until(() => events.some(({ type }) => type === 'reseed-failed'), {
    what: 'the reader to say that it may not',
  })
  expect(events.find(({ type }) => type === 'reseed-failed')?.cause?.code).toBe('ERR_STORE_REFUSED')
  expect(reader.checkNow(token(1))?.status).toBe('revoked')
  const other = node()
  expect(await other.check(token(1), { consistency: 'strict' })).toEqual({ status: 'clear' })
})

it('in partitions, each gets back its own', async () => {
  const one = node({ partitions: 4 })
  await one.ready()
  for (let n = 0; n < 60; n++) await one.revoke({ iss: ISS, jti: `token-${n}` })
  const events = eventsOf(one)
  await server.command('FLUSHALL')
  await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  const strict = node({ partitions: 4, replica: false })
  for (let n = 0; n < 60; n++) expect((await strict.check(token(n))).status, `token ${n}`).toBe('revoked')
})

it('in partitions, one that has lost its meta is noticed, also when others have written since', async () => {
  const [one, two] = [node({ partitions: 4 }), node({ partitions: 4 })]
  await Promise.all([one.ready(), two.ready()])
  for (let n = 0; n < 40; n++) await one.revoke({ iss: ISS, jti: `token-${n}` })
  await until(() => two.replica!.size === 40, { what: 'the second node to follow' })
  const events = [one, two].map(eventsOf)
  for (let number = 0; number < 4; number++) await server.command('DEL', `rescind:{main.${number}}:meta`)
  for (let n = 40; n < 60; n++)
    await node({ partitions: 4, replica: false }).revoke({ iss: ISS, jti: `token-${n}` })
  await until(() => two.replica!.size === 60, { what: 'the second node to know what was written since' })
  await until(() => events.flat().some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  const stranger = node({ partitions: 4 })
  await stranger.ready()
  await until(() => stranger.replica!.size === 60, { what: 'a new node to know all', timeoutMs: 10_000 })
})

it('a new node that meets a log without its beginning asks the store, until a node that knows has given it back', async () => {
  const strict = node({ replica: false })
  for (let n = 0; n < 10; n++) await strict.revoke({ iss: ISS, jti: `token-${n}` })
  const knows = node({ isQuiet: true })
  await knows.ready()
  await server.command('DEL', 'rescind:{main.0}:meta')
  // A log begins anew: nothing in it tells of those before.
  await strict.revoke({ iss: ISS, jti: 'token-10' })
  const stranger = node()
  await expect(stranger.ready({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'ERR_REPLICA_STALE' })
  expect(stranger.checkNow(token(3))).toBeUndefined()
  expect((await stranger.check(token(3))).status).toBe('revoked')
  expect((await stranger.check(token(11))).status).toBe('clear')
  await wake(knows)
  await stranger.ready()
  for (let n = 0; n < 11; n++) expect(stranger.checkNow(token(n))?.status, `token ${n}`).toBe('revoked')
  expect(stranger.checkNow(token(11))?.status).toBe('clear')
})

it('a Redis that gets back nothing but a restore is believed by nodes that come new', async () => {
  const one = node()
  await one.ready()
  await one.revoke({ sub: 'alice' })
  expect(await one.restore({ sub: 'alice' })).toBe(true)
  await one.ready()
  const events = eventsOf(one)
  await server.command('FLUSHALL')
  await until(() => events.some(({ type, entries }) => type === 'reseeded' && entries === 1), {
    what: 'the mending',
    timeoutMs: 5000,
  })
  expect((await node({ replica: false }).check({ sub: 'alice', iat: 1 })).status).toBe('clear')
  const stranger = node()
  await stranger.ready()
  expect(stranger.checkNow({ sub: 'alice', iat: 1 })?.status).toBe('clear')
})

it('what is restored between the loss and its mending is not given back', async () => {
  const one = node({ isQuiet: true })
  await one.ready()
  await one.revoke({ sub: 'person-1' })
  await one.revoke({ sub: 'person-2' })
  await server.command('FLUSHALL')
  expect(await one.restore({ sub: 'person-1' })).toBe(true)
  const events = eventsOf(one)
  await wake(one)
  await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  const strict = node({ replica: false })
  expect(await strict.check(token(1), { consistency: 'strict' })).toEqual({ status: 'clear' })
  expect((await strict.check(token(2), { consistency: 'strict' })).status).toBe('revoked')
  expect((await one.check(token(1))).status).toBe('clear')
  // Nothing is left to restore, and of what nobody knows there is nothing.
  expect(await one.restore({ sub: 'person-1' })).toBe(false)
  expect(await one.restore({ sub: 'person-9' })).toBe(false)
})

it('what was given back without its name is listed by its digest, and is named again by the next revocation', async () => {
  const one = node()
  await one.ready()
  const { id } = await one.revoke({ sub: 'person-1' }, { reason: 'stolen' })
  const events = eventsOf(one)
  await server.command('FLUSHALL')
  await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  const { revocations } = await one.list()
  expect(revocations).toMatchObject([{ id, target: { '#digest': id } }])
  expect(revocations[0]).not.toHaveProperty('reason')
  await one.revoke({ sub: 'person-1' }, { expiresAt: Math.floor(Date.now() / 1000) + 7200 })
  expect((await one.list()).revocations).toMatchObject([{ id, target: { sub: 'person-1' } }])
  expect(await one.restore({ sub: 'person-1' })).toBe(true)
  expect((await one.check(token(1))).status).toBe('clear')
})

/** Remembers what stands. Returns what puts it back: as after a failover to a replica that lacks the last writes. */
async function snapshot(): Promise<() => Promise<void>> {
  const redis = new Redis(server.url)
  const keys = (await redis.keys('rescind:*')).filter((key) => !key.endsWith(':nodes'))
  const before = await Promise.all(keys.map(async (key) => [key, await redis.dumpBuffer(key)] as const))
  return async () => {
    await redis.flushall()
    for (const [key, value] of before) await redis.restore(key, 0, value)
    redis.disconnect()
  }
}

it('a write that was lost before anybody read it is given back, also when another took its place in the log', async () => {
  const one = node({ isQuiet: true })
  await one.revoke({ iss: ISS, jti: 'token-0' })
  await one.ready()
  const rollBack = await snapshot()
  await one.revoke({ iss: ISS, jti: 'token-1' })
  await rollBack()
  const other = node({ replica: false })
  await other.revoke({ iss: ISS, jti: 'token-2' })
  const events = eventsOf(one)
  await wake(one)
  await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  for (let n = 0; n < 3; n++) expect((await other.check(token(n))).status, `token ${n}`).toBe('revoked')
})

it('a restore that was lost before anybody read it is given back by the node that made it', async () => {
  const one = node({ isQuiet: true })
  await one.revoke({ sub: 'person-1' })
  await one.ready()
  const rollBack = await snapshot()
  await one.restore({ sub: 'person-1' })
  expect(one.checkNow(token(1))?.status, 'it knows at once').toBe('clear')
  await rollBack()
  const events = eventsOf(one)
  await wake(one)
  await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  expect(await node({ replica: false }).check(token(1))).toEqual({ status: 'clear' })
})

it.each([
  ['who revoked', 0],
  ['who restored', 1],
])(
  'a restore of what another had just revoked is given back with it, when %s comes first',
  async (_, first) => {
    const nodes = [node({ isQuiet: true }), node({ isQuiet: true })] as const
    const [one, other] = nodes
    await one.revoke({ iss: ISS, jti: 'token-0' })
    for (const each of nodes) await each.ready()
    const rollBack = await snapshot()
    await one.revoke({ sub: 'person-1' })
    expect(await other.restore({ sub: 'person-1' }), 'its node has not read of the revocation').toBe(true)
    await rollBack()
    for (const each of first === 0 ? [one, other] : [other, one]) {
      const events = eventsOf(each)
      await wake(each)
      // A log that tells of the restore lacks nothing for who revoked.
      if (first === 0 || each === other)
        await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
    }
    expect(await node({ replica: false }).check(token(1))).toEqual({ status: 'clear' })
    for (const each of nodes) {
      await until(() => each.checkNow(token(1))?.status === 'clear', { what: 'both nodes to know' })
    }
  },
)

it('shapes that were lost, and written anew by another, are in use again', async () => {
  const one = node({ isQuiet: true })
  await one.revoke({ sub: 'person-1' })
  await one.ready()
  await server.command('DEL', 'rescind:{main.0}:shapes')
  const other = node({ replica: false })
  await other.revoke({ iss: ISS, jti: 'token-2' })
  const stranger = node({ replica: false })
  expect((await stranger.check(token(1))).status, 'the harm').toBe('clear')
  const events = eventsOf(one)
  await wake(one)
  await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  expect((await stranger.check(token(1))).status).toBe('revoked')
})

it('a node that was away too long to know all of a log that lost a part gives back what it knows', async () => {
  const strict = node({ replica: false })
  for (let n = 0; n < 10; n++) await strict.revoke({ iss: ISS, jti: `token-${n}` })
  const skipped = { ms: 0 }
  const one = node({ isQuiet: true, skipped })
  await one.ready()
  await server.command('DEL', 'rescind:{main.0}:meta', 'rescind:{main.0}:log:1')
  await strict.revoke({ iss: ISS, jti: 'token-10' })
  skipped.ms = 600_000
  const events = eventsOf(one)
  await expect(wake(one, { timeoutMs: 500 })).rejects.toMatchObject({ code: 'ERR_REPLICA_STALE' })
  await until(() => events.some(({ type }) => type === 'reseeded'), { what: 'the mending' })
  const stranger = node()
  await expect(stranger.ready({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'ERR_REPLICA_STALE' })
  for (let n = 0; n < 11; n++) expect(stranger.checkNow(token(n))?.status, `token ${n}`).toBe('revoked')
  expect(stranger.checkNow(token(11)), 'nobody knows what else there was').toBeUndefined()
})

it('a restore by another node holds for strict checks at once, before this node has read of it', async () => {
  const one = node({ isQuiet: true })
  await one.ready()
  await one.revoke({ sub: 'person-1' })
  expect((await one.check(token(1), { consistency: 'strict' })).status).toBe('revoked')
  await node().restore({ sub: 'person-1' })
  expect(one.checkNow(token(1))?.status, 'it has not read of it').toBe('revoked')
  expect(await one.check(token(1), { consistency: 'strict' })).toEqual({ status: 'clear' })
})

it('a token that is dead twice stays dead when one reason is restored elsewhere and Redis has lost the other', async () => {
  const one = node({ isQuiet: true })
  await one.ready()
  const now = Math.floor(Date.now() / 1000)
  await one.revoke({ sub: 'person-1' }, { expiresAt: now + 7200 })
  const { id } = await one.revoke({ iss: ISS, jti: 'token-1' }, { expiresAt: now + 600 })
  await node().restore({ sub: 'person-1' })
  await server.command('DEL', `rescind:{main.0}:r:${id}`)
  expect((await one.check(token(1), { consistency: 'strict' })).status).toBe('revoked')
  expect((await one.check(token(8), { consistency: 'strict' })).status).toBe('clear')
})
