/** Two processes of the service on one store: what one is told, the other knows. Redis lets them do no more than they need. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { makeIssuer } from '../../../rescind/test/support/issuer.js'
import { until } from '../../../rescind/test/support/until.js'
import type { World } from '../support/service.js'
import { allowService, startOnRedis, startRedis } from './redis-world.js'

let server: RedisServer
let one: World
let two: World
beforeAll(async () => {
  server = await startRedis()
  const issuer = await makeIssuer()
  one = await startOnRedis(server, { issuer })
  two = await startOnRedis(server, { issuer })
})
afterAll(async () => {
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
  await server.stop()
})

async function ask(
  world: World,
  path: string,
  json?: unknown,
  headers = {},
): Promise<Record<string, unknown>> {
  const answer = await world.ask(`/api/v1${path}`, { key: world.keys.admin, json, headers })
  return { httpStatus: answer.status, ...((await answer.json()) as Record<string, unknown>) }
}

describe('two services on one Redis', () => {
  it('see what the other has revoked and restored', async () => {
    const token = await one.issuer.sign({ sub: 'alice' })
    const receipt = await ask(one, '/revocations', { target: { sub: 'alice' }, ack: 'everywhere' })
    expect(receipt).toMatchObject({ ack: 'everywhere' })
    expect(receipt.nodes).toHaveLength(2)
    expect(await ask(two, '/checks', { token, consistency: 'replica' })).toMatchObject({ status: 'revoked' })
    expect(await ask(two, `/revocations/${String(receipt.id)}`)).toMatchObject({ target: { sub: 'alice' } })
    await ask(two, '/restorations', { target: { sub: 'alice' } })
    await until(
      async () => (await ask(one, '/checks', { token, consistency: 'replica' })).status === 'clear',
      { what: 'the restore to arrive' },
    )
  })

  it('share clients, answers, audit trail and statistics', async () => {
    const made = await ask(one, '/clients', { id: 'shared', roles: ['read'] })
    // Not by trying the key until it is known: too many tries with one that is not are refused.
    expect(await ask(two, '/clients/shared')).toMatchObject({ httpStatus: 200, source: 'records' })
    expect((await two.ask('/api/v1/nodes', { key: String(made.key) })).status).toBe(200)
    const headers = { 'idempotency-key': 'shared' }
    const first = await ask(one, '/revocations', { target: { sub: 'bob' } }, headers)
    expect(await ask(two, '/revocations', { target: { sub: 'bob' } }, headers)).toEqual(first)
    const trails = await Promise.all([one, two].map((world) => ask(world, '/audit')))
    expect(trails[0]).toEqual(trails[1])
    expect(JSON.stringify(trails[0])).toContain('"bob"')
    // Counting begins with the first look at the log, which may be a moment after the start.
    const isCounted = async () => {
      await ask(one, '/revocations', { target: { sub: 'carol' }, issuedBefore: null })
      const { totals } = await ask(two, '/statistics')
      return (totals as { revoked: number }).revoked > 0
    }
    await until(isCounted, { what: 'changes of the other to be counted', intervalMs: 300 })
    // The one who may not look at the settings of Redis says so.
    expect(await ask(two, '/status')).toMatchObject({
      ...{
        httpStatus: 200,
        store: { kind: 'redis', isUp: true },
        doctor: { servers: [{ user: 'rescind' }] },
      },
    })
  })

  it('were refused nothing by Redis but a look at its settings', async () => {
    const refusals = await server.command<unknown[][]>('ACL', 'LOG')
    const refused = refusals.map((entry) => entry[entry.indexOf('object') + 1])
    const looks = ['config|get', 'acl|getuser', 'acl|dryrun']
    expect(refused.filter((object) => !looks.includes(String(object)))).toEqual([])
  })

  it('say that they cannot tell while Redis is away, and go on afterwards', async () => {
    await server.kill()
    const check = { claims: { sub: 'alice', iat: 1 } }
    expect(await ask(one, '/checks', check)).toMatchObject({ httpStatus: 503 })
    const answer = await one.ask('/api/v1/revocations', {
      key: one.keys.admin,
      json: { target: { sub: 'x' } },
    })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await ask(one, '/status')).toMatchObject({ httpStatus: 200, store: { isUp: false } })
    await server.restart()
    await allowService(server)
    const again = async () => (await ask(one, '/revocations', { target: { sub: 'x' } })).httpStatus === 200
    await until(again, { what: 'revocations to be taken again', timeoutMs: 10_000 })
    await until(
      async () => (await ask(two, '/checks', { claims: { sub: 'x', iat: 1 } })).status === 'revoked',
      {
        ...{ what: 'the other to know', timeoutMs: 10_000 },
      },
    )
  })
})
