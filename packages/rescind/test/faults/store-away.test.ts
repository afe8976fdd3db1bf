/**
 * With Redis stopped, frozen or refusing, every route answers 503 within 300 ms, the process lives, and it
 * recovers by itself within 2 s after Redis does. Real sockets on both sides.
 */
import { createServer, type Server } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RescindError } from '../../src/errors.js'
import { Gate } from '../../src/gate.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { makeIssuer } from '../support/issuer.js'
import { RedisServer } from '../support/redis-server.js'
import { RefusingRedis } from '../support/refusing-redis.js'
import { until } from '../support/until.js'

const issuer = await makeIssuer('ES256')
const DEADLINE_MS = 300
const RECOVERY_MS = 2000

/** A service with two routes: one only checks, the other revokes the token that it was given. */
class Service {
  readonly manager: TokenManager
  readonly causes: RescindError[] = []
  readonly #server: Server
  private constructor(url: string) {
    const connection = new RedisConnection({ url })
    this.manager = new TokenManager({ store: new RedisStore(connection), verifier: issuer.verifier })
    const gate = new Gate({ manager: this.manager, onUncertain: (cause) => this.causes.push(cause) })
    this.#server = createServer((request, response) => {
      void (async () => {
        const verdict = await gate.check({ authorization: request.headersDistinct.authorization ?? [] })
        if (!verdict.allowed) {
          response
            .writeHead(verdict.denial.status, verdict.denial.headers)
            .end(JSON.stringify(verdict.denial.body))
          return
        }
        try {
          if (request.url === '/logout') await this.manager.revokeToken(verdict.auth)
          response.writeHead(200).end('{}')
        } catch (error) {
          this.causes.push(error as RescindError)
          response.writeHead(503).end((error as Error).message)
        }
      })()
    })
  }

  static async start(url: string): Promise<Service> {
    const service = new Service(url)
    await new Promise<void>((resolve) => service.#server.listen(0, '127.0.0.1', resolve))
    return service
  }

  async ask(
    token: string,
    path = '/me',
  ): Promise<{ status: number; ms: number; retryAfter: string | null; challenge: string | null }> {
    const { port } = this.#server.address() as { port: number }
    const started = performance.now()
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    await response.text()
    const { status, headers } = response
    return {
      status,
      ms: performance.now() - started,
      retryAfter: headers.get('retry-after'),
      challenge: headers.get('www-authenticate'),
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.manager.close()
  }
}

const unhandled: unknown[] = []
const note = (error: unknown) => unhandled.push(error)
beforeEach(() => {
  unhandled.length = 0
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
})
afterEach(() => {
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
  expect(unhandled).toEqual([])
})

/** Many requests, alone and at once: all are 503 in time, none is let through or called unauthorized. */
async function expectUnavailable(service: Service, token: string): Promise<void> {
  // The first requests of a process are slower for other reasons; here the service has answered before.
  for (const burst of [1, 1, 20, 1]) {
    const answers = await Promise.all(
      Array.from({ length: burst }, (_, i) => service.ask(token, i % 2 === 0 ? '/me' : '/logout')),
    )
    for (const { status, ms, retryAfter, challenge } of answers) {
      expect(status).toBe(503)
      expect(retryAfter).toBe('1')
      expect(challenge).toBeNull()
      expect(ms).toBeLessThan(DEADLINE_MS)
    }
  }
}

async function expectRecovery(service: Service, token: string, revoked: string | undefined): Promise<void> {
  const started = performance.now()
  await until(async () => (await service.ask(token)).status === 200, {
    what: 'the recovery',
    timeoutMs: 10_000,
    intervalMs: 25,
  })
  expect(performance.now() - started).toBeLessThan(RECOVERY_MS)
  if (revoked !== undefined) expect((await service.ask(revoked)).status).toBe(401)
}

// Deadlines are promises of the product; a machine that stands still for a moment gets a second try.
describe('a route', { retry: 2 }, () => {
  it.each<
    [string, (server: RedisServer) => Promise<void> | void, (server: RedisServer) => Promise<void> | void]
  >([
    ['killed and started again', (server) => server.kill(), (server) => server.restart()],
    ['frozen and thawed', (server) => server.freeze(), (server) => server.thaw()],
    [
      'frozen for longer than the socket is kept, and thawed',
      async (server) => {
        server.freeze()
        await new Promise((resolve) => setTimeout(resolve, 2500))
      },
      (server) => server.thaw(),
    ],
    [
      'asking for a password (NOAUTH) and open again',
      async (server) => {
        await server.command('CONFIG', 'SET', 'requirepass', 'secret')
        server.password = 'secret'
        await server.command('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => undefined)
      },
      async (server) => {
        await server.command('CONFIG', 'SET', 'requirepass', '')
        server.password = undefined
      },
    ],
    [
      'a replica without its primary (MASTERDOWN) and a primary again',
      async (server) => {
        await server.command('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
        await server.command('REPLICAOF', '127.0.0.1', '1')
      },
      async (server) => {
        await server.command('REPLICAOF', 'NO', 'ONE')
      },
    ],
  ])('answers 503 in time while Redis is %s, and recovers with all revocations', async (_, harm, heal) => {
    const server = await RedisServer.start({ persistence: true })
    const service = await Service.start(server.url)
    try {
      const [token, revoked] = [await issuer.sign(), await issuer.sign()]
      expect((await service.ask(token)).status).toBe(200)
      expect((await service.ask(revoked, '/logout')).status).toBe(200)
      expect((await service.ask(revoked)).status).toBe(401)
      await harm(server)
      await until(async () => (await service.ask(token)).status === 503, { what: 'the harm to show' })
      await expectUnavailable(service, token)
      await heal(server)
      await expectRecovery(service, token, revoked)
      const [wanted] = [await issuer.sign()]
      await until(async () => (await service.ask(wanted, '/logout')).status !== 503, { what: 'a log-out' })
      expect((await service.ask(wanted)).status).toBe(401)
    } finally {
      await service.stop()
      await server.stop()
    }
  })

  it.each([
    'NOAUTH Authentication required.',
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    'LOADING Redis is loading the dataset in memory',
    'MISCONF Redis is configured to save RDB snapshots',
    'ERR something else entirely',
  ])('answers 503 in time while every command is answered with %j, and recovers', async (reply) => {
    const fake = await RefusingRedis.start(reply)
    const service = await Service.start(fake.url)
    try {
      const token = await issuer.sign()
      await service.ask(token)
      await expectUnavailable(service, token)
      expect(
        service.causes.every((cause) => cause instanceof RescindError && cause.code.startsWith('ERR_STORE_')),
      ).toBe(true)
    } finally {
      await service.stop()
      await fake.stop()
    }
  })

  it('answers 503 from the start while there is no Redis at all, and serves once there is one', async () => {
    const server = await RedisServer.start()
    await server.kill()
    const service = await Service.start(server.url)
    try {
      const token = await issuer.sign()
      await service.ask(token)
      await expectUnavailable(service, token)
      await server.restart()
      await expectRecovery(service, token, undefined)
    } finally {
      await service.stop()
      await server.stop()
    }
  })

  it('that only checks goes on while Redis takes no writes (OOM, READONLY); one that revokes says 503, never "done"', async () => {
    const server = await RedisServer.start()
    const service = await Service.start(server.url)
    try {
      const token = await issuer.sign()
      expect((await service.ask(token)).status).toBe(200)
      await server.command('CONFIG', 'SET', 'maxmemory', '1')
      expect((await service.ask(token)).status).toBe(200)
      expect((await service.ask(token, '/logout')).status).toBe(503)
      expect(service.causes.at(-1)).toMatchObject({
        code: 'ERR_STORE_REFUSED',
        message: expect.stringContaining('OOM'),
      })
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
      await server.command('REPLICAOF', '127.0.0.1', '1')
      expect((await service.ask(token, '/logout')).status).toBe(503)
      expect(service.causes.at(-1)).toMatchObject({
        code: 'ERR_STORE_REFUSED',
        message: expect.stringContaining('READONLY'),
      })
      await server.command('REPLICAOF', 'NO', 'ONE')
      await until(async () => (await service.ask(token, '/logout')).status === 200, { what: 'a write' })
      expect((await service.ask(token)).status).toBe(401)
    } finally {
      await service.stop()
      await server.stop()
    }
  })
})

it('a frozen server holds a bounded number of checks; the rest fail at once', async () => {
  const server = await RedisServer.start()
  const store = new RedisStore(new RedisConnection({ url: server.url }), { checksInFlightMax: 8 })
  const manager = new TokenManager({ store, verifier: issuer.verifier })
  try {
    const check = () => manager.check({ sub: 'a' }, { consistency: 'strict' })
    await until(async () => (await check()).status === 'clear', { what: 'the first check' })
    server.freeze()
    const results = await Promise.all(Array.from({ length: 200 }, check))
    const codes = results.map((result) => (result.status === 'unknown' ? result.cause.code : result.status))
    expect(codes.filter((code) => code === 'ERR_STORE_TIMEOUT')).toHaveLength(8)
    expect(codes.filter((code) => code === 'ERR_STORE_OVERLOADED')).toHaveLength(192)
    // The circuit is open now: nothing is sent, so nothing piles up behind the frozen server.
    expect(await check()).toMatchObject({ status: 'unknown' })
    server.thaw()
    await until(async () => (await check()).status === 'clear', {
      what: 'the circuit to close',
    })
  } finally {
    await manager.close()
    await server.stop()
  }
})

it('a store that was emptied is noticed and told of', async () => {
  const server = await RedisServer.start()
  const store = new RedisStore(new RedisConnection({ url: server.url }))
  const manager = new TokenManager({ store, verifier: issuer.verifier })
  try {
    await manager.revoke({ sub: 'a' })
    await manager.ready()
    expect(await manager.check({ sub: 'a' })).toMatchObject({ status: 'revoked' })
    const event = store.events().next()
    await server.command('FLUSHALL')
    await manager.check({ sub: 'a' })
    expect(await event).toMatchObject({ value: { type: 'store-changed' } })
    await expect(manager.watch({ after: '0123456789abcdef:1:32' }).next()).rejects.toMatchObject({
      code: 'ERR_LOG_CHANGED',
    })
  } finally {
    await manager.close()
    await server.stop()
  }
})
