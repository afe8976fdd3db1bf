import { type Context, Hono } from 'hono'
import { cors } from 'hono/cors'
import { beforeAll, describe, expect, it } from 'vitest'
import { authOf, requireToken, type RescindVariables } from '../../src/adapters/hono.js'
import type { Gate } from '../../src/gate.js'
import { type Issuer, makeIssuer } from '../support/issuer.js'
import { adapterContract, makeGate } from './contract.js'
import { serveHandler } from './http.js'

adapterContract(
  'rescind/hono on @hono/node-server',
  (gate, ran) => {
    const app = new Hono()
    const sub = (c: Context<{ Variables: RescindVariables }>) => {
      ran()
      return c.json({ sub: c.get('auth').claims.sub })
    }
    app.get('/open', (c) => c.json({ open: true }))
    app.get('/protected', requireToken(gate), sub)
    app.get('/admin', requireToken(gate, { scope: 'admin' }), sub)
    app.get('/query', requireToken(gate, { tokenFrom: ['header', 'query'] }), sub)
    app.post('/form', requireToken(gate, { tokenFrom: ['header', 'form'] }), async (c) => {
      ran()
      return c.json({ sub: c.get('auth').claims.sub, note: (await c.req.parseBody()).note })
    })
    app.post('/logout', requireToken(gate), async (c) => {
      ran()
      await gate.manager.revokeToken(authOf(c.req.raw))
      return c.body(null, 204)
    })
    return serveHandler(app.fetch)
  },
  { options: 404 },
)

describe('rescind/hono', () => {
  let issuer: Issuer
  let gate: Gate
  beforeAll(async () => {
    issuer = await makeIssuer()
    gate = makeGate(issuer)
  })

  it('guards everything after `use`, on any runtime', async () => {
    const app = new Hono<{ Variables: RescindVariables }>()
    app.use(requireToken(gate))
    app.get('/', (c) => c.text(String(c.get('auth').claims.sub)))
    expect((await app.request('/')).status).toBe(401)
    const authorization = `Bearer ${await issuer.sign()}`
    expect(await (await app.request('/', { headers: { authorization } })).text()).toBe('alice')
    const bindings = { incoming: 'a binding of that name' }
    expect((await app.request('/', { headers: { authorization } }, bindings)).status).toBe(200)
  })

  it('keeps the headers of other middlewares, but for those of the denial', async () => {
    const app = new Hono()
    app.use(cors(), async (c, next) => {
      c.res.headers.set('cache-control', 'public')
      await next()
    })
    app.get('/', requireToken(gate), (c) => c.text('reached'))
    const { headers } = await app.request('/', { headers: { origin: 'https://app.example' } })
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('content-type')).toBe('application/problem+json')
  })

  it('marks the answer to a query token as private, unless the handler says more', async () => {
    const app = new Hono()
    const guard = requireToken(gate, { tokenFrom: ['query'] })
    app.get('/plain', guard, () => new Response('raw'))
    app.get('/strict', guard, (c) => c.text('x', 200, { 'cache-control': 'no-store' }))
    const query = `access_token=${await issuer.sign()}`
    expect((await app.request(`/plain?${query}`)).headers.get('cache-control')).toBe('private')
    expect((await app.request(`/strict?${query}`)).headers.get('cache-control')).toBe('no-store')
  })

  it('sees the form that a middleware has read before', async () => {
    const app = new Hono()
    app.post(
      '/',
      async (c, next) => {
        await c.req.parseBody()
        await next()
      },
      requireToken(gate, { tokenFrom: ['form'] }),
      (c) => c.text(String(c.get('auth').claims.sub)),
    )
    const body = new URLSearchParams({ access_token: await issuer.sign() })
    expect(await (await app.request('/', { method: 'POST', body })).text()).toBe('alice')
    const twice = new URLSearchParams([...body, ...body])
    expect((await app.request('/', { method: 'POST', body: twice })).status).toBe(400)
  })
})
