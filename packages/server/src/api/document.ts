/** The OpenAPI 3.1 document, made of the schemas that validate. */
import { type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi'
import type { Endpoint } from './endpoint.js'
import { problemSchema } from './schema.js'

export type Description = RouteConfig

/** What every endpoint may answer beside its own. */
const EVERY: Readonly<Record<number, string>> = {
  400: 'The request cannot be used; problems lists all that is wrong with it',
  401: 'No key, or one that is not accepted',
  403: 'The client has none of the roles that this needs',
  429: 'The client asks too often, or too many wrong keys were tried; Retry-After says when to ask again',
  503: 'The store cannot be reached, or did not do it; Retry-After says when to ask again',
}
const TYPE: Readonly<Record<number, string>> = { 415: 'The body is of another type' }
const LENGTH: Readonly<Record<number, string>> = { 413: 'The body is too long' }
const OF_REPETITION: Readonly<Record<number, string>> = {
  409: 'A request with this Idempotency-Key is being done',
  422: 'The Idempotency-Key was used for another request',
}
const KEY_HEADER = z.object({
  'Idempotency-Key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .openapi({ description: 'The same key and body are answered as the first time, for 24 hours' }),
})

export function describeEndpoint(base: string, endpoint: Endpoint): Description {
  const {
    method,
    path,
    tag,
    summary,
    description,
    roles,
    params,
    query,
    body,
    answer,
    status = 200,
  } = endpoint
  return {
    method,
    path: base + path,
    tags: [tag],
    operationId: operationIdOf(method, path),
    summary,
    description: [description, `For clients with the role ${[...roles, 'admin'].join(' or ')}.`]
      .filter((each) => each !== undefined)
      .join(' '),
    security: SECURITY,
    request: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(endpoint.isRepeatable === true ? { headers: KEY_HEADER } : {}),
      ...(body === undefined
        ? {}
        : { body: { required: true, content: { 'application/json': { schema: body } } } }),
    },
    responses: {
      [status]: { description: 'Done', content: { 'application/json': { schema: answer } } },
      ...failuresOf(endpoint),
    },
  }
}

/** The problems that an endpoint may answer, as responses. `isStreamed`: its body may have any length. */
export function failuresOf(
  endpoint: Pick<Endpoint, 'body' | 'isRepeatable' | 'failures'> & { isStreamed?: boolean },
): Description['responses'] {
  const { body, isRepeatable = false, failures = {}, isStreamed = false } = endpoint
  const groups: Readonly<Record<number, string>>[] = [EVERY, failures]
  if (body !== undefined) groups.push(LENGTH)
  if (body !== undefined || isStreamed) groups.push(TYPE)
  if (isRepeatable) groups.push(OF_REPETITION)
  const meanings: Record<string, string[]> = {}
  for (const group of groups)
    for (const [status, meaning] of Object.entries(group)) (meanings[status] ??= []).push(meaning)
  return Object.fromEntries(
    Object.entries(meanings).map(([status, all]) => [
      status,
      { description: all.join('. '), content: { 'application/problem+json': { schema: problemSchema } } },
    ]),
  )
}

export const SECURITY: { [name: string]: string[] }[] = [{ key: [] }, { basic: [] }]

export function describeApi(
  app: Pick<OpenAPIHono, 'openAPIRegistry' | 'getOpenAPI31Document'>,
  { publicUrl, version }: { publicUrl: string; version: string },
): object {
  const { openAPIRegistry } = app
  openAPIRegistry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    description: 'The key of a client',
  })
  openAPIRegistry.registerComponent('securitySchemes', 'basic', {
    type: 'http',
    scheme: 'basic',
    description: 'The id of a client, and its key as the password (RFC 6749, section 2.3.1)',
  })
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Rescind',
      version,
      description:
        'Revokes tokens, and tells which are revoked. Failures are application/problem+json (RFC 9457).',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: publicUrl }],
  })
}

/** `get /clients/{id}` is `getClientsId`. */
function operationIdOf(method: string, path: string): string {
  const words = path.split(/[^A-Za-z]+/).filter((word) => word !== '')
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}
