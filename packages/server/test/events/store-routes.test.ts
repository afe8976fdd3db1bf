/** `/store/v1`: who may do what, and what a node may not make the store believe. */
import { RemoteStore, TokenManager } from 'rescind'
import { describe, expect, it } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import { startWorld, type World } from '../support/service.js'

const seconds = () => Math.floor(Date.now() / 1000)
const entry = () => ({ at: seconds(), end: seconds() + 600, issuedBefore: 0xffff_ffff })
const put = (world: World, key: string | undefined, over: Record<string, unknown> = {}) =>
  world.ask('/store/v1/put', { key, json: { target: { sub: 'a' }, entry: entry(), now: seconds(), ...over } })

describe('a client of /store/v1', () => {
  it('reads with the role read, and writes with revoke:any', async () => {
    await using world = await startWorld()
    const { viewer, revoker, api } = world.keys
    const reads = ['position', 'ping', 'nodes', 'list?limit=1&now=1', 'log?bytes=32&maxAgeMs=0']
    for (const path of reads) {
      expect((await world.ask(`/store/v1/${path}`)).status, path).toBe(401)
      expect((await world.ask(`/store/v1/${path}`, { key: api })).status, path).toBe(403)
      const { status, headers } = await world.ask(`/store/v1/${path}`, { key: viewer })
      expect([200, 204], path).toContain(status)
      expect(headers.get('cache-control'), path).toBe('no-store')
    }
    expect((await put(world, undefined)).status).toBe(401)
    expect((await put(world, viewer)).status).toBe(403)
    for (const path of ['restore', 'reseed', 'receipts', 'advance'])
      expect((await world.ask(`/store/v1/${path}`, { key: viewer, json: {} })).status, path).toBe(403)
    expect((await put(world, revoker)).status).toBe(200)
    expect(
      (await world.ask('/store/v1/restore', { key: revoker, json: { target: { sub: 'a' }, now: seconds() } }))
        .status,
    ).toBe(200)
  })

  it('cannot say what is of another form, too long, or beyond what the log can hold', async () => {
    await using world = await startWorld()
    const { revoker, viewer } = world.keys
    for (const over of [
      { target: {} },
      { target: { sub: '' } },
      { target: { '#digest': 'x' } },
      { target: 'everybody' },
      { entry: { ...entry(), end: 2 ** 32 } },
      { entry: { ...entry(), issuedBefore: -1 } },
      { entry: { ...entry(), reason: 'x'.repeat(5000) } },
      { ack: 'certainly' },
      { now: 'now' },
    ]) {
      const answer = await put(world, revoker, over)
      expect(answer.status, JSON.stringify(over).slice(0, 80)).toBe(400)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
    }
    const mark = { generation: 0, token: 'A'.repeat(22), usedAt: seconds() }
    const step = { family: 'B'.repeat(22), mark, now: seconds(), end: seconds() + 60 }
    const advance = (over: Record<string, unknown>) =>
      world.ask('/store/v1/advance', { key: revoker, json: { ...step, ...over } })
    for (const over of [
      { family: 'B' },
      { mark: null },
      { mark: { ...mark, generation: 2 ** 32 } },
      { mark: { ...mark, generation: 0.5 } },
      { mark: { ...mark, token: '../' } },
      { mark: { ...mark, usedAt: '1' } },
      { end: -1 },
      { ack: 'everywhere' },
      { now: seconds() + 100_000 },
    ])
      expect((await advance(over)).status, JSON.stringify(over)).toBe(400)
    expect(await (await advance({})).json()).toEqual({ mark, isMoved: true })
    const digests = Array.from({ length: 5000 }, () => 'A'.repeat(22))
    expect((await world.ask('/store/v1/find', { key: viewer, json: { digests, tag: '' } })).status).toBe(400)
    const body = ' '.repeat(600 * 1024)
    expect((await world.ask('/store/v1/find', { key: viewer, body })).status).toBe(400)
    expect((await world.ask('/store/v1/log?bytes=-1&maxAgeMs=0', { key: viewer })).status).toBe(400)
    expect((await world.ask('/store/v1/log?bytes=32&maxAgeMs=0&after=x', { key: viewer })).status).toBe(410)
    expect((await world.service.parts.store.list({ now: seconds(), limit: 10 })).revocations).toEqual([])
  })

  it('cannot make the store forget what is in force by a clock of its own', async () => {
    await using world = await startWorld()
    const { revoker } = world.keys
    const { manager } = world.service.parts
    await manager.revoke({ sub: 'a' })
    const late = seconds() + 100_000
    expect((await put(world, revoker, { now: late })).status).toBe(400)
    expect((await put(world, revoker, { entry: { ...entry(), at: late, end: late + 1 } })).status).toBe(400)
    const known = { restoredAt: 0, entries: [{ ...entry(), at: late }] }
    const restore = { target: { sub: 'a' }, now: seconds(), known }
    expect((await world.ask('/store/v1/restore', { key: revoker, json: restore })).status).toBe(400)
    expect(await manager.isRevoked({ sub: 'a' }, { consistency: 'strict' })).toBe(true)
  })

  it('cannot pass its node for that of another client, or take that from the list', async () => {
    await using world = await startWorld()
    const { clients, store } = world.service.parts
    const key = makeKey()
    const keys = [{ hash: await hashSecret(key) }]
    await clients.save({ id: 'other-edge', roles: ['read'], audiences: [], keys, isDisabled: false })
    const mine = new RemoteStore({ url: world.url, key: world.keys.viewer as string })
    const theirs = new RemoteStore({ url: world.url, key })
    const node = { id: 'n', name: 'mine', position: 'p', stalenessMs: 0, entries: 0 }
    await mine.announce(node)
    await theirs.announce({ ...node, name: 'theirs' })
    await theirs.retire('n')
    const named = (await store.nodes()).filter(({ name }) => name === 'mine' || name === 'theirs')
    expect(named.map(({ name }) => name)).toEqual(['mine'])
    expect((await mine.nodes()).find(({ name }) => name === 'mine')?.id).toBe('n')
    expect((await theirs.nodes()).find(({ name }) => name === 'mine')?.id).toBe('viewer:n')
    await Promise.all([mine.close(), theirs.close()])
  })

  it('revokes everywhere through the service: the receipt waits for nodes at the edge, and the trail names the client', async () => {
    await using world = await startWorld()
    const open = (key: string) =>
      new TokenManager({
        store: new RemoteStore({ url: world.url, key }),
        nodeName: `edge-${key.slice(0, 3)}`,
      })
    const [reader, writer] = [open(world.keys.viewer as string), open(world.keys.admin as string)]
    await Promise.all([reader.ready(), writer.ready()])
    await until(async () => (await writer.nodes()).length >= 3, { what: 'all nodes to announce themselves' })
    const receipt = await writer.revoke({ sub: 'alice' }, { ack: 'everywhere', reason: 'left' })
    expect(receipt.nodes?.length).toBeGreaterThanOrEqual(3)
    expect(reader.checkNow({ sub: 'alice' })).toMatchObject({ status: 'revoked' })
    await expect(reader.revoke({ sub: 'bob' })).rejects.toMatchObject({ code: 'ERR_STORE_REFUSED' })
    const { entries } = await world.service.parts.records.trail({ limit: 10 })
    expect(entries.map(({ text }) => JSON.parse(text) as unknown)).toMatchObject([
      { client: 'admin', operation: 'revoke', target: { sub: 'alice' }, reason: 'left' },
    ])
    await Promise.all([reader.close(), writer.close()])
  })
})
