/** The OAuth endpoints: RFC 7009, RFC 7662 with RFC 9701, and what describes them. */
import { Hono } from 'hono'
import type { Parts } from '../parts.js'
import { failureAnswer, methodNotAllowed } from './answer.js'
import { introspectEndpoint } from './introspect.js'
import { keySet, resourceMetadata, serverMetadata } from './metadata.js'
import { revokeEndpoint } from './revoke.js'

export function oauthRoutes(parts: Parts): Hono {
  const app = new Hono()
  app.onError((error, c) => failureAnswer(c, error, parts.log))

  app.post('/revoke', revokeEndpoint(parts))
  app.post('/introspect', introspectEndpoint(parts))
  for (const path of ['/revoke', '/introspect']) app.all(path, (c) => methodNotAllowed(c, 'POST'))

  const described = {
    '/jwks.json': keySet(parts),
    ...atWellKnown(parts, 'oauth-authorization-server', serverMetadata(parts)),
    ...atWellKnown(parts, 'oauth-protected-resource', resourceMetadata(parts)),
  }
  for (const [path, handler] of Object.entries(described)) {
    app.get(path, handler)
    app.all(path, (c) => methodNotAllowed(c, 'GET, HEAD'))
  }
  return app
}

/**
 * RFC 8414 §3.1 and RFC 9728 §3.1: the well-known part stands before the path of the issuer. Without that path too, for
 * a proxy that has taken it off.
 */
function atWellKnown<T>({ publicUrl }: Parts, name: string, handler: T): Readonly<Record<string, T>> {
  const path = new URL(publicUrl).pathname.replace(/\/$/, '')
  return { [`/.well-known/${name}`]: handler, [`/.well-known/${name}${path}`]: handler }
}
