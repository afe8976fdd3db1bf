/**
 * All routes of the service: what gateways ask, on the socket itself, and the rest on one Hono app, with what holds for
 * each of them: headers, log and metrics.
 */
import type { Http2Bindings, HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { routePath } from 'hono/route'
import { apiRoutes } from './api/routes.js'
import { problem } from './problem.js'
import { eventsRoutes } from './events/routes.js'
import { type Forward, forwardRoutes } from './forward/routes.js'
import { oauthRoutes } from './oauth/routes.js'
import { failureFields } from './log.js'
import { observeRoutes } from './observe/routes.js'
import { traceRequests } from './observe/tracing.js'
import type { Parts } from './parts.js'
import { uiRoutes } from './ui/routes.js'

export interface App {
  /** Asked first, on the socket. */
  readonly forward: Forward
  readonly fetch: (request: Request, env: HttpBindings | Http2Bindings) => Response | Promise<Response>
}

export function makeApp(parts: Parts): App {
  const { log, metrics } = parts
  const app = new Hono()
  app.use(async (c, next) => {
    const started = performance.now()
    await next()
    const seconds = (performance.now() - started) / 1000
    c.res.headers.set('x-content-type-options', 'nosniff')
    // The pattern and not the path: labels stay few, and nothing of a request is written down.
    const route = routePath(c, -1)
    metrics.requests.observe({ route, status: c.res.status }, seconds)
    log.debug(
      { method: c.req.method, route, status: c.res.status, ms: Math.round(seconds * 1e6) / 1000 },
      'request',
    )
  })
  if (parts.config.tracing) app.use(traceRequests())
  for (const routes of [oauthRoutes, eventsRoutes, apiRoutes, observeRoutes, uiRoutes])
    app.route('/', routes(parts))
  app.notFound((c) => problem(c, 404, 'not_found', 'There is nothing under this path'))
  app.onError((error, c) => {
    log.error(failureFields(error), 'request failed')
    return problem(c, 500, 'internal', 'The service has failed; its log says why')
  })
  return { forward: forwardRoutes(parts), fetch: (request, env) => app.fetch(request, env) }
}
