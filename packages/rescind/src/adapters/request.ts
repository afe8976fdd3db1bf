/**
 * What all adapters know of a request: its kind, its `Authorization` fields, its query, whether its body is a
 * form, and the auth that a gate gave it. Not an entry of the package; `authOf` is exported by the adapters.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { RescindError } from '../errors.js'
import type { Auth } from '../gate.js'
import type { TokenSource } from '../token/credentials.js'

/** A field of the request that nobody else can name. A `WeakMap` of requests costs 5 µs each in collection. */
const AUTH = Symbol('rescind.auth')

interface Admitted {
  [AUTH]?: Auth
}

/** Keeps the auth of a request that a gate let through. */
export function remember(request: object, auth: Auth): void {
  ;(request as Admitted)[AUTH] = auth
}

/**
 * The auth of a request that a gate let through. Throws `ERR_OPTION_INVALID` for any other, so that a route
 * whose protection was forgotten fails instead of running for nobody.
 */
export function authOf(request: object): Auth {
  const auth = (request as Admitted | undefined)?.[AUTH]
  if (auth !== undefined) return auth
  throw new RescindError('ERR_OPTION_INVALID', 'no gate has let this request through: protect its route')
}

/**
 * Every `Authorization` field. Parsers drop or join repeats, so that those show in the raw fields only;
 * otherwise it is `seen`, the field as the application sees it, which a middleware may have set.
 */
export function authorizationFields(
  rawHeaders: readonly string[] | undefined,
  seen: string | null | undefined,
): readonly string[] {
  let count = 0
  for (let i = 0; i < (rawHeaders?.length ?? 0); i += 2) if (isAuthorization(rawHeaders?.[i])) count += 1
  if (count > 1) return (rawHeaders ?? []).filter((_, i, all) => i % 2 === 1 && isAuthorization(all[i - 1]))
  return typeof seen === 'string' ? [seen] : []
}

/** The raw query string of a URL or of a request target. */
export function queryOf(url: string | undefined): string | undefined {
  const start = url?.indexOf('?') ?? -1
  return start === -1 ? undefined : url?.slice(start + 1)
}

/** RFC 6750 §2.2: a form counts with its content type only, and never in a GET. */
export function isForm(method: string | undefined, contentType: string | null | undefined): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/x-www-form-urlencoded'
}

/** True when the body must be read for the gate: a form, on a route that takes tokens from forms. */
export function takesForm(request: Request, tokenFrom: readonly TokenSource[] | undefined): boolean {
  if (tokenFrom?.includes('form') !== true) return false
  return isForm(request.method, request.headers.get('content-type'))
}

/** Does a header of the response say as much already as what the gate adds to it (RFC 6750 §2.3), or more? */
export function isPrivate(value: unknown): boolean {
  return typeof value === 'string' && /\b(?:private|no-store)\b/i.test(value)
}

function isAuthorization(name: string | undefined): boolean {
  return name?.length === 13 && name.toLowerCase() === 'authorization'
}

/** By shape and not by class: requests of other realms and of test tools are requests too. */
export function isFetchRequest(value: unknown): value is Request {
  const { headers, url, clone } = (value ?? {}) as Partial<Request>
  return typeof headers?.get === 'function' && typeof url === 'string' && typeof clone === 'function'
}

export function isNodeRequest(value: unknown): value is IncomingMessage {
  const { headers, url } = (value ?? {}) as Partial<IncomingMessage>
  return typeof headers === 'object' && typeof url === 'string'
}

export function isNodeResponse(value: unknown): value is ServerResponse {
  const { setHeader, end } = (value ?? {}) as Partial<ServerResponse>
  return typeof setHeader === 'function' && typeof end === 'function'
}
