/**
 * Nodes at the edge, which know Redis only through a service: how soon they refuse, what becomes of them when the service
 * is killed, frozen or cut off from its Redis, and what many of them cost.
 */
import { describe, expect, it } from 'vitest'
import { Gate, RedisConnection, RedisStore, RemoteStore, TokenManager } from '../../../rescind/src/index.js'
import { Agent } from '../../../rescind/test/support/agent.js'
import { freePort } from '../../../rescind/test/support/free-port.js'
import { makeIssuer } from '../../../rescind/test/support/issuer.js'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import { startWorld } from '../support/service.js'
import type { CrowdAnswers } from './crowd-agent.js'
import type { ServiceAnswers } from './service-agent.js'

const PROPAGATION_MAX_MS = 100
const BOUND_MS = 1000
const CALL_MS = 300
const key = makeKey()
const clients = [
  { id: 'edge', roles: ['read'], keys: [{ hash: await hashSecret(key) }], ratePerMinute: 10_000_000 },
]

async function startService(redis: RedisServer, port: number): Promise<Agent<ServiceAnswers>> {
  const agent = await Agent.start<ServiceAnswers>(new URL('service-agent.ts', import.meta.url))
  await agent.call('start', { config: { listen: { port }, clients }, env: { REDIS_URL: redis.url } })
  return agent
}

function edgeNode(url: string, issuer?: Awaited<ReturnType<typeof makeIssuer>>): TokenManager {
  const store = new RemoteStore({ url, key, timeoutMs: CALL_MS })
  return new TokenManager({ store, verifier: issuer?.verifier, stalenessMaxMs: BOUND_MS })
}

describe('a node at the edge', () => {
  it('refuses a token within 100 ms after another node has revoked it through Redis', async () => {
    await using redis = await RedisServer.start()
    await using world = await startWorld({ store: null, env: { REDIS_URL: redis.url } })
    const issuer = await makeIssuer()
    const inside = new TokenManager({
      store: new RedisStore(new RedisConnection({ url: redis.url })),
      verifier: issuer.verifier,
    })
    const edge = new TokenManager({
      store: new RemoteStore({ url: world.url, key: world.keys.viewer as string }),
      verifier: issuer.verifier,
    })
    const gate = new Gate({ manager: edge })
    await Promise.all([inside.ready(), edge.ready()])
    const took: number[] = []
    for (let round = 0; round < 15; round++) {
      const token = await issuer.sign({ sub: `user-${round}` })
      const head = { authorization: [`Bearer ${token}`] }
      expect((await gate.check(head)).allowed).toBe(true)
      await inside.revokeToken(token)
      const acknowledgedAt = performance.now()
      await until(async () => !(await gate.check(head)).allowed, { what: 'the refusal', intervalMs: 1 })
      took.push(performance.now() - acknowledgedAt)
    }
    // The doorbell rings at once; a machine that does other things at the time may be late once.
    const sorted = took.sort((a, b) => a - b)
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(PROPAGATION_MAX_MS)
    await edge.close()
    await inside.close()
  })

  it('is not fresh while the service is away, answers no check with "clear" then, and is back by itself', async () => {
    await using redis = await RedisServer.start()
    const port = await freePort()
    let service = await startService(redis, port)
    const issuer = await makeIssuer()
    const edge = edgeNode(`http://127.0.0.1:${port}`, issuer)
    const gate = new Gate({ manager: edge })
    const head = { authorization: [`Bearer ${await issuer.sign()}`] }
    try {
      await edge.ready()
      expect((await gate.check(head)).allowed).toBe(true)

      await service.stop()
      const killedAt = performance.now()
      await until(() => edge.checkNow({ sub: 'alice' }) === undefined, { what: 'staleness' })
      expect(performance.now() - killedAt).toBeLessThan(2 * BOUND_MS)
      expect(await edge.check({ sub: 'alice' })).toMatchObject({ status: 'unknown' })
      expect(await gate.check(head)).toMatchObject({ allowed: false, denial: { status: 503 } })

      service = await startService(redis, port)
      await until(async () => (await gate.check(head)).allowed, { what: 'the service to be believed again' })
      await until(() => edge.checkNow({ sub: 'alice' }) !== undefined, { what: 'freshness' })
    } finally {
      await edge.close()
      await service.stop()
    }
  })

  it('does not hang while the service is frozen: every check is answered within its deadline', async () => {
    await using redis = await RedisServer.start()
    const port = await freePort()
    await using service = await startService(redis, port)
    const edge = edgeNode(`http://127.0.0.1:${port}`)
    try {
      await edge.ready()
      process.kill(service.pid, 'SIGSTOP')
      await until(() => edge.checkNow({ sub: 'alice' }) === undefined, { what: 'staleness' })
      for (let i = 0; i < 3; i++) {
        const askedAt = performance.now()
        const results = await Promise.all(
          Array.from({ length: 50 }, () => edge.check({ sub: 'alice' }, { consistency: 'strict' })),
        )
        expect(performance.now() - askedAt).toBeLessThan(CALL_MS + 1000)
        for (const result of results)
          expect(result).toMatchObject({ status: 'unknown', cause: { code: 'ERR_STORE_TIMEOUT' } })
      }
      process.kill(service.pid, 'SIGCONT')
      await until(() => edge.checkNow({ sub: 'alice' }) !== undefined, { what: 'freshness' })
    } finally {
      await edge.close()
    }
  })

  it.each(['killed', 'frozen'])('never believes a service fresh whose Redis is %s', async (harm) => {
    await using redis = await RedisServer.start()
    await using world = await startWorld({ store: null, env: { REDIS_URL: redis.url } })
    const edge = new TokenManager({
      store: new RemoteStore({ url: world.url, key: world.keys.viewer as string, timeoutMs: CALL_MS }),
      stalenessMaxMs: BOUND_MS,
    })
    await edge.ready()
    const harmedAt = performance.now()
    if (harm === 'killed') await redis.kill()
    else redis.freeze()
    // From here on Redis acknowledges nothing: what the node claims to know may be no newer than this.
    const knownSince = () => performance.now() - (edge.replica?.stalenessMs ?? 0)
    const latest: number[] = []
    await until(
      async () => {
        expect((await world.ask('/healthz')).status).toBe(200)
        latest.push(knownSince())
        return edge.checkNow({ sub: 'alice' }) === undefined && performance.now() - harmedAt > 2 * BOUND_MS
      },
      { what: 'staleness' },
    )
    const killedBy = harm === 'killed' ? 500 : 50
    expect(Math.max(...latest) - harmedAt).toBeLessThan(killedBy)
    expect(await edge.check({ sub: 'alice' })).toMatchObject({ status: 'unknown' })
    expect((await world.ask('/readyz')).status).toBe(503)
    if (harm === 'killed') await redis.restart()
    else redis.thaw()
    await until(() => edge.checkNow({ sub: 'alice' }) !== undefined, { what: 'freshness', timeoutMs: 10_000 })
    await edge.close()
  })
})

describe('three hundred nodes', () => {
  const NODES = 300
  /** They poll twice a second. */
  const STALENESS_MAX_MS = 2000
  const WATCHED_MS = 3000

  it('cost Redis one reader, and all of them refuse what was revoked', async () => {
    await using redis = await RedisServer.start()
    const port = await freePort()
    await using _service = await startService(redis, port)
    await using crowd = await Agent.start<CrowdAnswers>(new URL('crowd-agent.ts', import.meta.url))
    const inside = new TokenManager({
      store: new RedisStore(new RedisConnection({ url: redis.url })),
      replica: false,
    })
    await inside.revoke({ sub: 'mallory' })
    const url = `http://127.0.0.1:${port}`
    const readsIn = async (ms: number) => {
      const before = await logReads(redis)
      await new Promise((resolve) => setTimeout(resolve, ms))
      return (await logReads(redis)) - before
    }
    await crowd.call('live', { url, key, count: 1, stalenessMaxMs: STALENESS_MAX_MS })
    await until(async () => (await crowd.call('fresh')) === 1, { what: 'the first node' })
    const ofOne = await readsIn(WATCHED_MS)
    await crowd.call('live', { url, key, count: NODES - 1, stalenessMaxMs: STALENESS_MAX_MS })
    const isFresh = async () => (await crowd.call('fresh')) === NODES
    await until(isFresh, { what: 'all nodes to be fresh', timeoutMs: 20_000 })
    const ofAll = await readsIn(WATCHED_MS)
    expect(ofAll).toBeLessThan(2 * ofOne)
    expect(await crowd.call('fresh')).toBeGreaterThan(0.9 * NODES)

    await inside.revoke({ sub: 'alice' })
    const isRefused = async () => (await crowd.call('refusing', 'alice')) === NODES
    await until(isRefused, { what: 'all nodes to refuse', timeoutMs: 10_000 })
    expect(await crowd.call('refusing', 'mallory')).toBe(NODES)
    expect(await crowd.call('refusing', 'bob')).toBe(0)
    await inside.close()
  }, 60_000)
})

/** How often Redis was asked for a stretch of the log. */
async function logReads(redis: RedisServer): Promise<number> {
  const stats = await redis.command<string>('INFO', 'commandstats')
  return Number(/cmdstat_getrange:calls=(\d+)/.exec(stats)?.[1] ?? 0)
}

describe('a thousand followers', () => {
  const FOLLOWERS = 1000

  it('are told of every change in order, once each, through a restart of the service', async () => {
    await using redis = await RedisServer.start()
    const port = await freePort()
    let service = await startService(redis, port)
    await using crowd = await Agent.start<CrowdAnswers>(new URL('crowd-agent.ts', import.meta.url))
    const inside = new TokenManager({
      store: new RedisStore(new RedisConnection({ url: redis.url })),
      replica: false,
    })
    const subs: string[] = []
    const revokeMany = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const sub = `user-${subs.length}`
        subs.push(sub)
        await inside.revoke({ sub })
      }
    }
    try {
      await crowd.call('follow', { url: `http://127.0.0.1:${port}`, key, count: FOLLOWERS })
      const areConnected = async () => (await crowd.call('connected')) === FOLLOWERS
      await until(areConnected, { what: 'all to be connected', timeoutMs: 60_000, intervalMs: 200 })
      await revokeMany(60)
      // While changes are on their way to them.
      await service.stop()
      await revokeMany(60)
      service = await startService(redis, port)
      await revokeMany(60)
      const areTold = async () => (await crowd.call('told', subs.length)) === FOLLOWERS
      await until(areTold, { what: 'all changes', timeoutMs: 60_000, intervalMs: 200 })
      expect(await crowd.call('toldExactly', subs)).toBe(FOLLOWERS)
      expect(await crowd.call('connections')).toBeGreaterThanOrEqual(2 * FOLLOWERS)
    } finally {
      await inside.close()
      await service.stop()
    }
  }, 150_000)
})
