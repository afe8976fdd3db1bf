/**
 * The adapter of Express, 4 and 5.
 *
 * ```ts
 * app.get('/admin', requireToken(gate, { scope: 'admin' }), (req, res) => res.json(req.auth?.claims))
 * ```
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Auth, Gate, Policy } from '../gate.js'
import { admit } from './node.js'

export { authOf } from './request.js'

declare global {
  // Express gathers the types of middlewares in this namespace.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace Express {
    interface Request {
      /** Set by `requireToken` of `rescind/express`. */
      auth?: Auth
    }
  }
}

/**
 * A middleware that lets only tokens through that pass, and sets `req.auth`. A token in a form
 * (`tokenFrom: ['form']`) is seen after `express.urlencoded()` only. Failures go to `next(error)`.
 */
export function requireToken(
  gate: Gate,
  policy?: Policy,
): (req: IncomingMessage & { auth?: Auth }, res: ServerResponse, next: (error?: unknown) => void) => void {
  // Without types of Express, whose handlers would keep it from inferring the parameters of the path.
  return (req, res, next) => {
    const goOn = (auth: Auth | undefined) => {
      if (auth === undefined) return
      req.auth = auth
      next()
    }
    const auth = admit(gate, req, res, policy)
    if (auth instanceof Promise) auth.then(goOn, next)
    else goOn(auth)
  }
}
