/** `/ui`: the dashboard's files, and `/ui/session`: signing in to it, staying signed in, and signing out. */
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { RescindError } from 'rescind'
import { z } from 'zod'
import { byKey, credentialsOf } from '../api/client-guard.js'
import { failureProblem, problem } from '../problem.js'
import { hasRole } from '../clients/client.js'
import { SECRET_LENGTH_MAX } from '../clients/secret.js'
import type { Role } from '../config/schema.js'
import type { Parts } from '../parts.js'
import { INDEX, readUiFiles, type UiFile, type UiFiles } from './files.js'
import { isFromOurPage } from './same-origin.js'
import { endSession, forgetSession, openSession, readSession, renewSession, type Session } from './session.js'
import { crossSite, whoIsSignedIn } from './session-guard.js'

/** One of them is enough to sign in. */
const ROLES: readonly Role[] = ['read', 'revoke:any', 'admin']
const BODY_BYTES_MAX = 4096
const signInSchema = z.strictObject({ key: z.string().min(1).max(SECRET_LENGTH_MAX) })

/** Nothing but our own files, and nobody may frame them. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const PAGE_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'x-frame-options': 'DENY',
}

export function uiRoutes(parts: Parts): Hono {
  const app = new Hono()
  sessionRoutes(app, parts)
  const files = readUiFiles()
  if (files.size === 0) parts.log.warn('the dashboard is not built: /ui has nothing to show')
  app.get('/ui', (c) => c.redirect('ui/', 308))
  app.get('/ui/*', (c) => fileAnswer(c, files))
  return app
}

function sessionRoutes(app: Hono, parts: Parts): void {
  app.get('/ui/session', async (c) => {
    const result = await orProblem(c, () => readSession(c, parts))
    if (result instanceof Response) return result
    if (result.status === 'unknown') return failureProblem(c, result.cause)
    // No failure: the page asks when it begins, whoever has opened it.
    return sessionAnswer(c, result.status === 'session' ? result.session : undefined)
  })

  app.post('/ui/session', bodyLimit({ maxSize: BODY_BYTES_MAX, onError: tooLarge }), async (c) => {
    if (!isFromOurPage(c)) return crossSite(c)
    const parsed = signInSchema.safeParse(await c.req.json().catch(() => undefined))
    if (!parsed.success)
      return problem(c, 400, 'request_invalid', 'This takes {"key": "the key of a client"}')
    const key = parsed.data.key.trim()
    const { source } = credentialsOf(c, parts)
    const found = await orProblem(c, async () =>
      byKey(c, await parts.authenticator.authenticate({ authorization: [`Bearer ${key}`], source })),
    )
    if (found instanceof Response) return found
    const { client } = found
    if (!ROLES.some((role) => hasRole(client, role)))
      return problem(c, 403, 'role_insufficient', `The dashboard is for clients with ${ROLES.join(', ')}`)
    parts.log.info({ client: client.id }, 'signed in to the dashboard')
    return sessionAnswer(c, await openSession(c, parts, client, key))
  })

  app.put('/ui/session', async (c) => {
    const found = await orProblem(c, () => whoIsSignedIn(c, parts))
    if (found instanceof Response) return found
    return sessionAnswer(c, found && (await renewSession(c, parts, found.session)))
  })

  app.delete('/ui/session', async (c) => {
    if (!isFromOurPage(c)) return crossSite(c)
    // Whatever happens, this browser is signed out.
    forgetSession(c, parts)
    const ended = await orProblem(c, async () => {
      const result = await readSession(c, parts)
      if (result.status === 'unknown') return failureProblem(c, result.cause)
      if (result.status === 'session') await endSession(parts, result.session)
      return undefined
    })
    return ended ?? sessionAnswer(c, undefined)
  })
}

/** Who is signed in, what they may do, and until when. */
function sessionAnswer(c: Context, session: Session | undefined): Response {
  c.header('cache-control', 'no-store')
  if (session === undefined) return c.json({ client: null })
  const { client, expiresAt, endsAt } = session
  const { id, name = null, roles } = client
  return c.json({ client: { id, name, roles }, expiresAt, endsAt })
}

async function orProblem<T>(c: Context, work: () => Promise<T>): Promise<T | Response> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof RescindError) return failureProblem(c, error)
    throw error
  }
}

function tooLarge(c: Context): Response {
  return problem(c, 413, 'body_too_large', `The body may take ${BODY_BYTES_MAX} bytes`)
}

/** A path of the dashboard without a file is one of its pages, which the script knows. */
function fileAnswer(c: Context, files: UiFiles): Response {
  const name = c.req.path.slice('/ui/'.length)
  const file = files.get(name) ?? (/^[a-z/]*$/.test(name) ? files.get(INDEX) : undefined)
  if (file === undefined) {
    return files.size === 0
      ? problem(c, 503, 'dashboard_missing', 'The dashboard is not built: run `npm run build`')
      : problem(c, 404, 'not_found', 'The dashboard has no such file')
  }
  return bodyAnswer(c, file)
}

function bodyAnswer(c: Context, { type, body, gzipped, isHashed }: UiFile): Response {
  const isZipped = gzipped !== undefined && /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
  return c.body(isZipped ? gzipped : body, 200, {
    ...PAGE_HEADERS,
    'content-type': type,
    'cache-control': isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    vary: 'accept-encoding',
    ...(isZipped ? { 'content-encoding': 'gzip' } : {}),
  })
}
