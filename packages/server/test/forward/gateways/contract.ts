/**
 * What holds behind every gateway that runs its example: only who may pass reaches the application, named by the service
 * and by nobody else; whoever is refused is told why; and where nothing can be checked, nobody passes.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../../../rescind/test/support/free-port.js'
import { makeIssuer } from '../../../../rescind/test/support/issuer.js'
import { RedisServer } from '../../../../rescind/test/support/redis-server.js'
import { until } from '../../../../rescind/test/support/until.js'
import { ISSUER, startWorld, type World } from '../../support/service.js'
import { App, type Got, type Seen, send, type Sent } from './app.js'
import { Gateway, type GatewayKind } from './gateway.js'

const PROFILES = {
  api: {
    scope: 'orders:read',
    routes: [
      { path: '/public/*', public: true },
      { path: '/admin/*', scope: 'admin' },
    ],
  },
}
/** Far below what a gateway waits for the service before it gives up. */
const STALENESS_MAX_MS = 500
const PACKAGE_TIMEOUT_MS = 180_000

export interface GatewayTraits {
  /** What a client is told of a request that is malformed. */
  readonly malformedStatus: 400 | 401
  /** It keeps connections to the service open. */
  readonly keepsConnections: boolean
}

export function gatewayContract(kind: GatewayKind, traits: GatewayTraits): void {
  describe(`behind ${kind.name}`, () => {
    let redis: RedisServer
    let world: World
    let app: App
    let gateway: Gateway
    const issuer = makeIssuer()
    const startService = async (port: number) =>
      startWorld({
        issuer: await issuer,
        store: null,
        env: { REDIS_URL: redis.url },
        config: { profiles: PROFILES, listen: { port }, stalenessMaxMs: STALENESS_MAX_MS },
      })

    beforeAll(async () => {
      redis = await RedisServer.start()
      app = await App.start()
      world = await startService(await freePort())
      gateway = await Gateway.start(kind, { service: portOf(world), app: app.port })
    }, PACKAGE_TIMEOUT_MS)
    afterAll(async () => {
      await gateway?.stop()
      await world?.[Symbol.asyncDispose]()
      await app?.[Symbol.asyncDispose]()
      await redis?.stop()
    })

    const sign = async (claims: Record<string, unknown> = {}) =>
      (await issuer).sign({ scope: 'orders:read', ...claims })
    const bearer = (token: string) => ['Authorization', `Bearer ${token}`] as const
    /** The answer, and what reached the application of this request. */
    const ask = async (sent: Sent): Promise<Got & { seen: Seen | undefined }> => {
      app.seen.length = 0
      return { ...(await send(gateway.port, sent)), seen: app.seen[0] }
    }

    it('a good token passes, with who asks in headers, whatever the client says of itself', async () => {
      const forged = [
        'X-Auth-Subject',
        'x-auth-subject',
        'X-AUTH-CLIENT',
        'X-Auth-Scope',
        'X-Auth-Issuer',
        'X-Auth-Role',
      ]
      const headers = [
        bearer(await sign()),
        ...forged.map((name) => [name, 'forged'] as const),
        ...forged.map((name) => [name.replaceAll('-', '_'), 'forged'] as const),
      ]
      const { status, body, seen } = await ask({ path: '/orders/42?page=2', headers })
      expect([status, body]).toEqual([200, 'from the application'])
      expect(seen?.url).toBe('/orders/42?page=2')
      expect(identityIn(seen)).toMatchObject({
        'x-auth-subject': ['alice'],
        'x-auth-client': ['app'],
        'x-auth-scope': ['orders:read'],
        'x-auth-issuer': [ISSUER],
      })
      expect(JSON.stringify({ ...identityIn(seen), 'x-auth-role': [] })).not.toContain('forged')
    })

    it('a public route is open, and a client that calls itself somebody is nobody', async () => {
      const forged = ['X-Auth-Subject', 'X-Auth-Client', 'X-Auth-Scope', 'X-Auth-Issuer', 'X_Auth_Subject']
      const { status, seen } = await ask({
        path: '/public/logo.svg',
        headers: forged.map((name) => [name, 'forged'] as const),
      })
      expect(status).toBe(200)
      expect(Object.values(identityIn(seen)).flat().join('')).toBe('')
    })

    it('methods and bodies reach the application', async () => {
      const token = bearer(await sign())
      const posted = await ask({ method: 'POST', headers: [token], body: 'x'.repeat(100_000) })
      expect([posted.status, posted.seen?.method, posted.seen?.body.length]).toEqual([200, 'POST', 100_000])
      expect(await ask({ method: 'HEAD', headers: [token] })).toMatchObject({ status: 200, body: '' })
      expect((await ask({ method: 'OPTIONS', headers: [token] })).seen?.method).toBe('OPTIONS')
      expect((await ask({ method: 'HEAD' })).status).toBe(401)
    })

    it('everything else is refused, with the reason in the challenge', async () => {
      const past = Math.floor(Date.now() / 1000) - 60
      const invalid = /^Bearer realm="rescind", error="invalid_token"/
      const cases: [string | undefined, number, RegExp, string?][] = [
        [undefined, 401, /^Bearer realm="rescind"$/],
        ['Basic YTpi', 401, /^Bearer realm="rescind"$/],
        ['Bearer', traits.malformedStatus, /error="invalid_request"/],
        ['Bearer not.a.token', 401, invalid],
        [`Bearer ${await sign({ exp: past })}`, 401, invalid],
        [`Bearer ${await sign({ aud: 'others' })}`, 401, invalid],
        [`Bearer ${await sign({ scope: 'other' })}`, 403, /error="insufficient_scope".*scope="orders:read"/],
        [`Bearer ${await sign()}`, 403, /error="insufficient_scope".*scope="admin"/, '/admin/users'],
      ]
      for (const [authorization, status, challenge, path = '/orders'] of cases) {
        const headers = authorization === undefined ? [] : [['Authorization', authorization] as const]
        const got = await ask({ path, headers })
        expect([got.status, got.seen]).toEqual([status, undefined])
        expect(got.headers.get('www-authenticate')).toMatch(challenge)
      }
    })

    it('a token that is revoked through the service is refused from then on', async () => {
      const headers = [bearer(await sign({ sub: 'eve' }))]
      expect((await ask({ headers })).status).toBe(200)
      const token = headers[0]?.[1].slice('Bearer '.length) ?? ''
      const revoked = await world.ask('/revoke', { key: world.keys.revoker, form: { token } })
      expect(revoked.status).toBe(200)
      const { status, headers: answered, seen } = await ask({ headers })
      expect([status, seen]).toEqual([401, undefined])
      expect(answered.get('www-authenticate')).toContain('error_description="The token was revoked"')
    })

    it('the application never sees another token than the one that was checked', async () => {
      const [good, other] = [await sign(), await sign({ scope: 'other' })]
      for (const pair of [
        [good, other],
        [other, good],
      ]) {
        const { status, seen } = await ask({ headers: pair.map(bearer) })
        // Compared here, for a failure shall not print them.
        const isGood = seen?.headers.get('authorization')?.join() === `Bearer ${good}`
        expect([status === 200, seen !== undefined]).toEqual([isGood, isGood])
      }
    })

    it('a query string opens nothing', async () => {
      const token = await sign({ scope: 'admin' })
      for (const query of [
        `access_token=${token}`,
        'scope=',
        'profile=default',
        'public=true',
        '/../../default',
      ]) {
        expect(await ask({ path: `/orders?${query}` })).toMatchObject({ status: 401, seen: undefined })
        expect((await ask({ path: `/orders?${query}`, headers: [bearer(token)] })).status).toBe(403)
      }
    })

    it('headers that gateways use among themselves open nothing', async () => {
      const names = [
        'X-Forwarded-Uri',
        'X-Original-URI',
        'X-Original-URL',
        'X-Rewrite-URL',
        'X-Envoy-Original-Path',
      ]
      for (const name of names) {
        const got = await ask({ path: '/admin', headers: [[name, '/public/a'], bearer(await sign())] })
        expect([name, got.status, got.seen]).toEqual([name, 403, undefined])
      }
    })

    it.each([
      ...['/public/../admin', '/public/%2e%2e/admin', '/public/.%2e/admin', '/public//../admin', '//admin'],
      ...['/public/..;/admin', '/public/%2f..%2fadmin', '/public\\..\\admin', '/public/%5c..%5cadmin'],
      ...['/public/%252e%252e/admin', '/public/%00', '/./admin', '/public/..'],
    ])('%s reaches nothing', async (path) => {
      for (const headers of [[], [bearer(await sign())]]) {
        const { status, seen } = await ask({ path, headers })
        expect(seen).toBeUndefined()
        expect([400, 401, 403, 404]).toContain(status)
      }
    })

    it('large headers are no way around it, and no outage', async () => {
      const cookie = ['Cookie', `a=${'x'.repeat(7000)}`] as const
      const more = ['X-More', 'y'.repeat(7000)] as const
      expect((await ask({ headers: [bearer(await sign()), cookie] })).status).toBe(200)
      const anonymous = await ask({ headers: [cookie, more] })
      expect([anonymous.status, anonymous.seen]).toEqual([401, undefined])
      const tooLong = await ask({ headers: [bearer(await sign({ pad: 'p'.repeat(40_000) }))] })
      expect(tooLong.seen).toBeUndefined()
      expect([400, 401, 431]).toContain(tooLong.status)
    })

    it('its connections to the service are used again, where it can', async () => {
      const sockets = new Set<unknown>()
      let checks = 0
      const note = (message: unknown) => {
        const { request } = message as { request: IncomingMessage }
        if (request.url?.startsWith('/verify') !== true) return
        checks += 1
        sockets.add(request.socket)
      }
      subscribe('http.server.request.start', note)
      const headers = [bearer(await sign())]
      for (let i = 0; i < 20; i++) expect((await ask({ headers })).status).toBe(200)
      unsubscribe('http.server.request.start', note)
      expect(checks).toBe(20)
      if (traits.keepsConnections) expect(sockets.size).toBeLessThan(10)
    })

    it('while Redis is away nobody passes: 503, to be tried again, until it is back', async () => {
      const headers = [bearer(await sign())]
      expect((await ask({ headers })).status).toBe(200)
      await redis.kill()
      const got = await until(
        async () => {
          const answer = await ask({ headers })
          return answer.status !== 200 && answer
        },
        { what: 'the first refusal' },
      )
      expect([got.status, got.headers.get('retry-after'), got.seen]).toEqual([503, '1', undefined])
      // A forged token is refused without the store, and so is none.
      expect((await ask({})).status).toBe(401)
      await redis.restart()
      await until(async () => (await ask({ headers })).status === 200, { what: 'Redis to be back' })
    })

    it('while the service is away nobody passes: 503, to be tried again, until it is back', async () => {
      const headers = [bearer(await sign())]
      const port = portOf(world)
      await world.service.stop()
      for (const sent of [{ headers }, {}, { path: '/public/a' }]) {
        const got = await ask(sent)
        expect([got.status, got.headers.get('retry-after'), got.seen]).toEqual([503, '1', undefined])
      }
      world = await startService(port)
      await until(async () => (await ask({ headers })).status === 200, { what: 'the service to be back' })
    })

    it('an application that is away is not taken for a service that is', async () => {
      await app[Symbol.asyncDispose]()
      const got = await ask({ headers: [bearer(await sign())] })
      expect(got.status).toBeGreaterThanOrEqual(502)
      expect((await ask({})).status).toBe(401)
    })
  })
}

function portOf(world: World): number {
  return Number(new URL(world.url).port)
}

/** What the application saw under names of the identity, in either spelling. */
function identityIn(seen: Seen | undefined): Readonly<Record<string, readonly string[]>> {
  const found = [...(seen?.headers ?? [])].filter(([name]) => /^x[-_]auth[-_]/.test(name))
  return Object.fromEntries(found)
}
