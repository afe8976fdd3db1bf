/**
 * The adapter of Fastify, 5.
 *
 * ```ts
 * await app.register(rescindPlugin, { gate }) // covers this scope and the scopes within
 * app.get('/me', (request) => request.auth.claims)
 * app.get('/admin', { config: { rescind: { scope: 'admin' } } }, handler)
 * app.get('/health', { config: { rescind: false } }, handler)
 * ```
 */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Auth, Gate, Policy, Verdict } from '../gate.js'
import { requestHead } from './node.js'
import { authOf, isPrivate, remember } from './request.js'

export { authOf }

declare module 'fastify' {
  interface FastifyRequest {
    /** The auth of a request that was let through. On a public route, reading it throws. */
    readonly auth: Auth
  }
  interface FastifyContextConfig {
    /** Replaces the policy of `rescindPlugin` for this route; `false` makes the route public. */
    rescind?: Policy | false
  }
}

/** What `app.register(rescindPlugin, …)` takes. */
export interface RescindPluginOptions {
  readonly gate: Gate
  /** For routes that have none of their own in `config.rescind`. Default: any token that passes. */
  readonly policy?: Policy | undefined
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

/**
 * Protects every route of the scope that registers it and of the scopes within, in whatever order; sibling and
 * outer scopes stay as they are. To protect the whole application, register it at the root: then unknown paths
 * are denied too.
 */
export const rescindPlugin: FastifyPluginAsync<RescindPluginOptions> = async (app, options) => {
  const { gate, policy = {} } = options
  const hook = (stage: Stage): Hook => {
    return (request, reply, done) => {
      const wanted = request.routeOptions.config?.rescind ?? policy
      if (wanted === false || stageOf(wanted) !== stage) done()
      else check(gate, request, reply, wanted, done)
    }
  }
  if (!app.hasRequestDecorator('auth')) {
    app.decorateRequest('auth', {
      getter(this: FastifyRequest) {
        return authOf(this.raw)
      },
    })
  }
  app.addHook('onRequest', hook('onRequest'))
  app.addHook('preValidation', hook('preValidation'))
}

// Without this mark the hooks would land in an inner scope of the plugin's own and protect nothing.
Object.assign(rescindPlugin, { [Symbol.for('skip-override')]: true })

export default rescindPlugin

/** Route options that protect one route: `app.get('/me', requireToken(gate), handler)`. */
export function requireToken(gate: Gate, policy: Policy = {}): { onRequest?: Hook; preValidation?: Hook } {
  const hook: Hook = (request, reply, done) => check(gate, request, reply, policy, done)
  return { [stageOf(policy)]: hook }
}

type Stage = 'onRequest' | 'preValidation'

/** As early as possible; but a form is parsed after `onRequest` only. */
function stageOf(policy: Policy): Stage {
  return policy.tokenFrom?.includes('form') === true ? 'preValidation' : 'onRequest'
}

function check(
  gate: Gate,
  request: FastifyRequest,
  reply: FastifyReply,
  policy: Policy,
  done: (error?: Error) => void,
): void {
  const verdict = gate.check(requestHead(request.raw, request.body), policy)
  if (verdict instanceof Promise) verdict.then((later) => settle(request, reply, later, done)).catch(done)
  else settle(request, reply, verdict, done)
}

/** Lets the request go on, or answers it; a hook that answered does not go on. */
function settle(request: FastifyRequest, reply: FastifyReply, verdict: Verdict, done: () => void): void {
  if (!verdict.allowed) {
    const { denial } = verdict
    // As bytes, so that neither a serializer nor a response schema of the route changes it.
    reply
      .code(denial.status)
      .headers(denial.headers)
      .send(Buffer.from(JSON.stringify(denial.body)))
    return
  }
  const { headers } = verdict
  for (const name in headers) if (!isPrivate(reply.getHeader(name))) reply.header(name, headers[name])
  remember(request.raw, verdict.auth)
  if (!('auth' in request)) Object.assign(request, { auth: verdict.auth })
  done()
}
