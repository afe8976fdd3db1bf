import { createRequire } from 'node:module'
import { createServer } from 'node:http'
import { bodyParser } from '@koa/bodyparser'
import Koa, { type Middleware } from 'koa'
import { authOf, requireToken, type RescindState } from '../../src/adapters/koa.js'
import { adapterContract } from './contract.js'
import { listen } from './http.js'

// Types of Koa 3 for both: what the routes use is the same.
const Koa2 = createRequire(import.meta.url)('koa2') as typeof Koa

const VERSIONS: [string, typeof Koa][] = [
  ['Koa 3', Koa],
  ['Koa 2', Koa2],
]

for (const [version, Framework] of VERSIONS) {
  adapterContract(
    `rescind/koa on ${version}`,
    (gate, ran) => {
      const app = new Framework()
      const route = (method: string, path: string, ...handlers: Middleware<RescindState>[]) => {
        for (const handler of handlers) {
          app.use((ctx, next) => {
            const asked = ctx.method === 'HEAD' ? 'GET' : ctx.method
            return asked === method && ctx.path === path ? handler(ctx, next) : next()
          })
        }
      }
      const sub: Middleware<RescindState> = (ctx) => {
        ran()
        ctx.body = { sub: ctx.state.auth.claims.sub }
      }
      app.use(bodyParser())
      route('GET', '/open', (ctx) => {
        ctx.body = { open: true }
      })
      route('GET', '/protected', requireToken(gate), sub)
      route('GET', '/admin', requireToken(gate, { scope: 'admin' }), sub)
      route('GET', '/query', requireToken(gate, { tokenFrom: ['header', 'query'] }), sub)
      route('POST', '/form', requireToken(gate, { tokenFrom: ['header', 'form'] }), (ctx) => {
        ran()
        const { note } = ctx.request.body as { note?: string }
        ctx.body = { sub: ctx.state.auth.claims.sub, note }
      })
      route('POST', '/logout', requireToken(gate), async (ctx) => {
        ran()
        await gate.manager.revokeToken(authOf(ctx.req))
        ctx.status = 204
      })
      const handle = app.callback()
      return listen(createServer((req, res) => void handle(req, res)))
    },
    { options: 404, answersFailures: true },
  )
}
