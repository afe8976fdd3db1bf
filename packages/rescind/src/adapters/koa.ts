/**
 * The adapter of Koa, 2 and 3.
 *
 * ```ts
 * app.use(requireToken(gate)).use((ctx) => (ctx.body = ctx.state.auth.claims))
 * ```
 */
import type { Middleware } from 'koa'
import type { Auth, Gate, Policy } from '../gate.js'
import { requestHead } from './node.js'
import { isPrivate, remember } from './request.js'

export { authOf } from './request.js'

/** What `requireToken` adds to `ctx.state`. */
export interface RescindState {
  auth: Auth
}

/**
 * A middleware that lets only tokens through that pass, and sets `ctx.state.auth`. A token in a form
 * (`tokenFrom: ['form']`) is seen after a body parser that sets `ctx.request.body` only.
 */
export function requireToken(gate: Gate, policy?: Policy): Middleware<RescindState> {
  return async (ctx, next) => {
    const { body } = ctx.request as { body?: unknown }
    const verdict = await gate.check(requestHead(ctx.req, body), policy)
    if (!verdict.allowed) {
      const { denial } = verdict
      ctx.status = denial.status
      ctx.set(denial.headers)
      ctx.body = JSON.stringify(denial.body)
      return
    }
    const { headers } = verdict
    for (const name in headers) if (!isPrivate(ctx.response.get(name))) ctx.set(name, headers[name] as string)
    ctx.state.auth = verdict.auth
    remember(ctx.req, verdict.auth)
    await next()
  }
}
