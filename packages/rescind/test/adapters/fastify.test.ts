import { once } from 'node:events'
import { connect } from 'node:http2'
import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import plugin, { authOf, requireToken, rescindPlugin } from '../../src/adapters/fastify.js'
import type { Gate } from '../../src/gate.js'
import { type Issuer, makeIssuer } from '../support/issuer.js'
import { adapterContract, makeGate } from './contract.js'
import type { Served } from './http.js'

const sub = async (request: FastifyRequest) => ({ sub: request.auth.claims.sub })
const counting = (ran: () => void) => ({
  sub: async (request: FastifyRequest) => {
    ran()
    return sub(request)
  },
  subAndNote: async (request: FastifyRequest) => {
    ran()
    return { ...(await sub(request)), note: (request.body as { note?: string } | undefined)?.note }
  },
})

adapterContract(
  'rescind/fastify as a plugin of a scope',
  async (gate, ran) => {
    const { sub, subAndNote } = counting(ran)
    const app = Fastify()
    await app.register(formbody)
    app.get('/open', async () => ({ open: true }))
    await app.register(async (scope) => {
      await scope.register(rescindPlugin, { gate })
      scope.get('/protected', sub)
      scope.get('/admin', { config: { rescind: { scope: 'admin' } } }, sub)
      scope.get('/query', { config: { rescind: { tokenFrom: ['header', 'query'] } } }, sub)
      scope.post('/form', { config: { rescind: { tokenFrom: ['header', 'form'] } } }, subAndNote)
      scope.post('/logout', async (request, reply) => {
        ran()
        await gate.manager.revokeToken(request.auth)
        return reply.code(204).send()
      })
    })
    return serve(app)
  },
  { options: 404, answersFailures: true },
)

adapterContract(
  'rescind/fastify as options of routes',
  async (gate, ran) => {
    const { sub, subAndNote } = counting(ran)
    const app = Fastify()
    await app.register(formbody)
    app.get('/open', async () => ({ open: true }))
    app.get('/protected', requireToken(gate), sub)
    app.get('/admin', requireToken(gate, { scope: 'admin' }), sub)
    app.get('/query', requireToken(gate, { tokenFrom: ['header', 'query'] }), sub)
    app.post('/form', requireToken(gate, { tokenFrom: ['header', 'form'] }), subAndNote)
    app.post('/logout', requireToken(gate), async (request, reply) => {
      ran()
      await gate.manager.revokeToken(authOf(request.raw))
      return reply.code(204).send()
    })
    return serve(app)
  },
  { options: 404, answersFailures: true },
)

async function serve(app: FastifyInstance): Promise<Served> {
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), close: () => app.close() }
}

describe('rescind/fastify', () => {
  let issuer: Issuer
  let gate: Gate
  let app = Fastify()
  beforeAll(async () => {
    issuer = await makeIssuer()
    gate = makeGate(issuer)
  })
  afterEach(() => app.close())
  const statusOf = async (url: string, headers = {}) => (await app.inject({ url, headers })).statusCode
  const bearer = async (claims = {}) => ({ authorization: `Bearer ${await issuer.sign(claims)}` })

  it('covers the scope that registers it and the scopes within, and neither siblings nor the scope around', async () => {
    app = Fastify()
    await app.register(async (scope) => {
      await scope.register(rescindPlugin, { gate })
      scope.get('/inside', async () => 'x')
      await scope.register(async (inner) => void inner.get('/within', async () => 'x'))
    })
    await app.register(async (sibling) => void sibling.get('/sibling', async () => 'x'))
    app.get('/around', async () => 'x')
    const paths = ['/inside', '/within', '/sibling', '/around', '/unknown']
    expect(await Promise.all(paths.map((path) => statusOf(path)))).toEqual([401, 401, 200, 200, 404])
  })

  it('covers the whole application when its root registers it, earlier routes and unknown paths too', async () => {
    app = Fastify()
    app.get('/before', sub)
    await app.register(async (scope) => void scope.get('/scope-before', sub))
    await app.register(plugin, { gate })
    app.get('/after', sub)
    app.get('/public', { config: { rescind: false } }, async () => 'x')
    await app.register(async (scope) => void scope.get('/scope-after', sub))
    const paths = ['/before', '/scope-before', '/after', '/scope-after', '/unknown', '/public']
    const statuses = (headers = {}) => Promise.all(paths.map((path) => statusOf(path, headers)))
    expect(await statuses()).toEqual([401, 401, 401, 401, 401, 200])
    expect(await statuses(await bearer())).toEqual([200, 200, 200, 200, 404, 200])
  })

  it('speaks HTTP/2', async () => {
    const secure = Fastify({ http2: true })
    await secure.register(rescindPlugin, { gate })
    secure.get('/', async (request) => ({ sub: request.auth.claims.sub }))
    const session = connect(await secure.listen({ port: 0, host: '127.0.0.1' }))
    const statuses = []
    for (const headers of [{}, await bearer()]) {
      const stream = session.request({ ':path': '/', ...headers })
      const [answer] = (await once(stream.resume(), 'response')) as [{ ':status': number }]
      statuses.push(answer[':status'])
    }
    session.close()
    await secure.close()
    expect(statuses).toEqual([401, 200])
  })

  it('takes the policy of the route in place of its own', async () => {
    app = Fastify()
    await app.register(rescindPlugin, { gate, policy: { scope: 'write' } })
    app.get('/usual', async () => 'x')
    app.get('/own', { config: { rescind: { scope: 'read' } } }, async () => 'x')
    const headers = await bearer({ scope: 'read' })
    expect([await statusOf('/usual', headers), await statusOf('/own', headers)]).toEqual([403, 200])
  })

  it('asks for both where a scope within registers it again', async () => {
    app = Fastify()
    await app.register(rescindPlugin, { gate, policy: { scope: 'read' } })
    await app.register(async (scope) => {
      await scope.register(rescindPlugin, { gate, policy: { scope: 'write' } })
      scope.get('/within', async () => 'x')
    })
    const statuses = []
    for (const scope of ['read', 'write', 'read write'])
      statuses.push(await statusOf('/within', await bearer({ scope })))
    expect(statuses).toEqual([403, 403, 200])
  })

  it('keeps a cache-control that lets nobody keep the answer', async () => {
    app = Fastify()
    app.addHook('onRequest', async (_request, reply) => void reply.header('cache-control', 'no-store'))
    app.get('/', requireToken(gate, { tokenFrom: ['query'] }), async () => 'x')
    const token = (await bearer()).authorization.slice('Bearer '.length)
    expect((await app.inject(`/?access_token=${token}`)).headers['cache-control']).toBe('no-store')
  })

  it('has no auth for a public route', async () => {
    app = Fastify()
    await app.register(rescindPlugin, { gate })
    app.get('/public', { config: { rescind: false } }, sub)
    expect(await statusOf('/public', await bearer())).toBe(500)
  })

  it('sends the denial as it is, whatever serializer and response schema the route has', async () => {
    app = Fastify()
    app.setReplySerializer(() => 'serialized')
    await app.register(rescindPlugin, { gate })
    const response = { '4xx': { type: 'object', properties: { only: { type: 'string' } } } }
    app.get('/', { schema: { response } }, async () => ({}))
    expect((await app.inject('/')).json()).toMatchObject({ status: 401, code: 'token_missing' })
  })

  it('runs before the body is parsed, unless the token may be in it', async () => {
    app = Fastify({ bodyLimit: 10 })
    await app.register(rescindPlugin, { gate })
    app.post('/', async () => 'x')
    const answer = await app.inject({ method: 'POST', url: '/', payload: { long: 'x'.repeat(100) } })
    expect(answer.statusCode).toBe(401)
  })
})
