import { afterEach, beforeEach, expect, it } from 'vitest'
import { startWorld, type World } from '../support/service.js'

let world: World
let clock: number
beforeEach(async () => {
  clock = 1_800_000_000_000
  world = await startWorld({ now: () => clock })
})
afterEach(() => world[Symbol.asyncDispose]())

async function ask(path: string, json: unknown, idempotencyKey: string, key = world.keys.revoker) {
  const headers = { 'idempotency-key': idempotencyKey }
  const answer = await world.ask(`/api/v1${path}`, { key, json, headers })
  const body = (await answer.json()) as Record<string, unknown>
  return { status: answer.status, isReplayed: answer.headers.get('idempotency-replayed') === 'true', body }
}
const standing = async () => {
  const { revocations } = await world.service.parts.manager.list()
  return revocations.length
}

it('the same key and body are answered as the first time, and done once', async () => {
  const first = await ask('/revocations', { target: { sub: 'alice' } }, 'k')
  clock += 10_000
  await world.service.parts.manager.restore({ sub: 'alice' })
  const again = await ask('/revocations', { target: { sub: 'alice' } }, 'k')
  expect(again).toEqual({ ...first, isReplayed: true })
  expect(first.isReplayed).toBe(false)
  expect(await standing()).toBe(0)
  // Another key is another request.
  expect((await ask('/revocations', { target: { sub: 'alice' } }, 'k2')).isReplayed).toBe(false)
  expect(await standing()).toBe(1)
})

it('the same key with another body, or another path, is refused', async () => {
  await ask('/revocations', { target: { sub: 'alice' } }, 'k')
  for (const [path, json] of [
    ['/revocations', { target: { sub: 'bob' } }],
    ['/restorations', { target: { sub: 'alice' } }],
  ] as const)
    expect(await ask(path, json, 'k')).toMatchObject({ status: 422, body: { code: 'key_reused' } })
  expect(await standing()).toBe(1)
})

it('keys of one client are not those of another', async () => {
  await ask('/revocations', { target: { sub: 'alice' } }, 'k')
  const other = await ask('/revocations', { target: { sub: 'bob' } }, 'k', world.keys.admin)
  expect(other).toMatchObject({ status: 200, isReplayed: false, body: { actor: 'admin' } })
})

it('of many at the same time one is done, and the others wait or are told the same', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => ask('/clients', { id: 'x', roles: ['read'] }, 'k', world.keys.admin)),
  )
  const made = answers.filter(({ status, isReplayed }) => status === 201 && !isReplayed)
  expect(made).toHaveLength(1)
  for (const { status, isReplayed } of answers.filter((answer) => !made.includes(answer)))
    expect([status, isReplayed]).toSatisfy(([s, r]: [number, boolean]) => s === 409 || (s === 201 && r))
})

it('what was refused is done anew', async () => {
  expect(await ask('/clients/x/keys', {}, 'k', world.keys.admin)).toMatchObject({ status: 404 })
  await ask('/clients', { id: 'x', roles: ['read'] }, 'k2', world.keys.admin)
  expect(await ask('/clients/x/keys', {}, 'k', world.keys.admin)).toMatchObject({
    ...{ status: 201, isReplayed: false },
  })
  const past = { target: { sub: 'alice' }, expiresAt: clock / 1000 + 5 }
  clock += 10_000
  expect(await ask('/revocations', past, 'k3')).toMatchObject({ status: 400 })
  clock -= 10_000
  expect(await ask('/revocations', past, 'k3')).toMatchObject({ status: 200, isReplayed: false })
})

it('it is forgotten after a day', async () => {
  await ask('/revocations', { target: { sub: 'alice' } }, 'k')
  clock += 86_400_000
  expect(await ask('/revocations', { target: { sub: 'bob' } }, 'k')).toMatchObject({ status: 200 })
})

it('a key that cannot be one is refused', async () => {
  for (const key of ['a b', 'x'.repeat(256)])
    expect(await ask('/revocations', { target: { sub: 'alice' } }, key)).toMatchObject({
      ...{ status: 400, body: { problems: [expect.stringContaining('Idempotency-Key')] } },
    })
  expect(await standing()).toBe(0)
})
