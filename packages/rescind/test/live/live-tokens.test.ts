/** `gate.onRevoked`: a token in use by a connection that lives on, from its first moment to its end. */
import { execFile } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Auth, Gate } from '../../src/gate.js'
import { type LiveEnd, LiveTokens } from '../../src/live-tokens.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { Replica } from '../../src/replica/replica.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager, type TokenManagerOptions } from '../../src/token-manager.js'
import { makeIssuer } from '../support/issuer.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const issuer = await makeIssuer('ES256', { clockToleranceSeconds: 0, requiredClaims: ['exp'] })
const run = promisify(execFile)
const nowSeconds = () => Math.floor(Date.now() / 1000)

const watch = vi.spyOn(LiveTokens.prototype, 'watch')
const managers: TokenManager[] = []
beforeEach(() => {
  watch.mockClear()
})
afterEach(async () => {
  vi.useRealTimers()
  for (const manager of managers.splice(0)) await manager.close()
  for (const live of watch.mock.contexts) expect((live as LiveTokens).size).toBe(0)
})

/** How many tokens are watched by all managers of the test. */
const watched = () =>
  [...new Set(watch.mock.contexts as LiveTokens[])].reduce((count, live) => count + live.size, 0)

function makeNode(options: Partial<TokenManagerOptions> = {}) {
  const manager = new TokenManager({ store: new MemoryStore(), verifier: issuer.verifier, ...options })
  managers.push(manager)
  const gate = new Gate({ manager })
  const logIn = async (claims: Record<string, unknown> = {}): Promise<Auth> => {
    const verdict = await gate.check({ authorization: [`Bearer ${await issuer.sign(claims)}`] })
    if (!verdict.allowed) throw new Error(verdict.denial.code)
    return verdict.auth
  }
  return { manager, gate, logIn }
}

/** What it has come to, without waiting for anything but work that is already on its way. */
async function stateOf(end: Promise<LiveEnd>): Promise<LiveEnd | 'pending'> {
  await nextTurn()
  return Promise.race([end, nextTurn('pending' as const)])
}

describe('a token that is revoked', () => {
  it.each([
    ['by itself', (manager: TokenManager, auth: Auth) => manager.revokeToken(auth), 'pending'],
    ['by its person', (manager: TokenManager) => manager.revoke({ sub: 'alice' }), 'pending'],
    [
      'by claims together, in a shape that nobody used before',
      (manager: TokenManager) => manager.revoke({ sub: 'alice', client_id: 'app' }),
      'pending',
    ],
    ['with everything', (manager: TokenManager) => manager.revokeAll(), 'revoked'],
  ] as const)('%s ends its connection at once', async (_, revoke, othersState) => {
    const { manager, gate, logIn } = makeNode()
    await manager.ready()
    const [alice, bob] = [await logIn(), await logIn({ sub: 'bob' })]
    const [one, two, other] = [gate.onRevoked(alice), gate.onRevoked(alice), gate.onRevoked(bob)]
    expect(await stateOf(one)).toBe('pending')
    expect(watched()).toBe(3)
    await revoke(manager, alice)
    expect(await stateOf(one)).toBe('revoked')
    expect(await stateOf(two)).toBe('revoked')
    expect(await stateOf(other)).toBe(othersState)
    expect(watched()).toBe(othersState === 'pending' ? 1 : 0)
  })

  it('on another node ends its connection here, over Redis, whatever the shape and the order', async () => {
    const server = await RedisServer.start()
    const open = () => new RedisStore(new RedisConnection({ url: server.url }))
    const [here, there] = [makeNode({ store: open() }), makeNode({ store: open() })]
    try {
      await Promise.all([here.manager.ready(), there.manager.ready()])
      const cases = [
        [{ sub: 'a' }, (auth: Auth) => there.manager.revokeToken(auth)],
        [{ sub: 'b' }, () => there.manager.revoke({ sub: 'b' })],
        [{ sub: 'c', sid: 's' }, () => there.manager.revoke({ sid: 's' })],
        [{ sub: 'd', jti: undefined }, (auth: Auth) => there.manager.revokeToken(auth)],
      ] as const
      const standing = here.gate.onRevoked(await here.logIn({ sub: 'stays', iat: nowSeconds() + 2 }))
      for (const [claims, revoke] of cases) {
        const auth = await here.logIn(claims)
        const end = here.gate.onRevoked(auth)
        expect(await stateOf(end)).toBe('pending')
        await revoke(auth)
        expect(await end).toBe('revoked')
      }
      expect(await stateOf(standing)).toBe('pending')
      await there.manager.revokeAll({ issuedBefore: nowSeconds() + 2 })
      expect(await standing).toBe('revoked')
    } finally {
      for (const manager of managers.splice(0)) await manager.close()
      await server.stop()
    }
  })

  it('ends its connection also after Redis was killed and came back', async () => {
    const server = await RedisServer.start({ persistence: true })
    const open = () => new RedisStore(new RedisConnection({ url: server.url }))
    const [here, there] = [makeNode({ store: open() }), makeNode({ store: open() })]
    try {
      await Promise.all([here.manager.ready(), there.manager.ready()])
      const end = here.gate.onRevoked(await here.logIn())
      await server.kill()
      await server.restart()
      expect(await stateOf(end)).toBe('pending')
      await until(() => there.manager.revoke({ sub: 'alice' }), { what: 'Redis to be reached again' })
      expect(await end).toBe('revoked')
    } finally {
      for (const manager of managers.splice(0)) await manager.close()
      await server.stop()
    }
  })

  it('before the watch begins ends it at once, and on a node that has yet to read the log, soon', async () => {
    const store = new MemoryStore()
    const first = makeNode({ store })
    const auth = await first.logIn()
    await first.manager.revokeToken(auth)
    expect(await stateOf(first.gate.onRevoked(auth))).toBe('revoked')
    const second = makeNode({ store })
    expect(await second.gate.onRevoked(auth)).toBe('revoked')
  })

  it('and restored before the watch begins does not end it; a second revocation does', async () => {
    const { manager, gate, logIn } = makeNode()
    const auth = await logIn()
    await manager.revoke({ sub: 'alice' })
    await manager.restore({ sub: 'alice' })
    const end = gate.onRevoked(auth)
    expect(await stateOf(end)).toBe('pending')
    await manager.revoke({ sub: 'alice' })
    expect(await end).toBe('revoked')
  })

  it('is matched by any member of an array, and may be given as plain claims', async () => {
    const { manager, gate } = makeNode()
    await manager.ready()
    const claims = { jti: '1', iat: nowSeconds(), groups: ['staff', 'admins'] }
    const [member, stranger] = [
      gate.onRevoked(claims),
      gate.onRevoked({ ...claims, jti: '2', groups: ['staff'] }),
    ]
    await manager.revoke({ groups: 'admins' })
    expect(await stateOf(member)).toBe('revoked')
    expect(await stateOf(stranger)).toBe('pending')
    await manager.revoke({ groups: 'staff' })
    expect(await stateOf(stranger)).toBe('revoked')
  })

  it('is issued after a log-out everywhere: it stays', async () => {
    const { manager, gate, logIn } = makeNode()
    await manager.revoke({ sub: 'alice' }, { issuedBefore: nowSeconds() - 10 })
    const end = gate.onRevoked(await logIn())
    await manager.revoke({ sub: 'alice' }, { issuedBefore: nowSeconds() - 5 })
    expect(await stateOf(end)).toBe('pending')
  })
})

describe('what cannot be told is no leave to stay', () => {
  it('claims that cannot be compared end when their shape comes into use', async () => {
    const { manager, gate } = makeNode()
    const end = gate.onRevoked({
      jti: '1',
      iat: nowSeconds(),
      groups: Array.from({ length: 65 }, (_, i) => `g${i}`),
    })
    expect(await stateOf(end)).toBe('pending')
    await manager.revoke({ groups: 'nobody' })
    expect(await stateOf(end)).toBe('revoked')
  })

  it('claims without a name end when a token is revoked by its digest: it could be theirs', async () => {
    const { manager, gate, logIn } = makeNode()
    const nameless = await logIn({ jti: undefined })
    const [claims, auth, named] = [
      gate.onRevoked(nameless.claims),
      gate.onRevoked(nameless),
      gate.onRevoked({ jti: '1', iat: nowSeconds() }),
    ]
    await manager.revokeToken(await logIn({ jti: undefined, sub: 'bob' }))
    expect(await stateOf(claims)).toBe('revoked')
    // The auth of the gate knows its own digest.
    expect(await stateOf(auth)).toBe('pending')
    expect(await stateOf(named)).toBe('pending')
  })

  it('without a replica it is an error that says what to do', async () => {
    const { gate, logIn } = makeNode({ replica: false })
    const auth = await logIn()
    await expect(async () => gate.onRevoked(auth)).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
      message: expect.stringContaining('do not set replica to false') as string,
    })
  })
})

describe('a token that ends', () => {
  it('expires by itself at its exp', async () => {
    const { gate, logIn } = makeNode({ clockToleranceSeconds: 0 })
    const exp = nowSeconds() + 2
    const end = gate.onRevoked(await logIn({ exp }))
    expect(await stateOf(end)).toBe('pending')
    expect(await end).toBe('expired')
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(exp)
    expect(Date.now() / 1000).toBeLessThan(exp + 1)
  })

  function setUp(endOf: number) {
    vi.useFakeTimers()
    const clock = { aheadSeconds: 0 }
    const now = () => Date.now() / 1000 + clock.aheadSeconds
    const start = now()
    const replica = new Replica(new MemoryStore(), { stalenessMaxMs: 1000 })
    const live = new LiveTokens({ replica, now, endOf: () => start + endOf })
    const ended: LiveEnd[] = []
    const begin = (signal?: AbortSignal) =>
      live.watch({ claims: { jti: '1' } }, signal).then((end) => ended.push(end))
    const advance = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)
    return { clock, live, ended, begin, advance }
  }

  it('is waited for by one timer, however many connections and however far ahead', async () => {
    const { live, ended, begin, advance } = setUp(30 * 86_400)
    for (let i = 0; i < 1000; i++) void begin()
    expect(vi.getTimerCount()).toBe(1)
    await advance(30 * 86_400 - 2)
    expect(ended).toEqual([])
    expect(live.size).toBe(1000)
    await advance(3)
    expect(ended).toEqual(Array(1000).fill('expired'))
    expect([live.size, vi.getTimerCount()]).toEqual([0, 0])
  })

  it('needs no timer when it never ends, and none once nobody waits', async () => {
    const never = setUp(Infinity)
    void never.begin()
    expect(vi.getTimerCount()).toBe(0)
    never.live.close()
    const { live, begin } = setUp(600)
    const over = new AbortController()
    void begin(over.signal)
    expect(vi.getTimerCount()).toBe(1)
    over.abort()
    expect([live.size, vi.getTimerCount()]).toEqual([0, 0])
    void begin()
    live.close()
    expect([live.size, vi.getTimerCount()]).toEqual([0, 0])
  })

  it('is noticed within a minute of a clock that jumped, as after the sleep of a machine', async () => {
    const { clock, ended, begin, advance } = setUp(3600)
    void begin()
    await advance(10)
    clock.aheadSeconds = 7200
    await advance(60)
    expect(ended).toEqual(['expired'])
  })

  it('has ended before the watch begins', async () => {
    const { gate } = makeNode({ clockToleranceSeconds: 5 })
    expect(await stateOf(gate.onRevoked({ jti: '1', iat: nowSeconds(), exp: nowSeconds() - 6 }))).toBe(
      'expired',
    )
    const within = gate.onRevoked({ jti: '1', iat: nowSeconds(), exp: nowSeconds() - 3 })
    expect(await stateOf(within)).toBe('pending')
    expect(await within).toBe('expired')
  })
})

describe('a watch that nobody needs any more', () => {
  it('resolves with undefined when its signal is aborted, before or later', async () => {
    const { gate, logIn } = makeNode()
    const auth = await logIn()
    const over = new AbortController()
    const end = gate.onRevoked(auth, { signal: over.signal })
    expect(await stateOf(end)).toBe('pending')
    over.abort()
    expect(await end).toBeUndefined()
    expect(await gate.onRevoked(auth, { signal: over.signal })).toBeUndefined()
    expect(watched()).toBe(0)
  })

  it('resolves with undefined when the manager closes, and at once after that', async () => {
    const { manager, gate, logIn } = makeNode()
    const auth = await logIn()
    const end = gate.onRevoked(auth)
    await manager.close()
    expect(await end).toBeUndefined()
    expect(await stateOf(gate.onRevoked(auth))).toBeUndefined()
    expect(watched()).toBe(0)
  })

  it('leaves no listener on a signal that lives on, and many may share one without a warning', async () => {
    const { manager, gate } = makeNode()
    const over = new AbortController()
    const warnings: string[] = []
    const listener = ({ name }: Error) => warnings.push(name)
    process.on('warning', listener)
    try {
      const ends = Array.from({ length: 100 }, (_, i) =>
        gate.onRevoked({ jti: String(i), sub: 'alice', iat: nowSeconds() }, { signal: over.signal }),
      )
      expect(getEventListeners(over.signal, 'abort')).toHaveLength(1)
      await manager.revoke({ sub: 'alice' })
      expect(new Set(await Promise.all(ends))).toEqual(new Set(['revoked']))
      expect(getEventListeners(over.signal, 'abort')).toHaveLength(0)
      await nextTurn()
      expect(warnings).toEqual([])
    } finally {
      process.off('warning', listener)
    }
  })

  it('keeps no process alive', async () => {
    const source = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
    const script = `
      import { MemoryStore } from ${source('stores/memory.ts')}
      import { TokenManager } from ${source('token-manager.ts')}
      const manager = new TokenManager({ store: new MemoryStore() })
      void manager.onRevoked({ jti: '1', iat: Date.now() / 1000, exp: Date.now() / 1000 + 600 })
      await manager.ready()
      console.log('done')`
    const { stdout } = await run(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { timeout: 20_000 },
    )
    expect(stdout).toBe('done\n')
  })
})

it('one revocation among 10,000 connections looks at exactly one', async () => {
  const { manager, gate } = makeNode()
  await manager.ready()
  const over = new AbortController()
  const ends = Array.from({ length: 10_000 }, (_, i) =>
    gate.onRevoked(
      { jti: `t${i}`, sub: `user-${i}`, client_id: 'app', iat: nowSeconds(), exp: nowSeconds() + 600 },
      { signal: over.signal },
    ),
  )
  // Shapes come into use here: that once, every connection is looked at.
  await manager.revoke({ sub: 'nobody' })
  await manager.revoke({ jti: 'none' })
  const looked = vi.spyOn(manager.replica!, 'isRevoked')
  await manager.revoke({ sub: 'user-77' }, { ack: 'everywhere' })
  expect(await stateOf(ends[77]!)).toBe('revoked')
  expect(looked).toHaveBeenCalledTimes(1)
  await manager.revoke({ sub: 'user-77', jti: 'x' }, { ack: 'everywhere' })
  looked.mockClear()
  await manager.revoke({ jti: 't4711' }, { ack: 'everywhere' })
  expect(await stateOf(ends[4711]!)).toBe('revoked')
  expect(looked).toHaveBeenCalledTimes(1)
  // Those that have ended are forgotten by the index too.
  await manager.revoke({ jti: 't77' }, { ack: 'everywhere' })
  expect(looked).toHaveBeenCalledTimes(1)
  expect(watched()).toBe(9998)
  over.abort()
  expect(new Set(await Promise.all(ends))).toEqual(new Set(['revoked', undefined]))
  expect(watched()).toBe(0)
})
