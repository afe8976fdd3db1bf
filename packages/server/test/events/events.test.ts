/** `GET /events`: who may follow, what they are told, and that they come back without a gap and without a change twice. */
import { connect } from 'node:net'
import { MemoryStore, RedisConnection, RedisStore } from 'rescind'
import { describe, expect, it, vi } from 'vitest'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import type { Client } from '../../src/clients/client.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import { startWorld, type World } from '../support/service.js'
import { EventsFollower, type FollowOptions } from './follower.js'

function follow(world: World, options: Partial<FollowOptions> = {}) {
  const ended = new AbortController()
  const { url, keys } = world
  const follower = new EventsFollower({ url, key: keys.viewer as string, signal: ended.signal, ...options })
  return { follower, end: () => ended.abort() }
}

const revoke = (world: World, sub: string) => world.service.parts.manager.revoke({ sub })

describe('GET /events', () => {
  it('tells who may read every change with its position, through buffers that proxies have', async () => {
    await using world = await startWorld()
    const answer = await world.ask('/events', { key: world.keys.viewer })
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-accel-buffering')).toBe('no')
    await answer.body?.cancel()

    const { follower, end } = follow(world)
    await until(() => follower.has('heartbeat'), { what: 'the first sign of life' })
    const { manager } = world.service.parts
    await manager.revoke({ sub: 'alice' }, { reason: 'lost laptop', actor: 'helpdesk' })
    // Of what was restored since, the log has the times alone.
    await until(() => follower.has('revoked'), { what: 'the revocation' })
    await manager.restore({ sub: 'alice' })
    await until(() => follower.has('restored'), { what: 'both changes' })
    const [revoked, restored] = follower.events.filter(({ event }) => event !== 'heartbeat')
    expect(revoked?.event).toBe('revoked')
    expect(JSON.parse(revoked?.data ?? '')).toMatchObject({
      id: expect.stringMatching(/^[\w-]{22}$/) as string,
      target: { sub: 'alice' },
      reason: 'lost laptop',
      actor: 'helpdesk',
    })
    expect(JSON.parse(restored?.data ?? '')).toMatchObject({ target: { sub: 'alice' } })
    expect(restored?.lastEventId).toBe(await world.service.parts.store.position())
    end()
  })

  it('lets nobody else follow', async () => {
    await using world = await startWorld()
    expect((await world.ask('/events')).status).toBe(401)
    expect((await world.ask('/events', { key: 'wrong' })).status).toBe(401)
    expect((await world.ask('/events', { key: world.keys.revoker })).status).toBe(403)
  })

  it('opens no stream for who asks for its headers alone', async () => {
    await using world = await startWorld({ config: { limits: { eventsFollowersMax: 1 } } })
    for (const path of ['/events', '/store/v1/bell', '/events']) {
      const answer = await world.ask(path, { key: world.keys.viewer, method: 'HEAD' })
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    }
    expect(await (await world.ask('/metrics')).text()).toMatch(/^rescind_event_followers 0$/m)
  })

  it('refuses more followers than it may have, and counts them', async () => {
    await using world = await startWorld({ config: { limits: { eventsFollowersMax: 2 } } })
    const open = [follow(world), follow(world)]
    await until(() => open.every(({ follower }) => follower.has('heartbeat')), { what: 'two followers' })
    const third = await world.ask('/events', { key: world.keys.viewer })
    expect(third.status).toBe(503)
    expect(third.headers.get('retry-after')).not.toBeNull()
    expect(await (await world.ask('/metrics')).text()).toMatch(/^rescind_event_followers 2$/m)
    for (const { end } of open) end()
    const isFree = async () => /^rescind_event_followers 0$/m.test(await (await world.ask('/metrics')).text())
    await until(isFree, { what: 'the places of those who went away' })
  })

  it('reads on from a position in memory and from one that only the store has, and joins the changes of now', async () => {
    const store = new MemoryStore()
    await using world = await startWorld({ store })
    const begin = await store.position()
    const old = Array.from({ length: 300 }, (_, i) => `old-${i}`)
    // Before anybody follows: the service has not read it.
    for (const sub of old) await revoke(world, sub)
    const first = follow(world, { after: begin })
    const more = Array.from({ length: 300 }, (_, i) => `more-${i}`)
    // While the first one still reads what was before.
    for (const sub of more) await revoke(world, sub)
    await until(() => first.follower.subs.length >= 600, { what: 'all changes' })
    expect(first.follower.subs).toEqual([...old, ...more])

    // In the middle of what is in memory.
    const middle = first.follower.events.find(({ data }) => data.includes('more-99'))
    const second = follow(world, { after: middle?.lastEventId })
    await until(() => second.follower.subs.length >= 200, { what: 'what followed' })
    await revoke(world, 'last')
    await until(() => second.follower.subs.includes('last'), { what: 'the change of now' })
    expect(second.follower.subs).toEqual([...more.slice(100), 'last'])
    await until(() => first.follower.subs.includes('last'), { what: 'the change of now' })
    first.end()
    second.end()
  })

  it('tells who asks for a position that the log does not hold to begin anew, and goes on from there', async () => {
    await using world = await startWorld()
    for (const after of ['nonsense', '0123456789abcdef:1:7:00000000']) {
      const { follower, end } = follow(world, { after })
      await until(() => follower.has('reset'), { what: 'reset' })
      await until(() => follower.has('heartbeat'), { what: 'the stream of now' })
      await revoke(world, after)
      await until(() => follower.subs.includes(after), { what: 'the next change' })
      expect(follower.subs).toEqual([after])
      end()
    }
  })

  it('ends the streams of a client that is disabled, within some seconds', async () => {
    await using world = await startWorld()
    const { clients } = world.service.parts
    const key = makeKey()
    const client = {
      ...{ id: 'tool', roles: ['read' as const], audiences: [] },
      keys: [{ hash: await hashSecret(key) }],
      isDisabled: false,
    }
    await clients.save(client, { isNew: true })
    const { follower, end } = follow(world, { key })
    await until(() => follower.has('heartbeat'), { what: 'the stream' })
    await clients.save({ ...client, isDisabled: true })
    await until(() => follower.statuses.includes(401), { what: 'the end of the stream', timeoutMs: 8000 })
    end()
  })

  it('ends the streams of a client that is no more, though somebody guesses so often that no key is looked at', async () => {
    await using world = await startWorld()
    const { clients } = world.service.parts
    const [gone, stays] = [makeKey(), makeKey()]
    for (const [id, key] of [['gone', gone] as const, ['stays', stays] as const]) {
      const keys = [{ hash: await hashSecret(key) }]
      await clients.save({ id, roles: ['read'], audiences: [], keys, isDisabled: false })
    }
    const [first, second] = [follow(world, { key: gone }), follow(world, { key: stays })]
    await until(() => first.follower.has('heartbeat') && second.follower.has('heartbeat'), {
      what: 'streams',
    })
    const guess = async (key: string) => (await world.ask('/api/v1/status', { key })).status
    const guessed = [
      `${gone.slice(0, 17)}${'A'.repeat(43)}`,
      `${stays.slice(0, 17)}${'A'.repeat(43)}`,
      makeKey(),
    ]
    const guessOn = async () => (await Promise.all(guessed.map(guess))).every((status) => status === 429)
    await until(guessOn, { what: 'all guesses to be refused unseen', intervalMs: 0 })
    await clients.remove('gone')
    const ended = until(() => first.follower.statuses.length > 1, { what: 'the end of the stream' })
    const stop = setInterval(() => void guessOn().catch(() => undefined), 200)
    await ended.finally(() => clearInterval(stop))
    expect(second.follower.statuses).toEqual([200])
    first.end()
    second.end()
  })

  it('goes on for a client that asks more often than it may', async () => {
    await using world = await startWorld()
    const { clients, authenticator } = world.service.parts
    const key = makeKey()
    const keys = [{ hash: await hashSecret(key) }]
    await clients.save({
      id: 'busy',
      roles: ['read'],
      audiences: [],
      keys,
      isDisabled: false,
      ratePerMinute: 6,
    })
    const { follower, end } = follow(world, { key })
    await until(() => follower.has('heartbeat'), { what: 'the stream' })
    const busy = (await clients.find('busy')) as Client
    await until(() => authenticator.take(busy) > 0, { what: 'no request to be left', intervalMs: 0 })
    const looks = vi.spyOn(authenticator, 'authenticate')
    await until(() => authenticator.take(busy) > 0 && looks.mock.results.length > 0, {
      what: 'a look at its key',
    })
    expect(await looks.mock.results[0]?.value).toMatchObject({ status: 'limited' })
    await revoke(world, 'later')
    await until(() => follower.subs.includes('later'), { what: 'what it is told after that' })
    expect(follower.statuses).toEqual([200])
    end()
  })

  it('breaks off a client that does not read, and lets it read on from where it was', async () => {
    await using world = await startWorld()
    const { port, hostname } = new URL(world.url)
    const stuck = connect(Number(port), hostname)
    const closed = new Promise((resolve) => stuck.on('error', () => undefined).on('close', resolve))
    stuck.write(`GET /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${world.keys.viewer}\r\n\r\n`)
    let heard = ''
    stuck.on('data', (chunk: Buffer) => (heard += chunk.toString()))
    await until(() => heard.includes('event: heartbeat'), { what: 'its stream' })
    stuck.pause()
    const { follower, end } = follow(world)
    await until(() => follower.has('heartbeat'), { what: 'the stream of another' })
    // More than sockets hold: three bytes a character.
    const reason = 'あ'.repeat(500)
    const subs = Array.from({ length: 12_000 }, (_, i) => `user-${i}`)
    for (const sub of subs) await world.service.parts.manager.revoke({ sub }, { reason })
    const count = async () =>
      /^rescind_event_followers (\d+)/m.exec(await (await world.ask('/metrics')).text())?.[1]
    await until(async () => (await count()) === '1', { what: 'the end of who does not read' })
    await until(() => follower.subs.length === subs.length, { what: 'all for who reads' })
    expect(follower.subs).toEqual(subs)
    end()

    // What was on its way to it is lost with the connection: it goes on from the last that it has read.
    stuck.resume()
    await closed
    const after = [...heard.matchAll(/^id: (.+)\n(?:.+\n)+\n/gm)].at(-1)?.[1]
    expect(after).toBeDefined()
    const again = follow(world, { after })
    await until(() => again.follower.subs.at(-1) === subs.at(-1), { what: 'the rest' })
    const rest = again.follower.subs
    expect(rest).toEqual(subs.slice(-rest.length))
    expect(rest.length + heard.split('event: revoked').length - 1).toBeGreaterThanOrEqual(subs.length)
    again.end()
  }, 60_000)

  it('ends when the service stops', async () => {
    const world = await startWorld()
    const { follower } = follow(world, { reconnects: false })
    await until(() => follower.has('heartbeat'), { what: 'the stream' })
    const startedAt = performance.now()
    await world[Symbol.asyncDispose]()
    await follower.done
    expect(performance.now() - startedAt).toBeLessThan(3000)
  })

  it('tells followers of a Redis that was emptied to begin anew', async () => {
    await using redis = await RedisServer.start()
    await using world = await startWorld({ store: null, env: { REDIS_URL: redis.url } })
    const { follower, end } = follow(world)
    await until(() => follower.has('heartbeat'), { what: 'the stream' })
    await revoke(world, 'before')
    await until(() => follower.subs.includes('before'), { what: 'the change' })
    await redis.command('FLUSHALL')
    await until(() => follower.has('reset'), { what: 'reset', timeoutMs: 10_000 })
    await revoke(world, 'after')
    await until(() => follower.subs.includes('after'), { what: 'the change after it' })
    end()
  })

  it('reads the log of several partitions on without a gap and without a change twice, while it grows', async () => {
    await using redis = await RedisServer.start()
    const env = { REDIS_URL: redis.url, RESCIND_PARTITIONS: '8' }
    await using world = await startWorld({ store: null, env })
    const writer = new RedisStore(new RedisConnection({ url: redis.url }), { partitions: 8 })
    const begin = await world.service.parts.store.position()
    const subs = Array.from({ length: 1500 }, (_, i) => `user-${i}`)
    const followers = []
    for (const [i, sub] of subs.entries()) {
      if (i % 300 === 150) followers.push(follow(world, { after: begin }))
      await revoke(world, sub)
    }
    for (const { follower, end } of followers) {
      await until(() => follower.subs.length >= subs.length, { what: 'all changes', timeoutMs: 10_000 })
      // Each once; the order between partitions is open.
      expect(follower.subs.length).toBe(subs.length)
      expect(new Set(follower.subs)).toEqual(new Set(subs))
      end()
    }
    await writer.close()
  }, 60_000)
})

it('a service stops at once though a client has opened a connection in advance', async () => {
  const world = await startWorld()
  const { port, hostname } = new URL(world.url)
  const early = connect(Number(port), hostname)
  early.on('error', () => undefined)
  await new Promise((resolve) => early.once('connect', resolve))
  // The service has taken it in when it has answered what came later.
  await world.ask('/healthz')
  const startedAt = performance.now()
  await world[Symbol.asyncDispose]()
  expect(performance.now() - startedAt).toBeLessThan(3000)
})
