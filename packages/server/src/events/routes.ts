/** `/events`: every change, as it happens, for people and tools; and `/store/v1`, for nodes. */
import { Hono } from 'hono'
import { requireRole } from '../api/client-guard.js'
import { failureFields } from '../log.js'
import type { Parts } from '../parts.js'
import { ChangeFeed } from './change-feed.js'
import { clockOf } from './moment.js'
import { storeRoutes } from './store-routes.js'
import { Streams } from './streams.js'

export function eventsRoutes(parts: Parts): Hono {
  const clock = clockOf(parts.now)
  const streams = new Streams(parts)
  const feed = new ChangeFeed({ store: parts.store, clock, log: parts.log, stopping: parts.stopping })
  const app = new Hono()
  app.get('/events', requireRole(parts, 'read'), (c) => {
    // The header is what a client sends that comes back (WHATWG HTML, 9.2.4), and newer than the address it was given.
    const after = c.req.header('last-event-id') ?? c.req.query('after')
    const stream = streams.open(c, {
      heartbeat: () => feed.heartbeat(opened),
      onEnd: () => feed.leave(opened),
    })
    if (stream instanceof Response) return stream
    const opened = stream
    feed.follow(opened, after).catch((error: Error) => {
      parts.log.error(failureFields(error), 'a stream of changes failed')
      opened.cut()
    })
    return opened.response
  })
  app.route('/', storeRoutes(parts, streams, clock))
  return app
}
