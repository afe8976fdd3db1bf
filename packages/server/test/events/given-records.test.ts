/**
 * `/store/v1/reseed`: what a node gives back to a store that lost it. Whoever may revoke may send it, so none of it makes
 * the store unreadable for the others or a target immune, and the audit trail tells of it.
 */
import { RedisConnection, RedisStore, remoteFrame, revocationId, type Target, TokenManager } from 'rescind'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { startOnRedis, startRedis } from '../api/redis-world.js'
import type { World } from '../support/service.js'

const RECORD_BYTES = 32
const [REVOKE, RESTORE] = [0x11, 0x12]
const NEVER = 0xffff_ffff
const seconds = () => Math.floor(Date.now() / 1000)

let server: RedisServer
let world: World
let node: TokenManager
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(async () => {
  await server.command('FLUSHALL')
  world = await startOnRedis(server)
  node = new TokenManager({ store: new RedisStore(new RedisConnection({ url: server.url })) })
  await node.ready()
})
afterEach(async () => {
  await node.close()
  await world[Symbol.asyncDispose]()
})

function line(target: Target | 'everything', kind: number, at: number, end = seconds() + 600): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES)
  Buffer.from(revocationId(target), 'base64url').copy(bytes)
  bytes.writeUInt32LE(end, 16)
  bytes.writeUInt32LE(NEVER, 20)
  bytes.writeUInt32LE(at, 24)
  bytes[28] = kind
  return bytes
}

async function give(
  lines: readonly Buffer[],
  head: Record<string, unknown> = {},
): Promise<{ status: number; body: unknown }> {
  const whole = {
    giver: 'g',
    now: seconds(),
    shapes: [['sub']],
    end: seconds() + 600,
    isLast: false,
    ...head,
  }
  const body = remoteFrame.writeReseed(whole, Buffer.concat(lines))
  const answer = await fetch(`${world.url}/store/v1/reseed`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${world.keys.revoker as string}`,
      'content-type': remoteFrame.FRAME_TYPE,
    },
    body: new Uint8Array(body),
  })
  return { status: answer.status, body: await answer.json() }
}

/** Everything still works, here and on a node beside. */
async function expectSound(): Promise<void> {
  const { manager } = world.service.parts
  await manager.revoke({ sub: 'sound' }, { ack: 'everywhere' })
  for (const each of [manager, node]) {
    expect((await each.check({ sub: 'sound' })).status).toBe('revoked')
    expect((await each.check({ sub: 'sound' }, { consistency: 'strict' })).status).toBe('revoked')
    await each.replica?.catchUp()
    expect((await each.list()).revocations.length).toBeGreaterThan(0)
  }
  expect((await world.ask('/readyz')).status).toBe(200)
}

async function trail(query = ''): Promise<Record<string, unknown>[]> {
  const answer = await world.ask(`/api/v1/audit${query}`, { key: world.keys.viewer })
  return ((await answer.json()) as { entries: Record<string, unknown>[] }).entries
}

describe('what a node gives back', () => {
  it('is taken, and the trail tells who gave it, how much, and whom it restored', async () => {
    const [a, b] = [{ sub: 'a' }, { sub: 'b' }]
    await world.service.parts.manager.revoke(b)
    const given = [
      line(a, REVOKE, seconds() - 60),
      line(b, RESTORE, seconds()),
      line('everything', RESTORE, 9),
    ]
    expect(await give(given)).toEqual({ status: 200, body: { taken: 3 } })
    const strict = { consistency: 'strict' } as const
    expect([await node.isRevoked(a, strict), await node.isRevoked(b, strict)]).toEqual([true, false])
    const of = { client: 'revoker', via: 'api' }
    expect(await trail()).toEqual([
      expect.objectContaining({ ...of, operation: 'give-back', revoked: 1, restored: 2 }),
      expect.objectContaining({ ...of, operation: 'restore', scope: 'everything' }),
      expect.objectContaining({ ...of, operation: 'restore', target: { '#digest': revocationId(b) } }),
    ])
    expect(await trail(`?revocation=${revocationId(b)}`)).toMatchObject([{ operation: 'restore', ...of }])
    expect(await trail(`?revocation=${revocationId('everything')}`)).toHaveLength(1)
  })

  it('leaves no line in the trail where the store takes nothing of it', async () => {
    expect(await give([])).toEqual({ status: 200, body: { taken: 0 } })
    expect(await give([line({ sub: 'a' }, RESTORE, NEVER)])).toEqual({ status: 200, body: { taken: 0 } })
    expect(await trail()).toEqual([])
  })

  it('brings into use no shape that no target has', async () => {
    for (const shape of [['sub', 'iss'], ['sub', 'sub'], [''], ['x'.repeat(129)], ['#digest']])
      expect((await give([], { shapes: [shape], end: NEVER - 1 })).status, String(shape)).toBe(400)
    await expectSound()
  })

  it('brings no record that no reader knows', async () => {
    for (const kind of [0x15, 0x21, 0x10, 0])
      expect((await give([line({ sub: 'a' }, kind, seconds(), NEVER - 1)])).status).toBe(400)
    await expectSound()
  })

  it('makes nobody immune by a time to come', async () => {
    for (const target of [{ sub: 'mallory' }, 'everything'] as const)
      for (const kind of [REVOKE, RESTORE])
        for (const at of [NEVER, NEVER - 1, seconds() + 4000])
          expect(await give([line(target, kind, at, NEVER)])).toMatchObject({ body: { taken: 0 } })
    const { manager } = world.service.parts
    await manager.revoke({ sub: 'mallory' }, { issuedBefore: null, ack: 'everywhere' })
    for (const each of [manager, node])
      for (const consistency of ['replica', 'strict'] as const)
        expect((await each.check({ sub: 'mallory' }, { consistency })).status).toBe('revoked')
    await expectSound()
    await manager.revokeAll({ issuedBefore: null, ack: 'everywhere' })
    for (const each of [manager, node])
      for (const consistency of ['replica', 'strict'] as const)
        expect((await each.check({ sub: 'anybody' }, { consistency })).status).toBe('revoked')
  })

  it('restores no more at once than the trail tells of', async () => {
    const lines = Array.from({ length: 257 }, (_, i) => line({ sub: `s${i}` }, RESTORE, seconds()))
    expect((await give(lines)).status).toBe(400)
    expect(await give(lines.slice(1))).toMatchObject({ body: { taken: 256 } })
    expect(await trail('?limit=300')).toHaveLength(257)
  })
})
