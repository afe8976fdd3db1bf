/** How each kind of gateway tells of the original request, and what it makes of an answer. */
import type { IncomingMessage } from 'node:http'

export interface Gateway {
  /** Where the path and the method of the original request stand; undefined: in the request itself. */
  readonly pathHeader: string | undefined
  readonly methodHeader: string | undefined
  /** A 400 would reach the client as a failure of the gateway: it is said with 401 instead. */
  readonly isWithout400: boolean
}

/**
 * Traefik's ForwardAuth and Caddy's `forward_auth` write these by themselves, over whatever the client has sent. A
 * gateway is believed only in its own headers: any others would be the client's.
 */
export const STANDARD: Gateway = {
  pathHeader: 'x-forwarded-uri',
  methodHeader: 'x-forwarded-method',
  isWithout400: false,
}

/** `auth_request` knows 2xx, 401 and 403; anything else is a 500 to it. */
export const NGINX: Gateway = {
  pathHeader: 'x-original-uri',
  methodHeader: 'x-original-method',
  isWithout400: true,
}

/** `ext_authz` appends the path to `path_prefix` and keeps the method. */
export const ENVOY: Gateway = { pathHeader: undefined, methodHeader: undefined, isWithout400: false }

/** A header that came twice is joined with a space, which no path and no method has. */
export function toldIn(incoming: IncomingMessage, header: string): string | undefined {
  const value = incoming.headers[header]
  return typeof value === 'string' ? value : undefined
}
