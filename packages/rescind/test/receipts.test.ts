/** `ack: 'everywhere'` and the list of nodes, with nodes that live, sleep, die and are slow. */
import { fork } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { RescindError } from '../src/errors.js'
import { RedisStore } from '../src/redis/store.js'
import { MemoryStore } from '../src/stores/memory.js'
import { NODE_LIFE_MS, type Store } from '../src/stores/store.js'
import { MACHINE, type Surroundings } from '../src/surroundings.js'
import { TokenManager } from '../src/token-manager.js'
import { patientConnection } from './support/patient.js'
import { everyChannel } from './support/redis-binary.js'
import { RedisServer } from './support/redis-server.js'
import { until } from './support/until.js'

const claims = { sub: 'alice', iat: 1 }
/** Enough for every node but the one that never tells. */
const STRAGGLER_MS = 1500

async function withNodes(
  names: readonly string[],
  test: (nodes: TokenManager[], server: RedisServer) => Promise<void>,
  options: { doorbell?: boolean } = {},
): Promise<void> {
  const server = await RedisServer.start()
  const nodes = names.map((nodeName) => {
    const store = new RedisStore(patientConnection({ url: server.url }), options)
    return new TokenManager({ store, nodeName })
  })
  try {
    await Promise.all(nodes.map((node) => node.ready()))
    await until(async () => (await nodes[0]!.nodes()).length === names.length, { what: 'all nodes' })
    await test(nodes, server)
  } finally {
    await Promise.all(nodes.map((node) => node.close()))
    await server.stop()
  }
}

/** Its node is in the list a while after it was asked for. */
class SlowToAnnounce extends MemoryStore {
  override async announce(status: Parameters<Store['announce']>[0]): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 50))
    return super.announce(status)
  }
}

it('a node that is ready is one of those that receipts wait for, also where it is slow to say so', async () => {
  const manager = new TokenManager({ store: new SlowToAnnounce(), nodeName: 'a' })
  await manager.ready()
  expect((await manager.nodes()).map(({ name }) => name)).toEqual(['a'])
  await manager.close()
})

it('a node that may not announce itself is ready all the same', async () => {
  const store = new MemoryStore()
  store.announce = () => Promise.reject(new RescindError('ERR_STORE_REFUSED', 'no right'))
  const manager = new TokenManager({ store })
  await manager.ready()
  expect(manager.checkNow(claims)?.status).toBe('clear')
  await manager.close()
})

describe('ack: everywhere', () => {
  it.each([true, false])(
    'resolves when every live node refuses the token (doorbell: %s)',
    async (doorbell) => {
      await withNodes(
        ['a', 'b', 'c'],
        async ([a, b, c]) => {
          const receipt = await a!.revoke({ sub: 'alice' }, { ack: 'everywhere' })
          expect(receipt).toMatchObject({
            ack: 'everywhere',
            nodes: ['a', 'b', 'c'],
            target: { sub: 'alice' },
          })
          for (const node of [a, b, c]) expect(node!.checkNow(claims)?.status).toBe('revoked')
          expect(receipt.confirmations?.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
          expect((await a!.revoke({ sub: 'bob' })).ack).toBe('accepted')
          // What changes nothing has a receipt too.
          expect(await b!.revoke({ sub: 'alice' }, { ack: 'everywhere' })).toMatchObject({
            nodes: ['a', 'b', 'c'],
          })
        },
        { doorbell },
      )
    },
  )

  it('waits for a node too that need not be fresh for a minute', async () => {
    const store = new MemoryStore()
    // A clock that goes on while the node rests, and only then.
    let clockMs = 0
    const surroundings: Surroundings = {
      ...MACHINE,
      monotonic: () => clockMs,
      sleep: async (ms, { signal, isIdle = false } = {}) => {
        if (!isIdle) return MACHINE.sleep(ms, { signal })
        await MACHINE.turn(signal)
        clockMs += ms
      },
    }
    const announcedAt: number[] = []
    const announce = store.announce.bind(store)
    store.announce = async (node) => {
      announcedAt.push(clockMs)
      await announce(node)
    }
    const options = { nodeName: 'patient', stalenessMaxMs: 60_000, surroundings }
    const patient = new TokenManager({ store, ...options })
    await patient.ready()
    await until(() => announcedAt.length > 5, { what: 'the node to tell of itself again and again' })
    // By then the line of a node that polls four times within its bound would have lapsed.
    for (let i = 1; i < announcedAt.length; i++)
      expect(announcedAt[i]! - announcedAt[i - 1]!).toBeLessThan(NODE_LIFE_MS)
    await patient.close()
  })

  it('names the stragglers, and the revocation stands', async () => {
    await withNodes(['a', 'slow'], async ([a, slow], server) => {
      // Its way to the log is lost; it goes on announcing that it lives, and where it is.
      const other = new RedisStore(patientConnection({ url: server.url }))
      const [line] = (await a!.nodes()).filter(({ name }) => name === 'slow')
      await slow!.replica!.close()
      await other.announce(line!)
      const keepsAnnouncing = setInterval(() => void other.announce(line!).catch(() => undefined), 200)
      try {
        await expect(
          a!.revoke({ sub: 'alice' }, { ack: 'everywhere', timeoutMs: STRAGGLER_MS }),
        ).rejects.toMatchObject({
          code: 'ERR_ACK_NOT_REACHED',
          problems: ['slow'],
          message: expect.stringContaining(
            `1 of 2 live nodes have not confirmed it within ${STRAGGLER_MS} ms: slow`,
          ) as string,
        })
        expect(a!.checkNow(claims)?.status).toBe('revoked')
        expect(await a!.isRevoked(claims, { consistency: 'strict' })).toBe(true)
      } finally {
        clearInterval(keepsAnnouncing)
        await other.retire(line!.id)
        await other.close()
      }
    })
  })

  it('tells of each node when it had the revocation, and not when the last one did', async () => {
    await withNodes(['quick', 'slow'], async ([quick, slow], server) => {
      const line = (await quick!.nodes()).find(({ name }) => name === 'slow')!
      await slow!.replica!.close()
      const other = new RedisStore(patientConnection({ url: server.url }))
      await other.announce(line)
      const startedAt = performance.now()
      const receipt = quick!.revoke({ sub: 'alice' }, { ack: 'everywhere' })
      const hasTold = async (node: string) => {
        const position = await other.position()
        return (await other.nodes()).some((told) => told.name === node && told.position === position)
      }
      await until(async () => quick!.replica!.size === 1 && (await hasTold('quick')), { what: 'the first' })
      await other.announce({ ...line, position: await other.position() })
      const [first, second] = (await receipt).confirmations!
      expect([first!.name, second!.name]).toEqual(['quick', 'slow'])
      expect(first!.afterMs).toBeLessThan(second!.afterMs)
      expect(second!.afterMs).toBeLessThanOrEqual(performance.now() - startedAt)
      await other.retire(line.id)
      await other.close()
    })
  })

  it('waits for no node that has ended, and not for long for one that died', async () => {
    await withNodes(['a', 'ends', 'dies'], async ([a, ends, dies], server) => {
      await ends!.close()
      expect((await a!.nodes()).map(({ name }) => name)).toEqual(['a', 'dies'])
      // Dead without a word: its sockets go, and nothing announces it any more.
      const line = (await a!.nodes()).find(({ name }) => name === 'dies')!
      await dies!.replica!.close()
      const ghost = new RedisStore(patientConnection({ url: server.url }))
      await ghost.announce(line)
      await ghost.close()
      expect((await a!.nodes()).map(({ name }) => name)).toEqual(['a', 'dies'])
      const receipt = await a!.revoke({ sub: 'alice' }, { ack: 'everywhere', timeoutMs: 10_000 })
      expect(receipt.nodes).toEqual(['a'])
    })
  })

  it('says what is known when the store goes away meanwhile', async () => {
    await withNodes(['a', 'b'], async ([a], server) => {
      const store = a!.store as RedisStore
      const put = store.put.bind(store)
      store.put = async (...args) => {
        const stored = await put(...args)
        await server.kill()
        return stored
      }
      await expect(a!.revoke({ sub: 'alice' }, { ack: 'everywhere', timeoutMs: 300 })).rejects.toMatchObject({
        code: 'ERR_ACK_NOT_REACHED',
        message: expect.stringContaining('the store has the revocation') as string,
      })
    })
  })

  it('works on the embedded store, for all managers of a process', async () => {
    const store: Store = new MemoryStore()
    const [a, b] = ['a', 'b'].map((nodeName) => new TokenManager({ store, nodeName }))
    await Promise.all([a!.ready(), b!.ready()])
    await until(async () => (await a!.nodes()).length === 2, { what: 'both nodes' })
    expect((await a!.revoke({ sub: 'alice' }, { ack: 'everywhere' })).nodes).toEqual(['a', 'b'])
    expect(b!.checkNow(claims)?.status).toBe('revoked')
    await b!.close()
    await a!.close()
  })

  it('refuses a level or a time that is none', async () => {
    const manager = new TokenManager({ store: new MemoryStore() })
    await expect(manager.revoke({ sub: 'a' }, { ack: 'all' as never })).rejects.toMatchObject({
      code: 'ERR_ACK_UNSUPPORTED',
    })
    await expect(manager.revoke({ sub: 'a' }, { ack: 'everywhere', timeoutMs: 0 })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
    expect(await manager.isRevoked({ sub: 'a', iat: 1 })).toBe(false)
    await manager.close()
  })
})

describe('a node', () => {
  it('tells its name, how far it has read and how many statements it holds', async () => {
    await withNodes(['a'], async ([a]) => {
      await a!.revoke({ sub: 'alice' }, { ack: 'everywhere' })
      const [line] = await a!.nodes()
      expect(line).toMatchObject({ name: 'a', entries: 1, position: await a!.store.position() })
      expect(line!.stalenessMs).toBeGreaterThanOrEqual(0)
      expect(line!.ageMs).toBeLessThan(3000)
    })
  })

  it('that may not write to the list follows all the same, and says that nobody can wait for it', async () => {
    const server = await RedisServer.start()
    await server.command(
      'ACL',
      'SETUSER',
      'reader',
      'on',
      '>secret',
      '~*',
      ...(await everyChannel()),
      '+@read',
      '+@pubsub',
      '+@connection',
    )
    const url = server.url.replace('redis://', 'redis://reader:secret@')
    const manager = new TokenManager({ store: new RedisStore(patientConnection({ url })) })
    const writer = new TokenManager({ store: new RedisStore(patientConnection({ url: server.url })) })
    try {
      const silent = (async () => {
        for await (const event of manager.replica!.events()) if (event.type === 'silent') return event
        return undefined
      })()
      await manager.ready()
      expect(await silent).toMatchObject({ cause: { code: 'ERR_STORE_REFUSED' } })
      await writer.revoke({ sub: 'alice' })
      await until(() => manager.checkNow(claims)?.status === 'revoked', { what: 'the revocation' })
    } finally {
      await manager.close()
      await writer.close()
      await server.stop()
    }
  })
})

it('nodes in processes of their own vanish when they are killed', async () => {
  const server = await RedisServer.start()
  const here = new TokenManager({
    store: new RedisStore(patientConnection({ url: server.url })),
    nodeName: 'here',
  })
  const child = fork(new URL('./support/node-process.ts', import.meta.url), [server.url, 'there'], {
    execArgv: ['--import', 'tsx'],
  })
  try {
    await here.ready()
    await until(async () => (await here.nodes()).length === 2, { what: 'both nodes', timeoutMs: 20_000 })
    expect((await here.revoke({ sub: 'alice' }, { ack: 'everywhere' })).nodes).toEqual(['here', 'there'])
    child.kill('SIGKILL')
    await until(async () => (await here.nodes()).length === 1, {
      what: 'the dead to vanish',
      timeoutMs: 10_000,
    })
  } finally {
    child.kill('SIGKILL')
    await here.close()
    await server.stop()
  }
})
