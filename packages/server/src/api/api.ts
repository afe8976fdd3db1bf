/**
 * Serves endpoints under `/api/v1`: who asks, then what is asked, then the answer; every failure is problem+json. What
 * is wrong with a request is told all at once.
 */
import type { HttpBindings } from '@hono/node-server'
import { OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import type { Client } from '../clients/client.js'
import { mediaTypeOf, readText } from '../body.js'
import type { Parts } from '../parts.js'
import { type ClientVariables, requireRole } from './client-guard.js'
import { describeApi, describeEndpoint, type Description } from './document.js'
import { type Endpoint, Refusal } from './endpoint.js'
import { readJson } from './json.js'
import { failureProblem, problem, PROBLEMS_MAX } from '../problem.js'
import { type Answer, attempt, KEY } from './repetition.js'

export type ApiContext = Context<{ Bindings: HttpBindings; Variables: ClientVariables }>

export const BASE = '/api/v1'
const NO_STORE = { 'cache-control': 'no-store' }

interface Request {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  /** As it was sent. */
  readonly text: string
}

interface Route {
  /** Lets only those pass who may. */
  readonly guard: MiddlewareHandler<{ Variables: ClientVariables }>
  readonly handle: (c: ApiContext) => Response | Promise<Response>
}

export class Api {
  readonly app = new OpenAPIHono<{ Bindings: HttpBindings; Variables: ClientVariables }>()
  readonly #parts: Parts
  readonly #version: string
  /** By path, what there is by method. */
  readonly #routes = new Map<string, Map<string, Route>>()

  constructor(parts: Parts, version: string) {
    this.#parts = parts
    this.#version = version
  }

  add(endpoint: Endpoint): void {
    this.addRaw(describeEndpoint(BASE, endpoint), requireRole(this.#parts, ...endpoint.roles), (c) =>
      this.#answer(c, endpoint),
    )
  }

  /** An endpoint that reads and writes by itself. */
  addRaw(description: Description, guard: Route['guard'], handle: Route['handle']): void {
    this.app.openAPIRegistry.registerPath(description)
    const path = description.path.replace(/\{(\w+)\}/g, ':$1')
    const routes = this.#routes.get(path) ?? new Map<string, Route>()
    this.#routes.set(path, routes.set(description.method.toUpperCase(), { guard, handle }))
  }

  /** After the last endpoint: serves them, the document, and an answer to every other method. */
  finish(): void {
    const { publicUrl } = this.#parts
    // Made when it is first asked for: whoever does not ask does not wait.
    let document: string | undefined
    this.app.get('/openapi.json', (c) => {
      document ??= JSON.stringify(describeApi(this.app, { publicUrl, version: this.#version }))
      return c.body(document, 200, { 'content-type': 'application/json' })
    })
    // Fixed paths first: with another method than theirs they would be taken for the id of something.
    const hasId = (path: string) => Number(path.includes(':'))
    for (const [path, routes] of [...this.#routes].sort(([a], [b]) => hasId(a) - hasId(b))) {
      for (const [method, { guard, handle }] of routes)
        this.app.on(method, path, guard, async (c) => {
          try {
            return await handle(c)
          } catch (error) {
            return failureProblem(c, error)
          }
        })
      const allow = [...routes.keys(), ...(routes.has('GET') ? ['HEAD'] : [])].join(', ')
      this.app.all(path, (c) =>
        problem(c, 405, 'method_not_allowed', `This takes ${allow}`, { headers: { allow } }),
      )
    }
  }

  async #answer(c: ApiContext, endpoint: Endpoint): Promise<Response> {
    const client = c.get('client')
    const request = await this.#read(c, endpoint)
    if (request instanceof Response) return request
    const key = endpoint.isRepeatable === true ? c.req.header('idempotency-key') : undefined
    if (key === undefined) return this.#respond(c, endpoint, await this.#handle(endpoint, request, client))
    return this.#answerOnce(c, endpoint, request, key)
  }

  /** Everything that is wrong is told at once. */
  async #read(c: ApiContext, endpoint: Endpoint): Promise<Request | Response> {
    let text = ''
    const problems: string[] = []
    const take = (schema: z.ZodType | undefined, value: unknown, place: string): unknown => {
      if (schema === undefined) return undefined
      const result = schema.safeParse(value)
      if (result.success) return result.data
      problems.push(...result.error.issues.map((issue) => problemText(place, issue)))
      return undefined
    }
    let body: unknown
    if (endpoint.body !== undefined) {
      if (mediaTypeOf(c) !== 'application/json')
        return problem(c, 415, 'type_unsupported', 'The body must be JSON: Content-Type: application/json')
      const read = await readText(c.req.raw, this.#parts.config.limits.bodyBytesMax)
      if (read.failure === 'too-large')
        return problem(
          c,
          413,
          'body_too_large',
          `The body is longer than ${this.#parts.config.limits.bodyBytesMax} bytes`,
        )
      if (read.failure !== undefined) problems.push('body: is not UTF-8, or was broken off')
      else {
        ;({ text } = read)
        const json = readJson(text)
        if (json.problem !== undefined) problems.push(`body: ${json.problem}`)
        else body = take(endpoint.body, json.value, 'body')
      }
    }
    const key = c.req.header('idempotency-key')
    if (endpoint.isRepeatable === true && key !== undefined && !KEY.test(key))
      problems.push('header Idempotency-Key: must be 1 to 255 printable characters without spaces')
    const params = take(endpoint.params, c.req.param(), 'path')
    const query = take(endpoint.query ?? NO_QUERY, queryOf(c), 'query')
    if (problems.length === 0) return { params, query, body, text }
    return problem(c, 400, 'request_invalid', 'The request cannot be used', {
      problems: problems.slice(0, PROBLEMS_MAX),
    })
  }

  #handle(endpoint: Endpoint, request: Request, client: Client): Promise<unknown> {
    // They are what the schemas of this endpoint have made of them.
    return endpoint.handle({ ...(request as unknown as Parameters<Endpoint['handle']>[0]), client })
  }

  async #answerOnce(c: ApiContext, endpoint: Endpoint, request: Request, key: string): Promise<Response> {
    const client = c.get('client')
    const found = await attempt(this.#parts, {
      clientId: client.id,
      key,
      request: [c.req.method, c.req.path, request.text],
    })
    switch (found.status) {
      case 'differs':
        return problem(c, 422, 'key_reused', 'This Idempotency-Key was used for another request')
      case 'pending':
        return problem(c, 409, 'request_pending', 'The same request is being done', {
          headers: { 'retry-after': '1' },
        })
      case 'repeated':
        return send(found.answer, { 'idempotency-replayed': 'true' })
      case 'first':
    }
    try {
      const answer = await this.#handle(endpoint, request, client)
      if (answer instanceof Refusal) await found.release()
      else await found.keep(answerOf(endpoint, answer, endpoint.secret))
      return this.#respond(c, endpoint, answer)
    } catch (error) {
      await found.release()
      throw error
    }
  }

  #respond(c: ApiContext, endpoint: Endpoint, answer: unknown): Response {
    return answer instanceof Refusal
      ? problem(c, answer.status, answer.code, answer.detail)
      : send(answerOf(endpoint, answer))
  }
}

const NO_QUERY = z.strictObject({})

function answerOf({ status = 200 }: Endpoint, answer: unknown, without?: string): Answer {
  return {
    status,
    text: JSON.stringify(answer, (name, value: unknown) => (name === without ? undefined : value)),
  }
}

function send({ status, text }: Answer, headers: Readonly<Record<string, string>> = {}): Response {
  const known = { 'content-type': 'application/json', ...NO_STORE, ...headers }
  return new Response(text, { status, headers: known })
}

/** Each parameter by its name, as a list where it is given more than once. */
export function queryOf(c: Context): Record<string, string | string[]> {
  const given = Object.entries(c.req.queries())
  return Object.fromEntries(
    given.map(([name, values]) => [name, values.length === 1 ? (values[0] as string) : values]),
  )
}

/** Without the value, which may be a token. */
function problemText(
  place: string,
  { path, message }: { path: readonly PropertyKey[]; message: string },
): string {
  return `${[place, ...path.map(String)].join('.')}: ${message}`
}
