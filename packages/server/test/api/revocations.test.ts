import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startWorld, type World } from '../support/service.js'

let world: World
let clock: number
beforeEach(async () => {
  clock = 1_800_000_000_000
  world = await startWorld({ now: () => clock })
})
afterEach(() => world[Symbol.asyncDispose]())

const now = () => clock / 1000

async function post(path: string, json: unknown, key = world.keys.revoker): Promise<Record<string, unknown>> {
  const answer = await world.ask(`/api/v1${path}`, { key, json })
  return { httpStatus: answer.status, ...((await answer.json()) as Record<string, unknown>) }
}

async function get(path: string, key = world.keys.viewer): Promise<Record<string, unknown>> {
  const answer = await world.ask(`/api/v1${path}`, { key })
  return { httpStatus: answer.status, ...((await answer.json()) as Record<string, unknown>) }
}

const problemsOf = async (path: string, json: unknown) =>
  (await post(path, json, world.keys.admin)).problems as string[] | undefined

const tokenOf = (claims: Record<string, unknown>) =>
  world.issuer.sign({ iat: now(), exp: now() + 600, ...claims })

describe('POST /revocations', () => {
  it('revokes by claims, in the name of the client and whoever it says it is', async () => {
    const token = await tokenOf({ sub: 'alice' })
    expect(await post('/checks', { token })).toMatchObject({ status: 'clear' })
    const receipt = await post('/revocations', { target: { sub: 'alice' }, reason: 'left' })
    expect(receipt).toEqual({
      ...{ httpStatus: 200, id: expect.any(String) as string, target: { sub: 'alice' } },
      ...{ issuedBefore: now(), revokedAt: now(), expiresAt: now() + 2105 },
      ...{ reason: 'left', actor: 'revoker', ack: 'accepted' },
    })
    expect(await post('/checks', { token })).toMatchObject({
      status: 'revoked',
      revocation: { id: receipt.id, reason: 'left', actor: 'revoker' },
    })
    expect(await problemsOf('/revocations', { target: { sub: 'a' }, actor: 'root' })).toEqual([
      'body: Unrecognized key: "actor"',
    ])
  })

  it('revokes one token, verified, and no other of the same person', async () => {
    const [token, other] = [await tokenOf({ sub: 'alice' }), await tokenOf({ sub: 'alice' })]
    const receipt = await post('/revocations', { token })
    expect(receipt).toMatchObject({ httpStatus: 200, issuedBefore: null, expiresAt: now() + 600 + 305 })
    expect(await post('/checks', { token })).toMatchObject({ status: 'revoked' })
    expect(await post('/checks', { token: other })).toMatchObject({ status: 'clear' })
    expect(await post('/revocations', { token: `${token}x` })).toMatchObject({ httpStatus: 422 })
    expect(await post('/checks', { token: `${token}x` })).toMatchObject({
      ...{ httpStatus: 200, status: 'invalid', code: 'token_invalid' },
    })
  })

  it('revokes everything only with the word for it', async () => {
    const token = await tokenOf({ sub: 'alice' })
    for (const json of [
      { everything: true },
      { confirm: 'everything' },
      { everything: false },
      { target: {} },
      {},
    ])
      expect(await post('/revocations', json)).toMatchObject({ httpStatus: 400, code: 'request_invalid' })
    expect(await post('/checks', { token })).toMatchObject({ status: 'clear' })
    await post('/revocations', { everything: true, confirm: 'everything' })
    expect(await post('/checks', { token })).toMatchObject({ status: 'revoked' })
  })

  it('takes times as seconds, as dates, and as a life', async () => {
    const target = { sub: 'alice' }
    const date = new Date(clock + 60_000).toISOString()
    expect(await post('/revocations', { target, expiresAt: date })).toMatchObject({ expiresAt: now() + 60 })
    expect(await post('/revocations', { target, lifetimeSeconds: 90 })).toMatchObject({
      expiresAt: now() + 90,
    })
    expect(await post('/revocations', { target, issuedBefore: null, expiresAt: now() + 120 })).toMatchObject({
      issuedBefore: null,
      expiresAt: now() + 120,
    })
    // A life is never shortened.
    expect(await post('/revocations', { target, lifetimeSeconds: 10 })).toMatchObject({
      ...{ issuedBefore: null, expiresAt: now() + 120 },
    })
    expect(await post('/revocations', { target, expiresAt: now() - 1 })).toMatchObject({
      ...{ httpStatus: 400, code: 'option_invalid' },
    })
  })

  it('tells all that is wrong at once, and no value', async () => {
    const token = await tokenOf({ sub: 'alice' })
    const problems = await problemsOf('/revocations?page=1', {
      ...{ target: { sub: '' }, token, ack: token, expiresAt: 1.5, lifetimeSeconds: 0, reasn: 'x' },
    })
    const places = ['body.target.sub', 'body.ack', 'body.expiresAt', 'body.lifetimeSeconds', 'body', 'query']
    for (const place of places)
      expect(
        problems?.filter((problem) => problem.startsWith(`${place}: `)),
        place,
      ).toHaveLength(1)
    expect(JSON.stringify(problems)).not.toContain(token)
    expect(
      await problemsOf('/revocations', { target: { sub: 'a' }, expiresAt: 1, lifetimeSeconds: 1 }),
    ).toEqual(['body: give one of expiresAt and lifetimeSeconds'])
  })

  it('refuses what a target would lose on its way', async () => {
    const ask = (body: string) =>
      world.ask('/api/v1/revocations', {
        ...{ key: world.keys.revoker, body, headers: { 'content-type': 'application/json' } },
      })
    for (const body of [
      '{"target":{"sub":"alice","__proto__":"x"}}',
      '{"target":{"sub":"alice","\\u005f_proto__":"x"}}',
      '{"target":',
      '',
    ]) {
      const answer = await ask(body)
      expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'request_invalid' }])
    }
    expect(((await get('/revocations')).revocations as unknown[]).length).toBe(0)
  })

  it('fails when the acknowledgement is not to be had, and says so', async () => {
    const answer = await post('/revocations', { target: { sub: 'a' }, ack: 'replicated' })
    expect(answer).toMatchObject({ httpStatus: 400, code: 'ack_unsupported' })
    expect(await post('/revocations', { target: { sub: 'a' }, ack: 'everywhere' })).toMatchObject({
      ...{ ack: 'everywhere', nodes: [expect.any(String)] },
      confirmations: [{ name: expect.any(String) as string, afterMs: expect.any(Number) as number }],
    })
  })
})

it('POST /revocations/preview says what would be, and writes nothing', async () => {
  await post('/revocations', { target: { sub: 'alice' }, lifetimeSeconds: 60 })
  const target = { sub: 'alice' }
  expect(await post('/revocations/preview', { target, lifetimeSeconds: 30 })).toMatchObject({
    effect: 'none',
  })
  expect(await post('/revocations/preview', { target })).toMatchObject({
    ...{ scope: 'claims', effect: 'extends', standing: [{ expiresAt: now() + 60 }] },
  })
  expect(
    await post('/revocations/preview', { everything: true, confirm: 'everything' }, world.keys.viewer),
  ).toMatchObject({ scope: 'everything', effect: 'new' })
  expect(((await get('/revocations')).revocations as unknown[]).length).toBe(1)
})

describe('GET /revocations', () => {
  const subs = async (query: string) =>
    ((await get(`/revocations?${query}`)).revocations as { target: { sub?: string } }[]).map(
      ({ target }) => target.sub,
    )

  it('filters by claim, actor, time and text', async () => {
    await post('/revocations', { target: { sub: 'alice', client_id: 'app' }, reason: 'Lost phone' })
    await post('/revocations', { target: { sub: 'a=b&c' } }, world.keys.admin)
    clock += 10_000
    await post('/revocations', { target: { sub: 'carol' } })
    expect(await subs('')).toEqual(['carol', 'a=b&c', 'alice'])
    expect(await subs('claim=sub=alice')).toEqual(['alice'])
    expect(await subs(`claim=${encodeURIComponent('sub=a=b&c')}`)).toEqual(['a=b&c'])
    expect(await subs('claim=sub=alice&claim=client_id=app')).toEqual(['alice'])
    expect(await subs('claim=sub=alice&claim=client_id=other')).toEqual([])
    expect(await subs('actor=admin')).toEqual(['a=b&c'])
    expect(await subs(`since=${now()}`)).toEqual(['carol'])
    expect(await subs(`since=${new Date(clock).toISOString()}`)).toEqual(['carol'])
    expect(await subs('search=LOST')).toEqual(['alice'])
    for (const query of [
      'claim=sub',
      'since=yesterday',
      'limit=0',
      'limit=1001',
      'limit=1&limit=2',
      'sinze=1',
    ])
      expect(await get(`/revocations?${query}`), query).toMatchObject({ httpStatus: 400 })
  })

  it('gives 10,000 in pages, each once', async () => {
    const lines = Array.from({ length: 10_000 }, (_, i) => `{"target":{"sub":"u${i}"}}`).join('\n')
    const bulk = await world.ask('/api/v1/revocations/bulk', {
      ...{ key: world.keys.revoker, body: lines, headers: { 'content-type': 'application/x-ndjson' } },
    })
    await bulk.text()
    const seen: string[] = []
    let pages = 0
    for (let cursor: string | undefined = ''; cursor !== undefined; pages++) {
      const page = await get(`/revocations?limit=700${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
      seen.push(...(page.revocations as { target: { sub: string } }[]).map(({ target }) => target.sub))
      cursor = page.cursor as string | undefined
    }
    expect(new Set(seen).size).toBe(10_000)
    expect(seen).toHaveLength(10_000)
    expect(seen[0]).toBe('u9999')
    expect(pages).toBeGreaterThanOrEqual(15)
  })
})

it('GET /revocations/{id} tells all that stands for a target', async () => {
  const target = { sub: 'alice' }
  const { id } = await post('/revocations', {
    target,
    issuedBefore: null,
    lifetimeSeconds: 10,
    reason: 'ban',
  })
  await post('/revocations', { target, lifetimeSeconds: 60, reason: 'left' })
  expect(await get(`/revocations/${String(id)}`)).toMatchObject({
    ...{ id, target, scope: 'claims', restoredAt: null },
    revocations: [
      { reason: 'left', issuedBefore: now(), expiresAt: now() + 60, actor: 'revoker' },
      { reason: 'ban', issuedBefore: null, expiresAt: now() + 10 },
    ],
  })
  clock += 60_000
  expect(await get(`/revocations/${String(id)}`)).toMatchObject({ httpStatus: 404 })
  expect(await get('/revocations/x')).toMatchObject({ httpStatus: 400 })
})

it('POST /restorations voids exactly what is named', async () => {
  const token = await tokenOf({ sub: 'alice' })
  await post('/revocations', { target: { sub: 'alice' } })
  await post('/revocations', { token })
  expect(await post('/restorations', { target: { sub: 'alice' }, reason: 'mistake' })).toEqual({
    ...{ httpStatus: 200, restored: true, scope: 'claims', target: { sub: 'alice' } },
  })
  expect(await post('/checks', { token })).toMatchObject({ status: 'revoked' })
  expect(await post('/restorations', { token })).toMatchObject({ restored: true, scope: 'token' })
  expect(await post('/checks', { token })).toMatchObject({ status: 'clear' })
  expect(await post('/restorations', { token })).toMatchObject({ restored: false })
  await post('/revocations', { everything: true, confirm: 'everything' })
  expect(await post('/restorations', { everything: true })).toMatchObject({ httpStatus: 400 })
  expect(await post('/restorations', { everything: true, confirm: 'everything' })).toMatchObject({
    ...{ restored: true, scope: 'everything' },
  })
  const { entries } = await get('/audit')
  expect((entries as { operation: string; reason?: string }[]).map(({ operation }) => operation)).toEqual([
    ...['restore', 'revoke', 'restore', 'restore', 'revoke', 'revoke'],
  ])
  expect((entries as { reason?: string }[])[3]?.reason).toBe('mistake')
  expect(JSON.stringify(entries)).not.toContain(token.split('.')[2])
})
