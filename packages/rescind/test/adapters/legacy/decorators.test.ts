/** The legacy dialect (`experimentalDecorators`), compiled by TypeScript from `@decorator` syntax. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import express from 'express'
import { authOf, tokenDecorator } from '../../../src/adapters/decorators.js'
import type { Gate } from '../../../src/gate.js'
import { adapterContract } from '../contract.js'
import { decoratorBehaviour } from '../decorator-behaviour.js'
import { listen, serveFetch, serveNode } from '../http.js'

const json = (res: ServerResponse, value: unknown) => void res.end(JSON.stringify(value))

adapterContract(
  'rescind/decorators (legacy) on methods of node:http',
  (gate, ran) => {
    const requireToken = tokenDecorator(gate)
    class Api {
      constructor(private readonly gate: Gate) {}
      open(_req: IncomingMessage, res: ServerResponse) {
        json(res, { open: true })
      }
      @requireToken()
      protected(req: IncomingMessage, res: ServerResponse) {
        ran()
        json(res, { sub: authOf(req).claims.sub })
      }
      @requireToken({ scope: 'admin' })
      static admin(req: IncomingMessage, res: ServerResponse) {
        ran()
        json(res, { sub: authOf(req).claims.sub })
      }
      @requireToken({ tokenFrom: ['header', 'query'] })
      query(req: IncomingMessage, res: ServerResponse) {
        ran()
        json(res, { sub: authOf(req).claims.sub })
      }
      @requireToken({ tokenFrom: ['header', 'form'] })
      form(req: IncomingMessage, res: ServerResponse) {
        ran()
        json(res, { sub: authOf(req).claims.sub })
      }
      @requireToken()
      async logout(req: IncomingMessage, res: ServerResponse) {
        ran()
        await this.gate.manager.revokeToken(authOf(req))
        res.writeHead(204).end()
      }
    }
    const api = new Api(gate)
    return serveNode({
      'GET /open': (req, res) => api.open(req, res),
      'GET /protected': (req, res) => api.protected(req, res),
      'GET /admin': (req, res) => Api.admin(req, res),
      'GET /query': (req, res) => api.query(req, res),
      'POST /form': (req, res) => api.form(req, res),
      'POST /logout': (req, res) => api.logout(req, res),
    })
  },
  { options: 404, hasNoForms: true },
)

adapterContract(
  'rescind/decorators (legacy) on a class of Express',
  (gate, ran) => {
    const requireToken = tokenDecorator(gate)
    @requireToken()
    class Api {
      constructor(private readonly gate: Gate) {}
      static open(_req: express.Request, res: express.Response) {
        res.json({ open: true })
      }
      protected(req: express.Request, res: express.Response) {
        ran()
        res.json({ sub: authOf(req).claims.sub })
      }
      @requireToken({ scope: 'admin' })
      admin(req: express.Request, res: express.Response) {
        ran()
        res.json({ sub: authOf(req).claims.sub })
      }
      @requireToken({ tokenFrom: ['header', 'query'] })
      query(req: express.Request, res: express.Response) {
        ran()
        res.json({ sub: authOf(req).claims.sub })
      }
      @requireToken({ tokenFrom: ['header', 'form'] })
      form(req: express.Request, res: express.Response) {
        ran()
        res.json({ sub: authOf(req).claims.sub, note: (req.body as { note?: string } | undefined)?.note })
      }
      async logout(req: express.Request, res: express.Response) {
        ran()
        await this.gate.manager.revokeToken(authOf(req))
        res.status(204).end()
      }
    }
    const api = new Api(gate)
    const app = express()
    app.get('/open', (req, res) => Api.open(req, res))
    app.get('/protected', (req, res) => api.protected(req, res))
    app.get('/admin', (req, res) => api.admin(req, res))
    app.get('/query', (req, res) => api.query(req, res))
    app.post('/form', express.urlencoded(), (req, res) => api.form(req, res))
    app.post('/logout', (req, res) => api.logout(req, res))
    return listen(createServer(app as RequestListener))
  },
  { options: 200 },
)

adapterContract(
  'rescind/decorators (legacy) on methods of Fetch',
  (gate, ran) => {
    const requireToken = tokenDecorator(gate)
    @requireToken()
    class Api {
      constructor(private readonly gate: Gate) {}
      async protected(request: Request): Promise<Response> {
        ran()
        return Response.json({ sub: authOf(request).claims.sub })
      }
      @requireToken({ scope: 'admin' })
      async admin(request: Request): Promise<Response> {
        ran()
        return Response.json({ sub: authOf(request).claims.sub })
      }
      @requireToken({ tokenFrom: ['header', 'query'] })
      async query(request: Request): Promise<Response> {
        ran()
        return Response.json({ sub: authOf(request).claims.sub })
      }
      @requireToken({ tokenFrom: ['header', 'form'] })
      async form(request: Request): Promise<Response> {
        const note = new URLSearchParams(await request.text()).get('note')
        ran()
        return Response.json({ sub: authOf(request).claims.sub, note })
      }
      async logout(request: Request): Promise<Response> {
        ran()
        await this.gate.manager.revokeToken(authOf(request))
        return new Response(null, { status: 204 })
      }
    }
    const api = new Api(gate)
    return serveFetch({
      'GET /open': () => Response.json({ open: true }),
      'GET /protected': (request) => api.protected(request),
      'GET /admin': (request) => api.admin(request),
      'GET /query': (request) => api.query(request),
      'POST /form': (request) => api.form(request),
      'POST /logout': (request) => api.logout(request),
    })
  },
  { options: 404, joinsFields: true },
)

decoratorBehaviour('legacy', (requireToken) => {
  class Methods {
    readonly name = 'this one'
    @requireToken()
    async list(_request: Request, ...rest: unknown[]): Promise<Response> {
      return Response.json([this.name, ...rest])
    }
    @requireToken()
    async handle(_req: IncomingMessage, _res: ServerResponse, ..._rest: unknown[]): Promise<unknown> {
      return this.name
    }
    @requireToken()
    async fail(_req: IncomingMessage, _res: ServerResponse, _next?: unknown): Promise<void> {
      throw new Error('the handler failed')
    }
    @requireToken()
    static async shared(_request: Request, one: string): Promise<Response> {
      return Response.json([one])
    }
  }
  @requireToken({ scope: 'class' })
  class Whole {
    readonly field = 'kept'
    plain(_request: Request): Promise<Response> | Response {
      return new Response('plain')
    }
    @requireToken({ scope: 'method' })
    own(_request: Request): Promise<Response> | Response {
      return new Response('own')
    }
    get value(): string {
      return this.field
    }
    static make(): Whole {
      return new Whole()
    }
    *[Symbol.iterator](): Generator<string> {
      yield this.field
    }
  }
  let argumentsOfMethod = 0
  const count = (...args: unknown[]) => void (argumentsOfMethod = args.length)
  class Counted {
    @count
    method() {}
  }
  const wrongUses = [
    () => {
      class Wrong {
        // @ts-expect-error: it decorates methods and classes
        @requireToken()
        field = (_request: Request) => new Response('unprotected')
      }
      return Wrong
    },
    () => {
      class Wrong {
        // @ts-expect-error: it decorates methods and classes
        @requireToken()
        get handler() {
          return 'unprotected'
        }
      }
      return Wrong
    },
    () => {
      class Wrong {
        // @ts-expect-error: a static field is no method either
        @requireToken()
        static field = (_request: Request) => new Response('unprotected')
      }
      return Wrong
    },
  ]
  class NoRequest {
    // @ts-expect-error: the method takes no request
    @requireToken()
    method(_name: string) {}
  }
  void [Counted, NoRequest]
  return { methods: new Methods(), Methods, Whole, argumentsOfMethod, wrongUses }
})
