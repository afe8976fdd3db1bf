/**
 * The OpenAPI document is valid, and true: each answer that it names is given at least once, and every answer is what it
 * says.
 */
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { RedisServer } from '../../../rescind/test/support/redis-server.js'
import type { Ask, World } from '../support/service.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import { testConfig } from '../support/service.js'
import { makeIssuer } from '../../../rescind/test/support/issuer.js'
import { startOnRedis, startRedis } from './redis-world.js'

interface Operation {
  readonly operationId: string
  readonly requestBody?: unknown
  readonly responses: Readonly<Record<string, { content: Readonly<Record<string, unknown>> }>>
}
interface OpenApi {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const BODY_BYTES_MAX = 2048
const SLOW_KEY = makeKey()
const DEAD_ID = 'A'.repeat(22)

let server: RedisServer
let world: World
let document: OpenApi
const ajv = new Ajv2020({ strict: false, validateFormats: false })
/** `operationId status`, as they were answered. */
const seen = new Set<string>()

beforeAll(async () => {
  server = await startRedis()
  const issuer = await makeIssuer()
  const { clients } = await testConfig(issuer)
  const slow = {
    id: 'slow',
    roles: ['admin'],
    keys: [{ hash: await hashSecret(SLOW_KEY) }],
    ratePerMinute: 1,
  }
  world = await startOnRedis(server, {
    issuer,
    config: {
      clients: [...clients, slow],
      limits: { bodyBytesMax: BODY_BYTES_MAX, failuresPerMinute: 1000 },
    },
  })
  document = (await (await world.ask('/openapi.json')).json()) as OpenApi
  ajv.addSchema(document, 'api')
})
afterAll(async () => {
  await world.service.stop()
  await server.stop()
})

/** Every operation, with a path that can be asked. */
function operations(): { method: string; path: string; template: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      template,
      path: template.replace('{id}', template.includes('clients') ? 'nobody' : DEAD_ID),
      operation,
    })),
  )
}

/** Asks, and holds the answer against the document. */
async function asked(
  method: string,
  path: string,
  ask: Ask = {},
): Promise<{ status: number; body: unknown }> {
  const answer = await world.ask(path, { key: world.keys.admin, ...ask, method })
  const text = await answer.text()
  const found = operations().find(
    ({ method: other, template }) =>
      other === method &&
      new RegExp(`^${template.replace('{id}', '[^/]+')}$`).test(path.split('?')[0] as string),
  )
  if (found === undefined) throw new Error(`${method} ${path} is not in the document`)
  const { operation, template } = found
  const type = answer.headers.get('content-type') ?? ''
  const content = operation.responses[String(answer.status)]?.content
  expect(Object.keys(content ?? {}), `${method} ${path}: ${answer.status} ${text}`).toEqual([type])
  const pointer = [
    template,
    method.toLowerCase(),
    'responses',
    String(answer.status),
    'content',
    type,
    'schema',
  ]
    .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
    .join('/')
  const validate = ajv.getSchema(`api#/paths/${pointer}`)
  const bodies: unknown[] = type.includes('ndjson')
    ? text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown)
    : [JSON.parse(text)]
  for (const body of bodies) expect(validate?.(body), JSON.stringify([validate?.errors, body])).toBe(true)
  seen.add(`${operation.operationId} ${answer.status}`)
  return { status: answer.status, body: bodies[0] }
}

async function done(method: string, path: string, ask: Ask = {}): Promise<{ body: unknown }> {
  const { status, body } = await asked(method, path, ask)
  expect([200, 201], `${method} ${path}: ${JSON.stringify(body)}`).toContain(status)
  return { body }
}

const JSON_TYPE = { 'content-type': 'application/json' }
const NDJSON = { 'content-type': 'application/x-ndjson' }

it('is a valid document of OpenAPI 3.1', async () => {
  const validator = new Validator()
  const result = await validator.validate(structuredClone(document) as unknown as Record<string, unknown>)
  expect(result).toMatchObject({ valid: true })
  expect(validator.version).toBe('3.1')
  // The validator can refuse.
  const wrong = { ...structuredClone(document), paths: { x: { get: 1 } } } as unknown as Record<
    string,
    unknown
  >
  expect((await new Validator().validate(wrong)).valid).toBe(false)
  const ids = operations().map(({ operation }) => operation.operationId)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.length).toBe(17)
})

describe('the document names', () => {
  it('every success', async () => {
    const token = await world.issuer.sign({ sub: 'erin' })
    await done('POST', '/api/v1/revocations', { json: { target: { sub: 'alice' }, reason: 'why' } })
    await done('POST', '/api/v1/revocations', { json: { token, ack: 'everywhere' } })
    await done('POST', '/api/v1/revocations', { json: { everything: true, confirm: 'everything' } })
    await done('POST', '/api/v1/restorations', { json: { everything: true, confirm: 'everything' } })
    const { body } = await done('GET', '/api/v1/revocations')
    const { revocations } = body as { revocations: { id: string }[] }
    expect(revocations).toHaveLength(2)
    await done('GET', `/api/v1/revocations/${revocations[0]?.id}`)
    await done('POST', '/api/v1/revocations/preview', { json: { token } })
    for (const json of [{ token }, { claims: { sub: 'x', iat: 1 } }, { token: 'x' }])
      await done('POST', '/api/v1/checks', { json })
    const lines = [
      '{"target":{"sub":"a"}}',
      '{"target":{"sub":"a"}}',
      '{"target":{"sub":"b"},"expiresAt":1}',
      '?',
    ]
    await done('POST', '/api/v1/revocations/bulk', { body: lines.join('\n'), headers: NDJSON })
    for (const path of ['nodes', 'statistics?minutes=1440', 'audit', 'status', 'clients'])
      await done('GET', `/api/v1/${path}`)
    await done('POST', '/api/v1/clients', {
      json: {
        id: 'made',
        roles: ['introspect'],
        audiences: '*',
        name: 'n',
        expiresAt: '2100-01-01T00:00:00Z',
      },
    })
    await done('POST', '/api/v1/clients/made/keys', { json: { keepSeconds: 60 } })
    await done('GET', '/api/v1/clients/made')
    await done('PATCH', '/api/v1/clients/made', { json: { isDisabled: true } })
    await done('DELETE', '/api/v1/clients/made')
  })

  it('who is not let in', async () => {
    for (const { method, path } of operations()) {
      expect((await asked(method, path, { key: undefined })).status).toBe(401)
      expect((await asked(method, path, { key: makeKey() })).status).toBe(401)
      expect((await asked(method, path, { key: world.keys.app })).status).toBe(403)
    }
  })

  it('who asks too often', async () => {
    await world.ask('/api/v1/nodes', { key: SLOW_KEY })
    for (const { method, path } of operations())
      expect((await asked(method, path, { key: SLOW_KEY })).status).toBe(429)
  })

  it('what is wrong with a request', async () => {
    for (const { method, path, operation } of operations()) {
      const isJson = operation.requestBody !== undefined && !path.endsWith('bulk')
      const given = isJson ? { json: {} } : path.endsWith('bulk') ? { body: '{}', headers: NDJSON } : {}
      expect((await asked(method, `${path}?no=1`, given)).status).toBe(400)
      if (operation.requestBody === undefined) continue
      const other = { body: '{}', headers: { 'content-type': 'text/plain' } }
      expect((await asked(method, path, other)).status).toBe(415)
      if (!isJson) continue
      expect((await asked(method, path, { json: 'x'.repeat(BODY_BYTES_MAX) })).status).toBe(413)
    }
  })

  it('what is not there, or cannot be done', async () => {
    const statuses = async (method: string, path: string, ask: Ask = {}) =>
      (await asked(method, `/api/v1${path}`, ask)).status
    expect(await statuses('GET', `/revocations/${DEAD_ID}`)).toBe(404)
    expect(await statuses('GET', '/revocations?cursor=x')).toBe(410)
    const expired = await world.issuer.sign({ sub: 'x', exp: 1_000_000_000, iat: 999_999_000 })
    for (const path of ['/revocations', '/revocations/preview', '/restorations'])
      expect(await statuses('POST', path, { json: { token: expired } })).toBe(422)
    // Tokens without a jti are known by their digest alone.
    const nameless = { '#sha256': 'A'.repeat(43) }
    expect(await statuses('POST', '/revocations', { json: { target: nameless } })).toBe(200)
    expect(await statuses('POST', '/checks', { json: { claims: { sub: 'nobody' } } })).toBe(422)

    expect(await statuses('GET', '/clients/nobody')).toBe(404)
    expect(await statuses('PATCH', '/clients/nobody', { json: { name: 'x' } })).toBe(404)
    expect(await statuses('DELETE', '/clients/nobody')).toBe(404)
    expect(await statuses('POST', '/clients/nobody/keys', { json: {} })).toBe(404)
    expect(await statuses('POST', '/clients', { json: { id: 'app', roles: ['read'] } })).toBe(409)
    expect(await statuses('PATCH', '/clients/app', { json: { name: 'x' } })).toBe(409)
    expect(await statuses('DELETE', '/clients/app')).toBe(409)
    expect(await statuses('POST', '/clients/app/keys', { json: {} })).toBe(409)
  })

  it('what was asked under the same Idempotency-Key', async () => {
    await world.ask('/api/v1/clients', { key: world.keys.admin, json: { id: 'kept', roles: ['read'] } })
    const all = {
      '/revocations': { target: { sub: 'bob' } },
      '/restorations': { target: { sub: 'bob' } },
      '/clients': { id: 'again', roles: ['read'] },
      '/clients/kept/keys': { keepSeconds: 0 },
    }
    for (const [path, json] of Object.entries(all)) {
      const headers = { 'idempotency-key': `key of ${path}`.replaceAll(' ', '-') }
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => asked('POST', `/api/v1${path}`, { json, headers })),
      )
      expect(answers.map(({ status }) => status)).toContain(409)
      const other = { body: `${JSON.stringify(json)} `, headers: { ...headers, ...JSON_TYPE } }
      const changed = await asked('POST', `/api/v1${path}`, other)
      expect(changed.status).toBe(422)
    }
  })

  it('that the store is away', async () => {
    await server.kill()
    const now = performance.now()
    vi.spyOn(performance, 'now').mockImplementation(() => now + 120_000)
    for (const { method, path } of operations())
      expect((await asked(method, path, { key: makeKey() })).status).toBe(503)
    vi.restoreAllMocks()
  })

  it('nothing that was not answered by now', () => {
    const named = operations().flatMap(({ operation: { operationId, responses } }) =>
      Object.keys(responses).map((status) => `${operationId} ${status}`),
    )
    expect(named.length).toBeGreaterThan(100)
    expect(named.filter((each) => !seen.has(each))).toEqual([])
  })
})
