/**
 * A node that loses Redis says so: after the bound its replica is not fresh any more, and each policy does what
 * its name says. With a naive client beside it that must fail, or the harm proves nothing.
 */
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import type { RescindError } from '../../src/errors.js'
import { Gate, type Policy } from '../../src/gate.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { makeIssuer } from '../support/issuer.js'
import { RedisServer } from '../support/redis-server.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until } from '../support/until.js'

const issuer = await makeIssuer('ES256')
const BOUND_MS = 400

const HARMS = [
  ['killed', (server: RedisServer) => server.kill(), (server: RedisServer) => server.restart()],
  ['frozen', (server: RedisServer) => server.freeze(), (server: RedisServer) => server.thaw()],
  [
    'cut off',
    // Neither side is told: packets wait, as TCP has them wait.
    (_: RedisServer, wire: TcpProxy) => wire.harm({ kind: 'hold' }),
    (_: RedisServer, wire: TcpProxy) => wire.heal(),
  ],
] as const

describe.each(HARMS)('while Redis is %s', (_, harm, heal) => {
  it('the replica says that it is stale, and every policy does what its name says', async () => {
    const server = await RedisServer.start({ persistence: true })
    const wire = await TcpProxy.start({ to: server })
    const connection = new RedisConnection({ url: wire.url, checkTimeoutMs: 100, connectTimeoutMs: 200 })
    const manager = new TokenManager({
      store: new RedisStore(connection),
      verifier: issuer.verifier,
      stalenessMaxMs: BOUND_MS,
    })
    const told: string[] = []
    const gate = new Gate({
      manager,
      onUncertain: (cause: RescindError, decision) => told.push(`${decision} ${cause.code}`),
    })
    const naive = new Redis(wire.url, {
      maxRetriesPerRequest: 1,
      commandTimeout: 300,
      retryStrategy: () => 50,
    })
    naive.on('error', () => undefined)
    const [token, dead] = [await issuer.sign(), await issuer.sign()]
    const ask = async (policy: Policy = {}, bearer = token) => {
      const verdict = await gate.check({ authorization: [`Bearer ${bearer}`] }, policy)
      return verdict.allowed ? 200 : verdict.denial.status
    }
    const policies = {
      closed: { onUnknown: 'closed' } satisfies Policy,
      strict: { consistency: 'strict' } satisfies Policy,
      stale: { onUnknown: 'stale', staleMaxSeconds: 60 } satisfies Policy,
      staleBriefly: { onUnknown: 'stale', staleMaxSeconds: BOUND_MS / 1000 } satisfies Policy,
      open: { onUnknown: 'open' } satisfies Policy,
    }
    const askAll = async (bearer = token) =>
      Object.fromEntries(
        await Promise.all(
          Object.entries(policies).map(async ([kind, policy]) => [kind, await ask(policy, bearer)]),
        ),
      ) as Record<keyof typeof policies, number>
    const isHealthy = async () => Object.values(await askAll()).every((status) => status === 200)
    try {
      await manager.ready()
      await manager.revokeToken(dead)
      // The deadlines are short for what they show later; here a machine that stands still for a moment is no harm.
      await until(isHealthy, { what: 'all policies to let it pass', timeoutMs: 10_000 })
      await until(() => manager.checkNow({ sub: 'alice' })?.status === 'clear', { what: 'freshness' })

      await harm(server, wire)
      // The bound is what it promises; and until then it answers, from memory.
      await until(() => manager.checkNow({ sub: 'alice' }) === undefined, { what: 'staleness' })
      expect(manager.replica?.stalenessMs).toBeGreaterThan(BOUND_MS)
      const before = { ...gate.counts }
      expect(await askAll()).toEqual({ closed: 503, strict: 503, stale: 200, staleBriefly: 503, open: 200 })
      const counted = Object.fromEntries(
        Object.entries(gate.counts).map(([kind, count]) => [
          kind,
          count - before[kind as keyof typeof before],
        ]),
      )
      expect(counted).toEqual({ stale: 1, open: 1, closed: 3, fresh: 0, store: 0, strict: 0 })
      // Dead stays dead, under every policy that looks at memory at all; and nothing says 200 to it.
      const forDead = await askAll(dead)
      expect(Object.values(forDead)).not.toContain(200)
      expect(forDead).toMatchObject({ closed: 401, stale: 401, open: 401 })
      expect(told.some((line) => line.startsWith('stale ERR_STORE_'))).toBe(true)
      expect(told.some((line) => line.startsWith('open ERR_STORE_'))).toBe(true)
      // The harm is real: the naive client gets no answer at all.
      await expect(naive.exists('anything')).rejects.toBeInstanceOf(Error)

      await heal(server, wire)
      await until(() => manager.checkNow({ sub: 'alice' })?.status === 'clear', {
        what: 'the replica to be fresh again',
        timeoutMs: 10_000,
      })
      await until(isHealthy, { what: 'all policies to let it pass again', timeoutMs: 10_000 })
      const seen: number[] = []
      const isRefused = async () => {
        const statuses = Object.values(await askAll(dead))
        seen.push(...statuses)
        return statuses.every((status) => status === 401)
      }
      await until(isRefused, { what: 'all policies to refuse the dead one', timeoutMs: 10_000 })
      expect(seen).not.toContain(200)
    } finally {
      naive.disconnect()
      await manager.close()
      await wire.close()
      await server.stop()
    }
  })
})

it('a revocation made while a node was cut off is known when it is fresh again, and before it is fresh never denied', async () => {
  const server = await RedisServer.start()
  const wire = await TcpProxy.start({ to: server })
  const near = new TokenManager({ store: new RedisStore(new RedisConnection({ url: server.url })) })
  const far = new TokenManager({
    store: new RedisStore(new RedisConnection({ url: wire.url, connectTimeoutMs: 200 })),
    stalenessMaxMs: BOUND_MS,
  })
  try {
    await far.ready()
    wire.harm({ kind: 'hold' })
    await until(() => far.checkNow({ sub: 'a' }) === undefined, { what: 'staleness' })
    await near.revoke({ sub: 'mallory' })
    const answers = new Set<string>()
    wire.heal()
    await until(
      () => {
        const answer = far.checkNow({ sub: 'mallory', iat: 1 })
        answers.add(answer?.status ?? 'stale')
        return answer?.status === 'revoked'
      },
      { what: 'the revocation to arrive', timeoutMs: 10_000, intervalMs: 1 },
    )
    expect([...answers].sort()).toEqual(['revoked', 'stale'])
  } finally {
    await near.close()
    await far.close()
    await wire.close()
    await server.stop()
  }
})

it('a demoted primary is not fresh, and neither is an emptied one until its log was read again', async () => {
  const server = await RedisServer.start()
  const manager = new TokenManager({
    store: new RedisStore(new RedisConnection({ url: server.url })),
    stalenessMaxMs: BOUND_MS,
  })
  const events: string[] = []
  try {
    await manager.ready()
    await manager.revoke({ sub: 'mallory' })
    void (async () => {
      for await (const { type } of manager.replica!.events()) events.push(type)
    })()
    await server.command('REPLICAOF', '127.0.0.1', '1')
    // What it has not replicated it would call clear.
    expect(await manager.check({ sub: 'a' }, { consistency: 'strict' })).toMatchObject({
      status: 'unknown',
      cause: { code: 'ERR_STORE_REFUSED' },
    })
    await until(() => manager.checkNow({ sub: 'a' }) === undefined, { what: 'staleness' })
    expect(await manager.check({ sub: 'a' })).toMatchObject({ status: 'unknown' })
    await server.command('REPLICAOF', 'NO', 'ONE')
    await until(() => manager.checkNow({ sub: 'a' }) !== undefined, { what: 'freshness' })
    await server.command('FLUSHALL')
    await until(() => events.includes('reread'), { what: 'the loss to be noticed' })
    await until(() => manager.checkNow({ sub: 'a' }) !== undefined, { what: 'freshness' })
    // What this node knew it does not forget.
    expect(manager.checkNow({ sub: 'mallory', iat: 1 })?.status).toBe('revoked')
    expect(events).toContain('stale')
  } finally {
    await manager.close()
    await server.stop()
  }
})
