/** `/healthz`: the process works. `/readyz`: it may be asked, that is, it is fresh. `/metrics`, for Prometheus. */
import { Hono } from 'hono'
import type { Parts } from '../parts.js'

export function observeRoutes({ manager, metrics, stopping }: Parts): Hono {
  const app = new Hono()
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', (c) => {
    const { replica } = manager
    const isFresh = replica?.isFreshWithin(replica.stalenessMaxMs) === true
    if (stopping.aborted) return c.json({ status: 'stopping' }, 503)
    return isFresh ? c.json({ status: 'ready' }) : c.json({ status: 'stale' }, 503, { 'retry-after': '1' })
  })
  app.get('/metrics', async (c) => {
    const { registry } = metrics
    return c.body(await registry.metrics(), 200, { 'content-type': registry.contentType })
  })
  return app
}
