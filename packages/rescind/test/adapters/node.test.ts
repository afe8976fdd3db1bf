import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { authOf, protect, requestHead } from '../../src/adapters/node.js'
import type { Auth } from '../../src/gate.js'
import { makeIssuer } from '../support/issuer.js'
import { adapterContract, makeGate } from './contract.js'
import { ask, serveNode } from './http.js'

const json = (res: ServerResponse, value: unknown) => void res.end(JSON.stringify(value))

adapterContract(
  'rescind/node',
  (gate, ran) => {
    const sub = (_req: IncomingMessage, res: ServerResponse, auth: Auth) => {
      ran()
      json(res, { sub: auth.claims.sub })
    }
    return serveNode({
      'GET /open': (_req, res) => json(res, { open: true }),
      'GET /protected': protect(gate, sub),
      'GET /admin': protect(gate, sub, { scope: 'admin' }),
      'GET /query': protect(gate, sub, { tokenFrom: ['header', 'query'] }),
      'POST /form': protect(gate, sub, { tokenFrom: ['header', 'form'] }),
      'POST /logout': protect(gate, async (req, res) => {
        ran()
        await gate.manager.revokeToken(authOf(req))
        res.writeHead(204).end()
      }),
    })
  },
  { options: 404, hasNoForms: true },
)

describe('rescind/node', () => {
  it("hands on the handler's failure as the promise of the listener", async () => {
    const issuer = await makeIssuer()
    const listener = protect(makeGate(issuer), async () => {
      throw new Error('the handler failed')
    })
    let failure: unknown
    const served = await serveNode({
      'GET /': (req, res) =>
        listener(req, res).catch((error: unknown) => {
          failure = error
          res.writeHead(500).end()
        }),
    })
    const answer = await ask(served.url, { authorization: [`Bearer ${await issuer.sign()}`] })
    await served.close()
    expect(answer.status).toBe(500)
    expect(failure).toEqual(new Error('the handler failed'))
  })

  it.each([
    ['no-store', 'no-store'],
    ['private, max-age=60', 'private, max-age=60'],
    ['public, max-age=60', 'private'],
  ])(
    'keeps a cache-control of %s only where that lets nobody else keep the answer',
    async (before, after) => {
      const issuer = await makeIssuer()
      const listener = protect(makeGate(issuer), (_req, res) => void res.end(), { tokenFrom: ['query'] })
      const served = await serveNode({
        'GET /': (req, res) => {
          res.setHeader('cache-control', before)
          return listener(req, res)
        },
      })
      const { headers } = await ask(`${served.url}/?access_token=${await issuer.sign()}`)
      await served.close()
      expect(headers['cache-control']).toEqual([after])
    },
  )

  it('gives no auth for a request that no gate let through', () => {
    expect(() => authOf({})).toThrow(expect.objectContaining({ code: 'ERR_OPTION_INVALID' }))
  })

  describe('reads of a request', () => {
    const request = (parts: object) =>
      requestHead({ method: 'POST', headers: {}, ...parts } as IncomingMessage)

    it('every Authorization field, of which the parser keeps the first only', () => {
      const rawHeaders = ['Authorization', 'Bearer a', 'Accept', '*/*', 'AUTHORIZATION', 'Bearer b']
      const head = request({ rawHeaders, headers: { authorization: 'Bearer a' } })
      expect(head.authorization).toEqual(['Bearer a', 'Bearer b'])
    })

    it.each([
      ['set by a middleware', 'Bearer b', ['Bearer b']],
      ['removed by a middleware', undefined, []],
    ])('the field as it was %s', (_, authorization, seen) => {
      const head = request({ rawHeaders: ['authorization', 'Bearer a'], headers: { authorization } })
      expect(head.authorization).toEqual(seen)
    })

    it('the field where there are no raw ones, as in some serverless hosts', () => {
      expect(request({ headers: { authorization: 'Bearer a' } }).authorization).toEqual(['Bearer a'])
    })

    it('a value that reads like the name of the field as a value', () => {
      expect(request({ rawHeaders: ['x', 'authorization', 'y', 'Bearer a'] }).authorization).toEqual([])
    })

    it.each([
      ['/a', undefined],
      ['/a?', ''],
      ['/a?b=c?d', 'b=c?d'],
      ['http://host/a?b', 'b'],
      [undefined, undefined],
    ])('the query of %s', (url, query) => {
      expect(request({ url }).query).toBe(query)
    })

    it.each([
      ['POST', 'application/x-www-form-urlencoded', true],
      ['PUT', 'Application/X-WWW-Form-Urlencoded ; charset=utf-8', true],
      ['GET', 'application/x-www-form-urlencoded', false],
      ['HEAD', 'application/x-www-form-urlencoded', false],
      ['POST', 'application/json', false],
      ['POST', 'multipart/form-data; boundary=application/x-www-form-urlencoded', false],
      ['POST', undefined, false],
    ])('the body that was parsed of a %s with %s: %s', (method, type, isRead) => {
      const body = { access_token: 'a' }
      expect(request({ method, headers: { 'content-type': type }, body }).form).toEqual(
        isRead ? body : undefined,
      )
    })
  })
})
