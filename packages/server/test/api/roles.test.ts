import { afterAll, beforeAll, expect, it } from 'vitest'
import { startWorld, type World } from '../support/service.js'

/** Who may do what; an admin may do everything. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'GET /revocations': ['viewer'],
  'GET /revocations/AAAAAAAAAAAAAAAAAAAAAA': ['viewer'],
  'POST /revocations': ['revoker'],
  'POST /revocations/preview': ['viewer', 'revoker'],
  'POST /revocations/bulk': ['revoker'],
  'POST /restorations': ['revoker'],
  'POST /checks': ['viewer', 'revoker'],
  'GET /nodes': ['viewer'],
  'GET /statistics': ['viewer'],
  'GET /audit': ['viewer'],
  'GET /status': ['viewer'],
  'GET /clients': ['viewer'],
  'POST /clients': [],
  'GET /clients/app': ['viewer'],
  'PATCH /clients/app': [],
  'DELETE /clients/app': [],
  'POST /clients/app/keys': [],
}

/** RFC 6750 §3.1. */
const INSUFFICIENT = 'Bearer realm="rescind", error="insufficient_scope"'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

it.each(Object.entries(ALLOWED))('%s is for %j and an admin alone', async (endpoint, allowed) => {
  const [method = '', path = ''] = endpoint.split(' ')
  for (const client of ['app', 'other', 'api', 'viewer', 'revoker', 'admin']) {
    const answer = await world.ask(`/api/v1${path}`, { method, key: world.keys[client] })
    const body = (await answer.json()) as { code?: string }
    if (client === 'admin' || allowed.includes(client)) expect(answer.status, client).not.toBe(403)
    else {
      expect([answer.status, body.code], client).toEqual([403, 'role_insufficient'])
      expect(answer.headers.get('www-authenticate')).toBe(INSUFFICIENT)
    }
  }
})

it('covers every endpoint of the document', async () => {
  const document = (await (await world.ask('/openapi.json')).json()) as {
    paths: Record<string, Record<string, unknown>>
  }
  const named = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace('/api/v1', '')}`),
  )
  const asked = Object.keys(ALLOWED).map((endpoint) => endpoint.replace(/(app|A{22})/, '{id}'))
  expect(asked.sort()).toEqual(named.sort())
})

it('another method is answered 405, with those that there are', async () => {
  const answer = await world.ask('/api/v1/revocations', { method: 'PUT', key: world.keys.admin })
  expect(answer.status).toBe(405)
  expect(answer.headers.get('allow')).toBe('POST, GET, HEAD')
  expect(await answer.json()).toMatchObject({ code: 'method_not_allowed', status: 405 })
  expect((await world.ask('/api/v1/checks', { key: world.keys.admin })).status).toBe(405)
  expect((await world.ask('/api/v1/clients/x', { method: 'POST', key: world.keys.admin })).status).toBe(405)
  expect((await world.ask('/api/v1/nothing', { key: world.keys.admin })).status).toBe(404)
  for (const path of ['preview', 'bulk']) {
    const taken = await world.ask(`/api/v1/revocations/${path}`, { key: world.keys.admin })
    expect([taken.status, taken.headers.get('allow')], path).toEqual([405, 'POST'])
  }
  const head = await world.ask('/api/v1/nodes', { method: 'HEAD', key: world.keys.admin })
  expect([head.status, await head.text()]).toEqual([200, ''])
})

it('streams and the store for nodes say as well what is missing', async () => {
  for (const path of ['/events', '/store/v1/position']) {
    const answer = await world.ask(path, { key: world.keys.app })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([403, INSUFFICIENT])
  }
})

it('a client may log in with HTTP Basic as well, and is answered in that scheme', async () => {
  const ask = async (id: string, secret: string | undefined) => {
    const basic = Buffer.from(`${id}:${secret}`).toString('base64')
    const answer = await world.ask('/api/v1/nodes', { headers: { authorization: `Basic ${basic}` } })
    return [answer.status, answer.headers.get('www-authenticate')]
  }
  expect(await ask('viewer', world.keys.viewer)).toEqual([200, null])
  expect(await ask('viewer', 'wrong')).toEqual([401, 'Basic realm="rescind"'])
  // RFC 7617 knows no challenge for who is let in and may not do this.
  expect(await ask('app', world.keys.app)).toEqual([403, null])
})
