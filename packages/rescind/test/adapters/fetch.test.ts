import { beforeAll, describe, expect, it, vi } from 'vitest'
import { authOf, protect } from '../../src/adapters/fetch.js'
import type { Auth, Gate } from '../../src/gate.js'
import { type Issuer, makeIssuer } from '../support/issuer.js'
import { adapterContract, makeGate } from './contract.js'
import { serveFetch } from './http.js'

adapterContract(
  'rescind/fetch on @hono/node-server',
  (gate, ran) => {
    const sub = (_request: Request, auth: Auth) => {
      ran()
      return Response.json({ sub: auth.claims.sub })
    }
    return serveFetch({
      'GET /open': () => Response.json({ open: true }),
      'GET /protected': protect(gate, sub),
      'GET /admin': protect(gate, sub, { scope: 'admin' }),
      'GET /query': protect(gate, sub, { tokenFrom: ['header', 'query'] }),
      'POST /form': protect(
        gate,
        async (request, auth) => {
          ran()
          const note = new URLSearchParams(await request.text()).get('note')
          return Response.json({ sub: auth.claims.sub, note })
        },
        { tokenFrom: ['header', 'form'] },
      ),
      'POST /logout': protect(gate, async (request) => {
        ran()
        await gate.manager.revokeToken(authOf(request))
        return new Response(null, { status: 204 })
      }),
    })
  },
  { options: 404, joinsFields: true },
)

describe('rescind/fetch', () => {
  let issuer: Issuer
  let gate: Gate
  beforeAll(async () => {
    issuer = await makeIssuer()
    gate = makeGate(issuer)
  })
  const post = (body: URLSearchParams | ReadableStream<Uint8Array>) =>
    new Request('http://api.example/', { method: 'POST', body, duplex: 'half' })

  it('passes on what follows the request: environment, context, parameters', async () => {
    const handler = protect(gate, (_request, auth, env: { name: string }, count: number) =>
      Response.json([auth.claims.sub, env.name, count]),
    )
    const headers = { authorization: `Bearer ${await issuer.sign()}` }
    const response = await handler(new Request('http://api.example/', { headers }), { name: 'env' }, 7)
    expect(await response.json()).toEqual(['alice', 'env', 7])
  })

  it('adds its headers to a response that cannot be changed, and changes none that is there', async () => {
    const policy = { tokenFrom: ['query'] } as const
    const url = `http://api.example/?access_token=${await issuer.sign()}`
    const redirect = protect(gate, () => Response.redirect('http://api.example/next', 303), policy)
    const moved = await redirect(new Request(url))
    expect([moved.status, moved.headers.get('location')]).toEqual([303, 'http://api.example/next'])
    expect(moved.headers.get('cache-control')).toBe('private')
    const strict = protect(
      gate,
      () => new Response('x', { headers: { 'cache-control': 'no-store' } }),
      policy,
    )
    expect((await strict(new Request(url))).headers.get('cache-control')).toBe('no-store')
  })

  it('cannot find a token in a form that was read before, and says so as of any without one', async () => {
    const handler = protect(gate, () => new Response('x'), { tokenFrom: ['form'] })
    const request = post(new URLSearchParams({ access_token: await issuer.sign() }))
    await request.text()
    expect((await handler(request)).status).toBe(401)
  })

  it('returns the very response of the handler where there is nothing to add', async () => {
    const own = new Response('own')
    const headers = { authorization: `Bearer ${await issuer.sign()}` }
    expect(await protect(gate, () => own)(new Request('http://api.example/', { headers }))).toBe(own)
  })

  it("rejects with the handler's failure", async () => {
    const headers = { authorization: `Bearer ${await issuer.sign()}` }
    const failing = protect(gate, () => Promise.reject(new Error('the handler failed')))
    await expect(failing(new Request('http://api.example/', { headers }))).rejects.toThrow(
      'the handler failed',
    )
  })

  it('does not touch the body where the route takes no token from it', async () => {
    const request = post(new URLSearchParams({ access_token: await issuer.sign() }))
    const clone = vi.spyOn(request, 'clone')
    expect((await protect(gate, () => new Response('x'))(request)).status).toBe(401)
    expect(clone).not.toHaveBeenCalled()
    expect(request.bodyUsed).toBe(false)
  })

  it('reads no more than 64 KiB of a form, and the handler still gets all of it', async () => {
    const policy = { tokenFrom: ['header', 'form'] } as const
    const handler = protect(
      gate,
      async (request) => new Response(String((await request.text()).length)),
      policy,
    )
    const token = await issuer.sign()
    const long = new URLSearchParams({ filler: 'x'.repeat(200_000), access_token: token })
    expect((await handler(post(long))).status).toBe(401)
    const request = post(long)
    request.headers.set('authorization', `Bearer ${token}`)
    expect(await (await handler(request)).text()).toBe(String(long.toString().length))
  })

  it('stops an endless form', async () => {
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1
        controller.enqueue(new Uint8Array(16_384).fill(120))
      },
    })
    const request = post(endless)
    request.headers.set('content-type', 'application/x-www-form-urlencoded')
    const handler = protect(gate, () => new Response('x'), { tokenFrom: ['form'] })
    expect((await handler(request)).status).toBe(401)
    expect(sent).toBeLessThan(10)
  })
})
