import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startWorld, type World } from '../support/service.js'

let world: World
let clock: number
beforeEach(async () => {
  clock = 1_800_000_000_000
  world = await startWorld({ now: () => clock })
})
afterEach(() => world[Symbol.asyncDispose]())

interface Told {
  readonly httpStatus: number
  readonly key?: string
  readonly code?: string
  readonly client?: Record<string, unknown> & { keys: { id: string; expiresAt?: number; name?: string }[] }
}

async function ask(method: string, path: string, json?: unknown, headers = {}): Promise<Told> {
  const answer = await world.ask(`/api/v1/clients${path}`, { key: world.keys.admin, method, json, headers })
  return { httpStatus: answer.status, ...((await answer.json()) as object) }
}
const canRead = async (key: string | undefined) => (await world.ask('/api/v1/nodes', { key })).status

describe('a client', () => {
  it('is made with a key that is told once, and removed with all of its keys', async () => {
    const { httpStatus, key, client } = await ask('POST', '', { id: 'new', roles: ['read'], name: 'New' })
    expect(httpStatus).toBe(201)
    expect(client).toMatchObject({
      id: 'new',
      name: 'New',
      roles: ['read'],
      source: 'records',
      isDisabled: false,
    })
    expect(await canRead(key)).toBe(200)
    for (const path of ['', '/new']) {
      const told = JSON.stringify(await ask('GET', path))
      expect(told).toContain('"New"')
      expect(told).not.toContain('scrypt')
      expect(told).not.toContain(key)
    }
    expect(await world.service.parts.records.read('client', 'new')).not.toContain(key)
    expect(await ask('POST', '', { id: 'new', roles: ['read'] })).toMatchObject({ httpStatus: 409 })
    expect(await ask('DELETE', '/new')).toEqual({ httpStatus: 200, removed: true })
    expect(await canRead(key)).toBe(401)
    expect(await ask('DELETE', '/new')).toMatchObject({ httpStatus: 404 })
  })

  it('is changed in what is named, and in nothing else', async () => {
    const { key } = await ask('POST', '', { id: 'a/b', roles: ['read'], name: 'New' })
    expect(await ask('PATCH', '/a%2Fb', { isDisabled: true })).toMatchObject({
      name: 'New',
      isDisabled: true,
    })
    expect(await canRead(key)).toBe(401)
    expect(await ask('PATCH', '/a%2Fb', { isDisabled: false, roles: ['revoke:any'] })).toMatchObject({
      ...{ name: 'New', roles: ['revoke:any'] },
    })
    expect(await canRead(key)).toBe(403)
    expect(await ask('PATCH', '/a%2Fb', {})).toMatchObject({ httpStatus: 400 })
    expect(await ask('PATCH', '/a%2Fb', { keys: [] })).toMatchObject({ httpStatus: 400 })
  })

  it('that stands in the configuration is changed there', async () => {
    for (const [method, path, json] of [
      ['PATCH', '/app', { name: 'x' }],
      ['DELETE', '/app', undefined],
      ['POST', '/app/keys', {}],
    ] as const)
      expect(await ask(method, path, json)).toMatchObject({ httpStatus: 409, code: 'client_configured' })
  })

  it('needs audiences to introspect, and an id that can be one', async () => {
    expect(await ask('POST', '', { id: 'x', roles: ['introspect'] })).toMatchObject({ httpStatus: 400 })
    expect(await ask('POST', '', { id: 'x', roles: ['introspect'], audiences: '*' })).toMatchObject({
      httpStatus: 201,
    })
    for (const id of ['', 'a b', 'a:b', 'x'.repeat(129)])
      expect(await ask('POST', '', { id, roles: ['read'] })).toMatchObject({ httpStatus: 400 })
    for (const roles of [[], ['root']])
      expect(await ask('POST', '', { id: 'y', roles })).toMatchObject({ httpStatus: 400 })
  })
})

describe('a key', () => {
  it('is rotated: the new one works at once, the old one until its end', async () => {
    const { key: first } = await ask('POST', '', { id: 'new', roles: ['read'] })
    const { key: second, client } = await ask('POST', '/new/keys', { keepSeconds: 60, name: 'second' })
    expect(client?.keys).toMatchObject([{ expiresAt: clock / 1000 + 60 }, { name: 'second' }])
    expect([await canRead(first), await canRead(second)]).toEqual([200, 200])
    clock += 60_000
    expect([await canRead(first), await canRead(second)]).toEqual([401, 200])
    const { key: third } = await ask('POST', '/new/keys', { keepSeconds: 0, expiresAt: clock / 1000 + 10 })
    expect([await canRead(second), await canRead(third)]).toEqual([401, 200])
    clock += 10_000
    expect(await canRead(third)).toBe(401)
  })

  it('with an end in the past is not made', async () => {
    const past = { httpStatus: 400, code: 'option_invalid' }
    expect(await ask('POST', '', { id: 'new', roles: ['read'], expiresAt: clock / 1000 })).toMatchObject(past)
    expect(await ask('GET', '/new')).toMatchObject({ httpStatus: 404 })
    const { key } = await ask('POST', '', { id: 'new', roles: ['read'] })
    expect(await ask('POST', '/new/keys', { keepSeconds: 0, expiresAt: 1 })).toMatchObject(past)
    expect(await canRead(key)).toBe(200)
  })

  it('is one of four at most', async () => {
    await ask('POST', '', { id: 'new', roles: ['read'] })
    for (let i = 0; i < 3; i++) expect((await ask('POST', '/new/keys', {})).httpStatus).toBe(201)
    expect(await ask('POST', '/new/keys', {})).toMatchObject({ httpStatus: 409, code: 'keys_full' })
    expect((await ask('POST', '/new/keys', { keepSeconds: 0 })).client?.keys).toHaveLength(1)
  })

  it('is not lost when others are made at the same time', async () => {
    const { key } = await ask('POST', '', { id: 'new', roles: ['read'] })
    const made = await Promise.all([1, 2, 3].map(() => ask('POST', '/new/keys', {})))
    const keys = [key, ...made.map((each) => each.key)]
    expect(await Promise.all(keys.map(canRead))).toEqual([200, 200, 200, 200])
  })

  it('is kept by nobody: an answer that is repeated is without it', async () => {
    const headers = { 'idempotency-key': 'once' }
    const first = await ask('POST', '', { id: 'new', roles: ['read'] }, headers)
    const again = await ask('POST', '', { id: 'new', roles: ['read'] }, headers)
    expect(again).toEqual({ ...first, key: undefined })
    expect(first.key).toMatch(/^rsk_/)
  })
})

it('the last admin stays', async () => {
  const first = await startWorld({ config: { clients: [] }, now: () => clock })
  try {
    const key = first.service.firstAdmin?.key
    const ask = async (method: string, path: string, json?: unknown) => {
      const answer = await first.ask(`/api/v1/clients${path}`, { key, method, json })
      return ((await answer.json()) as { code?: string }).code
    }
    expect(await ask('DELETE', '/admin')).toBe('last_admin')
    expect(await ask('PATCH', '/admin', { roles: ['read'] })).toBe('last_admin')
    expect(await ask('PATCH', '/admin', { isDisabled: true })).toBe('last_admin')
    await ask('POST', '', { id: 'second', roles: ['admin'], expiresAt: clock / 1000 + 60 })
    clock += 60_000
    // A second one without a key that is good is nobody who could change clients.
    expect(await ask('DELETE', '/admin')).toBe('last_admin')
    expect(await ask('DELETE', '/second')).toBeUndefined()
    await ask('POST', '', { id: 'third', roles: ['admin'] })
    expect(await ask('DELETE', '/admin')).toBeUndefined()
  } finally {
    await first.service.stop()
  }
})

it('what was done to clients is in the audit trail, without keys', async () => {
  const { key } = await ask('POST', '', { id: 'new', roles: ['read'] })
  await ask('POST', '/new/keys', {})
  await ask('PATCH', '/new', { name: 'x' })
  await ask('DELETE', '/new')
  const answer = await world.ask('/api/v1/audit', { key: world.keys.viewer })
  const { entries } = (await answer.json()) as {
    entries: { operation: string; subject: string; client: string }[]
  }
  expect(entries.map(({ operation }) => operation)).toEqual([
    ...['remove-client', 'change-client', 'make-key', 'make-client'],
  ])
  expect(entries.every(({ subject, client }) => subject === 'new' && client === 'admin')).toBe(true)
  expect(JSON.stringify(entries)).not.toContain(key)
})
