/**
 * The adapter of Hono, 4.
 *
 * ```ts
 * app.get('/admin', requireToken(gate, { scope: 'admin' }), (c) => c.json(c.get('auth').claims))
 * ```
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Auth, Gate, Policy } from '../gate.js'
import type { RequestHead } from '../token/credentials.js'
import { requestHead } from './fetch.js'
import { remember, takesForm } from './request.js'

export { authOf } from './request.js'

/** What `requireToken` adds to `c.var`: for `new Hono<{ Variables: RescindVariables }>()` with `app.use`. */
export interface RescindVariables {
  auth: Auth
}

/** A middleware that lets only tokens through that pass; `c.get('auth')` has the token's claims. */
export function requireToken(
  gate: Gate,
  policy?: Policy,
): MiddlewareHandler<{ Variables: RescindVariables }> {
  return async (c, next) => {
    const verdict = await gate.check(await headOf(c, policy), policy)
    if (!verdict.allowed) {
      const { denial } = verdict
      // Set one by one, as headers given to `c.body` lose against those that a middleware has set before.
      for (const [name, value] of Object.entries(denial.headers)) c.header(name, value)
      return c.body(JSON.stringify(denial.body), denial.status)
    }
    c.set('auth', verdict.auth)
    remember(c.req.raw, verdict.auth)
    await next()
    for (const [name, value] of Object.entries(verdict.headers)) {
      if (!c.res.headers.has(name)) c.header(name, value)
    }
    return undefined
  }
}

/** On `@hono/node-server` the raw fields of the request are in sight, which tell two tokens from one. */
async function headOf(c: Context, policy: Policy = {}): Promise<RequestHead> {
  const rawHeaders = (c.env as { incoming?: { rawHeaders?: unknown } } | undefined)?.incoming?.rawHeaders
  const raw = Array.isArray(rawHeaders) ? (rawHeaders as string[]) : undefined
  if (!takesForm(c.req.raw, policy.tokenFrom) || !c.req.raw.bodyUsed)
    return requestHead(c.req.raw, policy, raw)
  // A middleware has read the body before, and Hono has kept it.
  return { ...(await requestHead(c.req.raw, {}, raw)), form: await c.req.parseBody({ all: true }) }
}
