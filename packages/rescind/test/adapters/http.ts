/** HTTP for the adapter tests: a client that hides nothing, and servers of plain handlers. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { expect } from 'vitest'
import { containsToken } from '../support/canary.js'

export interface Served {
  readonly url: string
  close(): Promise<void>
}

export interface Ask {
  readonly method?: string
  /** One field each. */
  readonly authorization?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Answer {
  readonly status: number
  /** Every field by its name in lower case. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly body: string
}

/** Asks over a connection of its own. Fails when any part of a token comes back. */
export async function ask(
  url: string,
  { method = 'GET', authorization = [], headers, body }: Ask = {},
): Promise<Answer> {
  const fields = ['Host', new URL(url).host, ...authorization.flatMap((value) => ['Authorization', value])]
  for (const [name, value] of Object.entries(headers ?? {})) fields.push(name, value)
  if (method === 'POST') fields.push('Content-Length', String(Buffer.byteLength(body ?? '')))
  const answer = await new Promise<Answer>((resolve, reject) => {
    const sent = request(url, { method, headers: fields, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headersDistinct as Record<string, string[]>,
          body: Buffer.concat(chunks).toString(),
        })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
  const received = JSON.stringify(answer)
  expect(containsToken(received), 'an answer repeats a token').toBe(false)
  const sent = authorization.map((field) => field.split(' ')[1] ?? '')
  for (const token of [...sent, ...new URL(url).searchParams.getAll('access_token')]) {
    if (token.length >= 8) expect(received).not.toContain(token)
  }
  return answer
}

export function form(fields: string): Ask {
  return { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: fields }
}

export async function listen(server: Server): Promise<Served> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return served(server)
}

export function served(server: Server): Served {
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Serves `GET /path` and the like from a table; HEAD as GET, everything else is 404. */
export function serveNode(
  routes: Readonly<Record<string, (req: IncomingMessage, res: ServerResponse) => unknown>>,
): Promise<Served> {
  return listen(
    createServer((req, res) => {
      const route = routes[routeOf(req.method, req.url)]
      if (route === undefined) res.writeHead(404).end()
      else void route(req, res)
    }),
  )
}

/** The same for Fetch handlers, by `@hono/node-server`. */
export async function serveFetch(
  routes: Readonly<Record<string, (request: Request) => Response | Promise<Response>>>,
): Promise<Served> {
  return serveHandler((request) => {
    const { pathname } = new URL(request.url)
    return routes[routeOf(request.method, pathname)]?.(request) ?? new Response(null, { status: 404 })
  })
}

export async function serveHandler(
  fetch: (request: Request, env: object) => Response | Promise<Response>,
): Promise<Served> {
  const server = await new Promise<Server>((resolve) => {
    const made = serve({ fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(made as Server))
  })
  return served(server)
}

function routeOf(method: string | undefined, url: string | undefined): string {
  return `${method === 'HEAD' ? 'GET' : method} ${url?.split('?', 1)[0]}`
}
