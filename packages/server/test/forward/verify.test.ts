/** The questions of gateways, asked as each of them asks; the gateways themselves are in `gateways.test.ts`. */
import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import { IDENTITY_HEADERS } from '../../src/forward/identity.js'
import { AUDIENCE, ISSUER, startWorld, type World } from '../support/service.js'

const PROFILES = {
  api: {
    scope: 'orders:read',
    routes: [
      { path: '/public/*', public: true },
      { path: '/admin/*', scope: 'admin' },
      { path: '/*', methods: ['OPTIONS'], public: true },
    ],
  },
  plain: { scope: 'orders:read' },
  elsewhere: { audience: 'https://elsewhere.example' },
  foreign: { issuer: 'https://foreign.example' },
  strict: { consistency: 'strict' },
}
const start = (over: Record<string, unknown> = {}) => startWorld({ config: { profiles: PROFILES, ...over } })

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** How each kind of gateway tells path and method. */
const ASKING = {
  standard: (path: string, method = 'GET') => ({
    url: '/verify/api',
    headers: { 'x-forwarded-uri': path, 'x-forwarded-method': method },
    method: 'GET',
  }),
  nginx: (path: string, method = 'GET') => ({
    url: '/verify/nginx/api',
    headers: { 'x-original-uri': path, 'x-original-method': method },
    method: 'GET',
  }),
  envoy: (path: string, method = 'GET') => ({ url: `/verify/envoy/api${path}`, headers: {}, method }),
} as const

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** By `node:http`, which sends a path as it is given; `fetch` would resolve it. */
function ask(
  world: World,
  { url, method = 'GET', headers = {} }: { url: string; method?: string; headers?: Record<string, string> },
  options: { body?: string; agent?: Agent } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(world.url)
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path: url, method, headers, agent: options.agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({
          status: response.statusCode as number,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(options.body)
  })
}

describe.each(Object.entries(ASKING))('a gateway that asks as %s does', (gateway, asking) => {
  const malformed = gateway === 'nginx' ? 401 : 400

  it('is told 200 and who asks, for a good token', async () => {
    await using world = await start()
    const token = await world.issuer.sign({ scope: 'orders:read openid' })
    const question = asking('/orders/42?page=2')
    for (let i = 0; i < 2; i++) {
      const answer = await ask(world, { ...question, headers: { ...question.headers, ...bearer(token) } })
      expect(answer.status).toBe(200)
      expect(answer.body).toBe('')
      expect(answer.headers).toMatchObject({
        'x-auth-subject': 'alice',
        'x-auth-client': 'app',
        'x-auth-scope': 'orders:read openid',
        'x-auth-issuer': ISSUER,
        'content-length': '0',
        'cache-control': 'no-store',
      })
    }
  })

  it('is told why not: missing, malformed, expired, revoked, of others, with too little scope', async () => {
    await using world = await start()
    const { issuer } = world
    const jti = randomUUID()
    const past = Math.floor(Date.now() / 1000) - 60
    const cases: [string | undefined, number, string, RegExp][] = [
      [undefined, 401, 'token_missing', /^Bearer realm="rescind"$/],
      ['Basic YTpi', 401, 'token_missing', /^Bearer realm="rescind"$/],
      ['Bearer', malformed, 'request_invalid', /error="invalid_request"/],
      ['Bearer not.a.token', 401, 'token_malformed', /error="invalid_token"/],
      [`Bearer ${await issuer.sign({ aud: 'x' })}`, 401, 'token_invalid', /error="invalid_token"/],
      [`Bearer ${await issuer.sign({ exp: past })}`, 401, 'token_expired', /error="invalid_token"/],
      [
        `Bearer ${await issuer.sign({ jti, scope: 'orders:read' })}`,
        401,
        'token_revoked',
        /error="invalid_token"/,
      ],
      [`Bearer ${await issuer.sign({ scope: 'x' })}`, 403, 'scope_insufficient', /scope="orders:read"/],
    ]
    await world.service.parts.manager.revoke({ iss: ISSUER, jti })
    for (const [authorization, status, code, challenge] of cases) {
      const question = asking('/orders')
      const headers = { ...question.headers, ...(authorization === undefined ? {} : { authorization }) }
      const answer = await ask(world, { ...question, headers })
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([status, { code, status }])
      expect(answer.headers['www-authenticate']).toMatch(challenge)
      for (const name of IDENTITY_HEADERS) expect(answer.headers[name]).toBeUndefined()
    }
    const metrics = await (await world.ask('/metrics')).text()
    expect(metrics).toMatch(/rescind_checks_total\{answer="token_missing"\} 2/)
    expect(metrics).toMatch(/rescind_checks_total\{answer="scope_insufficient"\} 1/)
  })

  it('asks for the scope of the route, and lets everybody to a public one, as nobody', async () => {
    await using world = await start()
    const token = bearer(await world.issuer.sign({ scope: 'orders:read' }))
    const status = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
      const question = asking(path, method)
      return (await ask(world, { ...question, headers: { ...question.headers, ...headers } })).status
    }
    expect(await status('/admin/users', token)).toBe(403)
    expect(await status('/admin', token)).toBe(403)
    expect(await status('/administrator', token)).toBe(200)
    expect(await status('/admin', bearer(await world.issuer.sign({ scope: 'admin' })))).toBe(200)
    expect(await status('/orders', {}, 'OPTIONS')).toBe(200)
    expect(await status('/orders', {}, 'POST')).toBe(401)
    const open = await ask(world, asking('/public/logo.svg'))
    expect(open.status).toBe(200)
    for (const name of IDENTITY_HEADERS) expect(open.headers[name]).toBe('')
  })

  it.each([
    ...[
      '/public/../admin',
      '/public/%2e%2e/admin',
      '/public/..;/admin',
      '/public//admin',
      '/public/%2fadmin',
    ],
    ...['/public\\..\\admin', '/public/%5c..%5cadmin', '/public/%252e%252e/admin', '/public/%00', '/%zz'],
  ])('is told no about %s, which can be read in two ways', async (path) => {
    await using world = await start()
    const question = asking(path)
    const token = bearer(await world.issuer.sign({ scope: 'orders:read admin' }))
    const answer = await ask(world, { ...question, headers: { ...question.headers, ...token } })
    expect(answer.status).toBe(malformed)
    // A backslash in a request's own path is refused before it comes here, without a word.
    if (gateway === 'envoy' && path.includes('\\')) return
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'request_invalid', status: malformed })
  })
})

describe('whatever asks', () => {
  it('is told no where a profile has routes and no path is told, also by the header of another gateway', async () => {
    await using world = await start()
    const token = bearer(await world.issuer.sign({ scope: 'orders:read admin' }))
    const other = { 'x-original-uri': '/public/a', 'x-original-method': 'GET' }
    const answer = await ask(world, { url: '/verify/api', headers: { ...token, ...other } })
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('does not tell the path')
    const forwarded = { 'x-forwarded-uri': '/public/a', 'x-forwarded-method': 'GET' }
    expect((await ask(world, { url: '/verify/nginx/api', headers: forwarded })).status).toBe(401)
    expect((await ask(world, { url: '/verify/envoy/api', headers: forwarded })).status).toBe(400)
    const twice = 'x-forwarded-uri: /orders\r\nx-forwarded-uri: /public/a\r\nx-forwarded-method: GET\r\n'
    expect(
      await raw(world, `GET /verify/api HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${twice}\r\n`),
    ).toMatch(/^HTTP\/1.1 400 /)
  })

  it('never gets an answer of another route of the service for a path that leads there', async () => {
    await using world = await start()
    for (const path of [
      '/../../../healthz',
      '/../plain/x',
      '/%2e%2e/%2e%2e/%2e%2e/healthz',
      '/../../../metrics',
    ]) {
      const answer = await ask(world, { url: `/verify/envoy/api${path}` })
      expect([path, answer.status]).toEqual([path, 400])
    }
    expect((await ask(world, { url: '/verify/../healthz' })).status).toBe(404)
    expect((await ask(world, { url: '/verify/nginx/../../healthz' })).status).toBe(404)
  })

  it('is told no for a profile that is not there, and the log says so, but not each time', async () => {
    await using world = await start()
    const paths = [
      '/verify/nothing',
      '/verify/',
      '/verify/nginx/nothing',
      '/verify/envoy/nothing/x',
      '/verify/envoy',
    ]
    for (const url of paths) {
      const answer = await ask(world, { url, headers: bearer(await world.issuer.sign()) })
      expect([url, answer.status, JSON.parse(answer.body)]).toMatchObject([
        url,
        404,
        { code: 'profile_unknown' },
      ])
    }
    const again = Array.from({ length: 50 }, () => ask(world, { url: '/verify/nothing' }))
    expect(new Set((await Promise.all(again)).map(({ status }) => status))).toEqual(new Set([404]))
    const lines = world.log.match(/profile that is not configured/g) ?? []
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.length).toBeLessThan(10)
  })

  it('cannot choose policy or bring a token by its query string', async () => {
    await using world = await start()
    const token = await world.issuer.sign({ scope: 'admin' })
    for (const query of [
      `access_token=${token}`,
      'profile=default',
      'scope=',
      'public=true',
      'x-forwarded-uri=/public/a',
    ]) {
      const answer = await ask(world, { url: `/verify/plain?${query}` })
      expect(answer.status).toBe(401)
      const scoped = await ask(world, { url: `/verify/plain?${query}`, headers: bearer(token) })
      expect(scoped.status).toBe(403)
    }
  })

  it('gets the same by every method, and its body is not read', async () => {
    await using world = await start()
    const good = bearer(await world.issuer.sign({ scope: 'orders:read' }))
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      expect((await ask(world, { url: '/verify/plain', method, headers: good })).status).toBe(200)
      const denied = await ask(world, { url: '/verify/plain', method })
      expect(denied.status).toBe(401)
      expect(denied.headers['www-authenticate']).toBe('Bearer realm="rescind"')
      expect(denied.body === '').toBe(method === 'HEAD')
    }
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const token = await world.issuer.sign({ scope: 'orders:read' })
    const sent = await ask(
      world,
      { url: '/verify/plain', method: 'POST', headers: form },
      { body: `access_token=${token}` },
    )
    expect(sent.status).toBe(401)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    try {
      const big = { url: '/verify/plain', method: 'POST', headers: { ...good, 'content-type': 'text/plain' } }
      expect((await ask(world, big, { body: 'x'.repeat(1_000_000), agent })).status).toBe(200)
      expect((await ask(world, { url: '/verify/plain', headers: good }, { agent })).status).toBe(200)
    } finally {
      agent.destroy()
    }
  })

  it('keeps its connection', async () => {
    await using world = await start()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const sockets = new Set<unknown>()
    agent.on('free', (socket) => sockets.add(socket))
    try {
      for (const headers of [{}, bearer(await world.issuer.sign({ scope: 'orders:read' })), {}]) {
        const answer = await ask(world, { url: '/verify/plain', headers }, { agent })
        // Longer than gateways do (nginx 60 s): a question must not meet a connection that is being closed.
        expect(answer.headers['keep-alive']).toBe('timeout=65')
      }
      expect(sockets.size).toBe(1)
    } finally {
      agent.destroy()
    }
  })

  it('is told no about two Authorization fields', async () => {
    await using world = await start()
    const field = `authorization: Bearer ${await world.issuer.sign({ scope: 'orders:read' })}\r\n`
    const head = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n`
    expect(await raw(world, `${head('/verify/plain')}${field}\r\n`)).toMatch(/^HTTP\/1.1 200 /)
    expect(await raw(world, `${head('/verify/plain')}${field}${field}\r\n`)).toMatch(/^HTTP\/1.1 400 /)
    expect(await raw(world, `${head('/verify/nginx/plain')}${field}${field}\r\n`)).toMatch(/^HTTP\/1.1 401 /)
  })

  it('is asked for audience and issuer of the profile, and for nothing more under /verify', async () => {
    await using world = await start()
    const status = async (url: string, claims: Record<string, unknown> = {}) =>
      (await ask(world, { url, headers: bearer(await world.issuer.sign(claims)) })).status
    expect(await status('/verify/elsewhere')).toBe(401)
    expect(await status('/verify/elsewhere', { aud: [AUDIENCE, 'https://elsewhere.example'] })).toBe(200)
    expect(await status('/verify/foreign')).toBe(401)
    for (const url of [
      '/verify',
      '/verify?x=y',
      '/verify/default',
      '/verify/nginx',
      '/verify/envoy/default/a/../b',
    ])
      expect([url, await status(url)]).toEqual([url, 200])
  })

  it('is told to come again where the check cannot be made: 503, and never a yes', async () => {
    await using redis = await RedisServer.start()
    await using world = await startWorld({
      config: { profiles: PROFILES, stalenessMaxMs: 300 },
      store: null,
      env: { REDIS_URL: redis.url },
    })
    const headers = bearer(await world.issuer.sign({ scope: 'orders:read' }))
    for (const url of ['/verify/strict', '/verify/plain'])
      expect((await ask(world, { url, headers })).status).toBe(200)
    await redis.kill()
    expect((await ask(world, { url: '/verify/strict', headers })).status).toBe(503)
    const answer = await until(
      async () => {
        const found = await ask(world, { url: '/verify/plain', headers })
        return found.status === 503 && found
      },
      { what: 'the end of freshness' },
    )
    expect(answer.headers).toMatchObject({ 'retry-after': '1', 'content-type': 'application/problem+json' })
    expect(answer.headers['www-authenticate']).toBeUndefined()
    await redis.restart()
    await until(async () => (await ask(world, { url: '/verify/plain', headers })).status === 200, {
      what: 'Redis',
    })
  })
})

function raw(world: World, text: string): Promise<string> {
  const { hostname, port } = new URL(world.url)
  return new Promise((resolve, reject) => {
    let got = ''
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => (got += part))
    socket.on('end', () => resolve(got))
    socket.on('error', reject)
  })
}
