/**
 * Method and class decorators, in the dialect of TC39 and in the legacy one (`experimentalDecorators`).
 *
 * ```ts
 * const requireToken = tokenDecorator(gate)
 *
 * class Reports {
 *   @requireToken({ scope: 'reports' })
 *   async list(request: Request): Promise<Response> {
 *     return Response.json(authOf(request).claims)
 *   }
 * }
 * ```
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { RescindError } from '../errors.js'
import type { Gate, Policy } from '../gate.js'
import { protect } from './fetch.js'
import { admit } from './node.js'
import { isFetchRequest, isNodeRequest, isNodeResponse } from './request.js'

export { authOf } from './request.js'

/** `(req, res, ...)` as in `node:http` and Express, or `(request, ...) => Response` as in Fetch. */
type Method<Q extends AnyRequest, Rest extends unknown[], R> = (request: Q, ...rest: Rest) => R
type AnyRequest = IncomingMessage | Request
type AnyClass = abstract new (...args: never) => object
type AnyMethod = (this: unknown, ...args: unknown[]) => unknown

/** Decorates a method, of instances or static, or a class. */
export interface TokenDecorator {
  <Q extends AnyRequest, Rest extends unknown[], R>(
    method: Method<Q, Rest, R>,
    context: ClassMethodDecoratorContext,
  ): (this: unknown, request: Q, ...rest: Rest) => R
  (target: AnyClass, context: ClassDecoratorContext): void
  <Q extends AnyRequest, Rest extends unknown[], R>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method<Q, Rest, R>>,
  ): void
  (target: AnyClass): void
}

const guardedMethods = new WeakSet<AnyMethod>()

/**
 * Makes the decorator `requireToken` of a gate. A decorated method runs only for tokens that pass, and returns
 * a promise; where it is called with `next` (Express), failures go there. A decorated class decorates every
 * method in its body, but for static ones and those with a decorator of their own. Inherited methods, and
 * functions in fields, are not covered.
 */
export function tokenDecorator(gate: Gate): (policy?: Policy) => TokenDecorator {
  return (policy) => {
    const decorate = (target: unknown, contextOrName?: unknown, descriptor?: PropertyDescriptor): unknown => {
      const kind = contextOrName === undefined ? 'class' : (contextOrName as DecoratorContext).kind
      if (descriptor !== undefined) {
        descriptor.value = guard(gate, descriptor.value, policy)
        return undefined
      }
      if (kind === 'method') return guard(gate, target, policy)
      if (kind !== 'class') throw new RescindError('ERR_OPTION_INVALID', ONLY_METHODS)
      guardClass(gate, (target as AnyClass).prototype as object, policy)
      return undefined
    }
    return decorate as TokenDecorator
  }
}

const ONLY_METHODS = 'requireToken decorates methods and classes: make it a method'

function guardClass(gate: Gate, prototype: object, policy: Policy | undefined): void {
  for (const key of Reflect.ownKeys(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key)
    const method: unknown = descriptor?.value
    // The language itself calls methods such as `[Symbol.dispose]`, with no request.
    const isProtocol = typeof key === 'symbol' && key.description?.startsWith('Symbol.') === true
    if (key === 'constructor' || isProtocol || typeof method !== 'function') continue
    if (guardedMethods.has(method as AnyMethod)) continue
    Object.defineProperty(prototype, key, { ...descriptor, value: guard(gate, method, policy) })
  }
}

function guard(gate: Gate, method: unknown, policy: Policy | undefined): AnyMethod {
  if (typeof method !== 'function') throw new RescindError('ERR_OPTION_INVALID', ONLY_METHODS)
  const { name, length } = method
  const guarded: AnyMethod = function (...args) {
    const [request, response, next] = args
    const run = () => (method as AnyMethod).apply(this, args)
    if (isFetchRequest(request)) return protect(gate, run as () => Promise<Response>, policy)(request)
    if (isNodeRequest(request) && isNodeResponse(response)) {
      return runNode(gate, request, response, policy, run, next)
    }
    const wanted = '(req, res) of node:http or Express, or with a Request'
    throw new RescindError('ERR_OPTION_INVALID', `${name} needs a token: call it with ${wanted}`)
  }
  guardedMethods.add(guarded)
  const kept = (value: unknown) => ({ value, configurable: true })
  return Object.defineProperties(guarded, { name: kept(name), length: kept(length) })
}

async function runNode(
  gate: Gate,
  req: IncomingMessage,
  res: ServerResponse,
  policy: Policy | undefined,
  run: () => unknown,
  next: unknown,
): Promise<unknown> {
  try {
    return (await admit(gate, req, res, policy)) === undefined ? undefined : await run()
  } catch (error) {
    // Express 4 does not look at the promise that a handler returns.
    if (typeof next !== 'function') throw error
    return (next as AnyMethod)(error)
  }
}
