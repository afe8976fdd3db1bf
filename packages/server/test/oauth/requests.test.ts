/** What both OAuth endpoints answer to requests that are wrong: status, code and headers, each as its RFC says. */
import { request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { World } from '../support/service.js'
import {
  type Answer,
  answerOf,
  askFor,
  ASSERTION_TYPE,
  basic,
  ENDPOINTS,
  introspect,
  startOAuthWorld,
  type Tool,
} from './callers.js'

const BODY_BYTES_MAX = 8192
const FORM = 'application/x-www-form-urlencoded'
let world: World
let tool: Tool
let token: string

beforeAll(async () => {
  const limits = { failuresPerMinute: 1000, bodyBytesMax: BODY_BYTES_MAX }
  ;({ world, tool } = await startOAuthWorld({ config: { limits } }))
  token = await world.issuer.sign({ client_id: 'tool' })
})
afterAll(async () => {
  // Nothing of all this has revoked it.
  expect(await introspect(world, token)).toMatchObject({ active: true })
  await world[Symbol.asyncDispose]()
})

/** An error of RFC 6749 §5.2, which nobody may cache. */
function expectError(answer: Answer, status: number, error: string): void {
  expect(answer).toMatchObject({ status, headers: { 'cache-control': 'no-store' } })
  expect(answer.headers['content-type']).toBe('application/json')
  const body = JSON.parse(answer.body) as Record<string, string>
  expect(Object.keys(body)).toEqual(['error', 'error_description'])
  expect(body.error).toBe(error)
  expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
}

const authorization = () => ({ authorization: basic('tool', tool.secret) })
const post = (
  path: string,
  body: string | Uint8Array | ReadableStream,
  headers: Record<string, string> = {},
) =>
  fetch(world.url + path, {
    method: 'POST',
    body,
    duplex: 'half',
    headers: { 'content-type': FORM, ...authorization(), ...headers },
  }).then(answerOf)

describe.each(ENDPOINTS)('%s refuses', (path) => {
  describe('credentials', () => {
    const BASIC = 'Basic realm="rescind"'
    const BEARER = 'Bearer realm="rescind", error="invalid_token"'
    const wrong = 'a secret that nobody has'
    it.each<
      [string, () => Promise<{ headers?: Record<string, string>; form?: Record<string, string> }>, string]
    >([
      ['that are missing', async () => ({}), BASIC],
      ['of a scheme that is not known', async () => ({ headers: { authorization: 'Digest a=b' } }), BASIC],
      ['with a wrong secret', async () => ({ headers: { authorization: basic('tool', wrong) } }), BASIC],
      ['of nobody', async () => ({ headers: { authorization: basic('nobody', wrong) } }), BASIC],
      ['of another', async () => ({ headers: { authorization: basic('app', tool.secret) } }), BASIC],
      [
        'with a wrong secret in the form',
        async () => ({ form: { client_id: 'tool', client_secret: wrong } }),
        BASIC,
      ],
      [
        'that are a wrong bearer key',
        async () => ({ headers: { authorization: `Bearer ${wrong}` } }),
        BEARER,
      ],
      ['that are a token', async () => ({ headers: { authorization: `Bearer ${token}` } }), BEARER],
      [
        'by an assertion for somebody else',
        async () => asForm(await tool.assertion('https://other.example')),
        BASIC,
      ],
      [
        'by an assertion of another',
        async () => asForm(await tool.assertion(world.url, { sub: 'app', iss: 'app' })),
        BASIC,
      ],
    ])('%s', async (_, credentials, challenge) => {
      const { headers = {}, form = {} } = await credentials()
      const answer = await askFor(world, path, { headers, form: { token, ...form } })
      expectError(answer, 401, 'invalid_client')
      expect(answer.headers['www-authenticate']).toBe(challenge)
    })

    it.each<[string, () => Promise<{ headers?: Record<string, string>; form?: Record<string, string> }>]>([
      [
        'given in two ways',
        async () => ({ headers: authorization(), form: { client_id: 'tool', client_secret: tool.secret } }),
      ],
      [
        'given in two ways within the form',
        async () => ({
          form: {
            client_id: 'tool',
            client_secret: tool.secret,
            ...asForm(await tool.assertion(world.url)).form,
          },
        }),
      ],
      ['of two clients', async () => ({ headers: authorization(), form: { client_id: 'app' } })],
      ['that are not base64', async () => ({ headers: { authorization: 'Basic ???' } })],
      ['without a colon', async () => ({ headers: { authorization: `Basic ${btoa('tool')}` } })],
      [
        'that are not form-encoded',
        async () => ({ headers: { authorization: `Basic ${btoa('tool:%zz')}` } }),
      ],
      ['that are a secret without a client', async () => ({ form: { client_secret: tool.secret } })],
      [
        'that are an assertion of no type',
        async () => ({ form: { client_assertion: await tool.assertion(world.url) } }),
      ],
      ['that are too long', async () => ({ headers: { authorization: `Bearer ${'x'.repeat(5000)}` } })],
    ])('%s', async (_, credentials) => {
      const { headers = {}, form = {} } = await credentials()
      const answer = await askFor(world, path, { headers, form: { token, ...form } })
      expectError(answer, 400, 'invalid_request')
      expect(answer.headers).not.toHaveProperty('www-authenticate')
    })

    it('that come in two fields', async () => {
      const body = new URLSearchParams({ token }).toString()
      const value = basic('tool', tool.secret)
      const headers = ['Authorization', value, 'Authorization', value, 'Content-Type', FORM]
      const response = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
        const { host } = new URL(world.url)
        const sent = request(
          world.url + path,
          { method: 'POST', headers: [...headers, 'Host', host, 'Content-Length', String(body.length)] },
          (incoming) => {
            let text = ''
            incoming.on('data', (chunk: Buffer) => (text += chunk.toString()))
            incoming.on('end', () => resolve({ status: incoming.statusCode, body: text }))
          },
        )
        sent.on('error', reject)
        sent.end(body)
      })
      expect(response.status).toBe(400)
      expect(JSON.parse(response.body)).toMatchObject({ error: 'invalid_request' })
    })

    it('of a client without the role, and tells a bearer key as RFC 6750 says', async () => {
      const key = world.keys.viewer as string
      const form = { token: await world.issuer.sign({ client_id: 'viewer' }) }
      const plain = await askFor(world, path, { headers: { authorization: basic('viewer', key) }, form })
      expectError(plain, 400, 'unauthorized_client')
      const bearer = await askFor(world, path, { key, form })
      expectError(bearer, 401, 'unauthorized_client')
      expect(bearer.headers['www-authenticate']).toBe('Bearer realm="rescind", error="insufficient_scope"')
    })

    it('of the role of the other endpoint alone', async () => {
      const id = path === '/revoke' ? 'api' : 'app'
      const headers = { authorization: basic(id, world.keys[id] as string) }
      const form = { token: await world.issuer.sign({ client_id: id }) }
      expectError(await askFor(world, path, { headers, form }), 400, 'unauthorized_client')
    })
  })

  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('the method %s', async (method) => {
    const query = `?${new URLSearchParams({ token }).toString()}`
    const answer = await askFor(world, path + query, { method, headers: authorization() })
    expect(answer.headers.allow).toBe('POST')
    if (method === 'HEAD') expect(answer.status).toBe(405)
    else expectError(answer, 405, 'invalid_request')
  })

  it.each<[string, () => Promise<Answer>]>([
    ['JSON', () => post(path, JSON.stringify({ token }), { 'content-type': 'application/json' })],
    [
      'multipart',
      () => post(path, `--x\r\n\r\n${token}\r\n--x--`, { 'content-type': 'multipart/form-data; boundary=x' }),
    ],
    ['text', () => post(path, `token=${token}`, { 'content-type': 'text/plain' })],
    ['no type', () => post(path, Buffer.from(`token=${token}`), { 'content-type': '' })],
    ['two types', () => post(path, `token=${token}`, { 'content-type': `${FORM}, text/plain` })],
    ['no token', () => post(path, 'token_type_hint=access_token')],
    ['an empty token', () => post(path, 'token=')],
    ['an empty body', () => post(path, '')],
    ['a token in the query', () => post(`${path}?token=${token}`, 'a=b')],
    ['two tokens', () => post(path, `token=${token}&token=${token}`)],
    ['two hints', () => post(path, `token=${token}&token_type_hint=a&token_type_hint=b`)],
    ['two of what is not known', () => post(path, `token=${token}&a=1&a=2`)],
    ['a broken escape', () => post(path, `token=${token}&a=%zz`)],
    ['a cut escape', () => post(path, `token=${token}%`)],
    ['an escape that is not UTF-8', () => post(path, `token=${token}&a=%ff`)],
    [
      'bytes that are not UTF-8',
      () => post(path, Buffer.concat([Buffer.from(`token=${token}&a=`), Buffer.from([0xff])])),
    ],
    ['a compressed form', () => post(path, gzipSync(`token=${token}`), { 'content-encoding': 'gzip' })],
  ])('%s', async (_, send) => {
    expectError(await send(), 400, 'invalid_request')
  })

  it('a form that is too large, said or not', async () => {
    const large = `token=${token}&pad=${'x'.repeat(BODY_BYTES_MAX)}`
    expectError(await post(path, large), 413, 'invalid_request')
    expectError(await post(path, new Blob([large]).stream()), 413, 'invalid_request')
  })

  it('who asks too often, and says when to come again', async () => {
    const limits = { failuresPerMinute: 2, ratePerMinute: 2 }
    const { world: strict } = await startOAuthWorld({ config: { limits } })
    await using _ = strict
    const ask = (secret: string) =>
      askFor(strict, path, { headers: { authorization: basic('tool', secret) }, form: { token: 'a.b.c' } })
    const statuses = []
    for (let i = 0; i < 2; i++) statuses.push((await ask(tool.secret)).status)
    const limited = await ask(tool.secret)
    expect(statuses).toEqual([200, 200])
    expectError(limited, 429, 'temporarily_unavailable')
    expect(limited.headers['retry-after']).toMatch(/^[1-9]\d?$/)
    for (let i = 0; i < 2; i++) expect((await ask(`wrong ${i}`)).status).toBe(401)
    const guessing = await ask('wrong')
    expectError(guessing, 429, 'temporarily_unavailable')
    expect(guessing.headers['retry-after']).toMatch(/^[1-9]\d?$/)
  })
})

it('a form with a charset, and parameters that nobody knows, are fine', async () => {
  const answer = await post('/introspect', `token=${token}&a=b&%E2%82%AC=1`, {
    'content-type': `${FORM.toUpperCase()}; charset=UTF-8`,
  })
  expect(answer.status).toBe(200)
  expect(JSON.parse(answer.body)).toMatchObject({ active: true })
})

const asForm = (assertion: string) => ({
  form: { client_assertion_type: ASSERTION_TYPE, client_assertion: assertion },
})
