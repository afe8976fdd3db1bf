import { RescindError, revocationId } from 'rescind'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { startWorld, type World } from '../support/service.js'

let world: World
let clock: number
beforeEach(async () => {
  clock = 1_800_000_000_000
  world = await startWorld({ now: () => clock })
})
afterEach(() => world[Symbol.asyncDispose]())

async function get<T>(path: string): Promise<T> {
  return (await (await world.ask(`/api/v1${path}`, { key: world.keys.viewer })).json()) as T
}
const post = (path: string, json: unknown) => world.ask(`/api/v1${path}`, { key: world.keys.admin, json })

interface Statistics {
  readonly since: number
  readonly countedSince: number
  readonly totals: { revoked: number; restored: number; checks: Record<string, number> }
  readonly minutes: { at: number; revoked: number; restored: number; checks: Record<string, number> }[]
}

it('statistics count changes and checks in their minutes, and forget after a day', async () => {
  const begun = clock / 1000
  await post('/revocations', { target: { sub: 'alice' } })
  await post('/checks', { claims: { sub: 'alice', iat: 1 } })
  const changed = (revoked: number, restored: number) =>
    until(
      async () => {
        const { totals } = await get<Statistics>('/statistics?minutes=1440')
        return totals.revoked === revoked && totals.restored === restored
      },
      { what: 'the change to be counted' },
    )
  await changed(1, 0)
  clock += 120_000
  await post('/restorations', { target: { sub: 'alice' } })
  await post('/checks', { claims: { sub: 'alice', iat: 1 } })
  await post('/checks', { claims: { sub: 'bob', iat: 1 } })
  await changed(1, 1)
  const { minutes, since, countedSince } = await get<Statistics>('/statistics?minutes=3')
  expect(minutes).toMatchObject([
    { at: begun, revoked: 1, restored: 0, checks: { token_revoked: 1 } },
    { at: begun + 60, revoked: 0, restored: 0, checks: {} },
    { at: begun + 120, revoked: 0, restored: 1, checks: { allowed: 2 } },
  ])
  expect([since, countedSince]).toEqual([begun, begun])
  expect((await get<Statistics>('/statistics?minutes=2')).totals).toMatchObject({ revoked: 0, restored: 1 })
  clock += 1440 * 60_000
  const later = await get<Statistics>('/statistics?minutes=1440')
  expect(later.minutes).toHaveLength(1440)
  expect(later.totals).toMatchObject({ revoked: 0, restored: 0, checks: {} })
})

it('statistics count changes without reading what was changed, and what was missed while the store was away', async () => {
  const { store } = world.service.parts
  const read = vi.spyOn(store, 'changes')
  const revoked = async () => (await get<Statistics>('/statistics')).totals.revoked
  for (let i = 0; i < 3; i++) await post('/revocations', { target: { sub: `u${i}` } })
  expect(await revoked()).toBe(3)
  vi.spyOn(store, 'readLog').mockRejectedValueOnce(new RescindError('ERR_STORE_UNAVAILABLE', 'away'))
  await post('/revocations', { target: { sub: 'meanwhile' } })
  await until(async () => (await revoked()) === 4, { what: 'what was missed' })
  expect(read).not.toHaveBeenCalled()
})

it('the audit trail is read in pages, newest first', async () => {
  for (let i = 0; i < 5; i++) await post('/revocations', { target: { sub: `u${i}` }, reason: `r${i}` })
  interface Page {
    readonly entries: { at: number; client: string; target: { sub: string }; reason: string; via: string }[]
    readonly cursor?: string
  }
  const first = await get<Page>('/audit?limit=3')
  const second = await get<Page>(`/audit?limit=3&cursor=${first.cursor}`)
  expect([...first.entries, ...second.entries].map(({ target }) => target.sub)).toEqual([
    ...['u4', 'u3', 'u2', 'u1', 'u0'],
  ])
  expect(second.cursor).toBeUndefined()
  expect(first.entries[0]).toMatchObject({ at: clock / 1000, client: 'admin', reason: 'r4', via: 'api' })
  expect((await world.ask('/api/v1/audit?cursor=x', { key: world.keys.viewer })).status).toBe(400)
})

it('the history of a revocation is whole, however much was done since', async () => {
  interface Page {
    readonly entries: { operation: string; reason?: string }[]
    readonly cursor?: string
  }
  const target = { sub: 'alice', client_id: 'app' }
  const { id } = (await (await post('/revocations', { target, reason: 'first' })).json()) as { id: string }
  await post('/restorations', { target })
  await post('/revocations', { everything: true, confirm: 'everything' })
  await post('/revocations', { target: { sub: 'alice' }, reason: 'another target' })
  const { records } = world.service.parts
  for (let i = 0; i < 1500; i++) await records.append('{}')
  // The same target, whatever the order of its claims.
  await post('/revocations', { target: { client_id: 'app', sub: 'alice' }, reason: 'again' })
  const { entries } = await get<Page>(`/audit?revocation=${id}`)
  expect(entries.map(({ operation, reason }) => [operation, reason])).toEqual([
    ['revoke', 'again'],
    ['restore', undefined],
    ['revoke', 'first'],
  ])
  const { cursor } = await get<Page>(`/audit?revocation=${id}&limit=2`)
  expect((await get<Page>(`/audit?revocation=${id}&limit=2&cursor=${cursor}`)).entries).toHaveLength(1)
  const everything = await get<Page>(`/audit?revocation=${revocationId('everything')}`)
  expect(everything.entries).toMatchObject([{ operation: 'revoke', scope: 'everything' }])
  expect((await world.ask('/api/v1/audit?revocation=x', { key: world.keys.viewer })).status).toBe(400)
})

it('the status tells store, freshness and issuers; the nodes, who lives', async () => {
  expect(await get('/status')).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    store: { kind: 'memory', isUp: true },
    freshness: {
      ...{ isFresh: true, stalenessMs: expect.any(Number) as number, stalenessMaxMs: 1000, entries: 0 },
    },
    issuers: ['https://as.example'],
  })
  const { nodes } = await get<{ nodes: { name: string }[] }>('/nodes')
  expect(nodes.map(({ name }) => name)).toEqual([world.service.parts.manager.replica?.name])
})
