import { expect, it } from 'vitest'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import { SESSION_IDLE_SECONDS, SESSION_MAX_SECONDS } from '../../src/ui/session.js'
import { startWorld, type World } from '../support/service.js'

const PAGE = { 'x-rescind-ui': '1', 'sec-fetch-site': 'same-origin' }

interface SignedIn {
  readonly answer: Response
  /** As a browser sends it back. */
  readonly cookie: string
  /** As it was set, in small letters. */
  readonly attributes: string
}

async function signIn(world: World, key: string, headers: Record<string, string> = PAGE): Promise<SignedIn> {
  const answer = await world.ask('/ui/session', { json: { key }, headers })
  return { answer, ...cookieOf(answer) }
}

function cookieOf(answer: Response): { cookie: string; attributes: string } {
  const field = answer.headers.getSetCookie()[0] ?? ''
  return { cookie: field.split(';')[0] ?? '', attributes: field.toLowerCase() }
}

async function who(world: World, cookie: string): Promise<unknown> {
  const body = (await (await world.ask('/ui/session', { headers: { cookie } })).json()) as {
    client: { id: string } | null
  }
  return body.client?.id
}

it('signs a client in with its key, says who it is, and sets a cookie that no script reads', async () => {
  await using world = await startWorld()
  const { answer, cookie, attributes } = await signIn(world, world.keys.viewer as string)
  expect(answer.status).toBe(200)
  expect(await answer.json()).toMatchObject({ client: { id: 'viewer', roles: ['read'] } })
  expect(attributes).toContain('httponly')
  expect(attributes).toContain('samesite=strict')
  expect(attributes).toContain('path=/')
  expect(attributes).not.toContain('secure')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(await who(world, cookie)).toBe('viewer')
})

it('binds the cookie to the host and to TLS where the service is reached by https', async () => {
  await using world = await startWorld({ config: { publicUrl: 'https://rescind.example.com' } })
  const { cookie, attributes } = await signIn(world, world.keys.admin as string)
  expect(cookie).toMatch(/^__Host-rescind-session=/)
  expect(attributes).toContain('secure')
  expect(attributes).not.toContain('domain')
  expect(await who(world, cookie)).toBe('admin')
})

it('refuses wrong keys and clients without a role for it, and slows down who guesses', async () => {
  await using world = await startWorld({ config: { limits: { failuresPerMinute: 2 } } })
  expect((await signIn(world, world.keys.app as string)).answer.status).toBe(403)
  expect((await world.ask('/ui/session', { json: { wrong: 1 }, headers: PAGE })).status).toBe(400)
  const statuses = []
  for (let i = 0; i < 4; i++) statuses.push((await signIn(world, 'not-a-key')).answer.status)
  expect(statuses).toEqual([401, 401, 429, 429])
  expect((await signIn(world, world.keys.admin as string)).answer.status).toBe(200)
})

it('takes no sign-in and no change that another origin has sent', async () => {
  await using world = await startWorld()
  const admin = world.keys.admin as string
  expect((await signIn(world, admin, {})).answer.status).toBe(403)
  expect((await signIn(world, admin, { ...PAGE, 'sec-fetch-site': 'same-site' })).answer.status).toBe(403)
  const { cookie } = await signIn(world, admin)
  const end = (headers: Record<string, string>) =>
    world.ask('/ui/session', { method: 'DELETE', headers: { ...headers, cookie } })
  expect((await end({})).status).toBe(403)
  expect((await end({ ...PAGE, 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  expect(await who(world, cookie)).toBe('admin')
})

it('revokes the session at sign-out, so that a copy of the cookie is worth nothing', async () => {
  await using world = await startWorld()
  const { cookie } = await signIn(world, world.keys.admin as string)
  const ended = await world.ask('/ui/session', { method: 'DELETE', headers: { ...PAGE, cookie } })
  expect(ended.status).toBe(200)
  expect(cookieOf(ended).attributes).toContain('max-age=0')
  expect(await who(world, cookie)).toBeUndefined()
})

it('ends by itself: when nobody renews it, and whatever is done after eight hours', async () => {
  let now = Date.parse('2030-01-01T00:00:00Z')
  await using world = await startWorld({ now: () => now })
  const signedIn = await signIn(world, world.keys.admin as string)
  let { cookie } = signedIn
  const renewals = Math.floor(SESSION_MAX_SECONDS / (SESSION_IDLE_SECONDS - 1))
  for (let i = 0; i < renewals; i++) {
    now += (SESSION_IDLE_SECONDS - 1) * 1000
    expect(await who(world, cookie)).toBe('admin')
    const renewed = await world.ask('/ui/session', { method: 'PUT', headers: { ...PAGE, cookie } })
    expect(renewed.status).toBe(200)
    ;({ cookie } = cookieOf(renewed))
  }
  expect(await who(world, signedIn.cookie)).toBeUndefined()
  now += (SESSION_MAX_SECONDS - renewals * (SESSION_IDLE_SECONDS - 1)) * 1000
  expect(await who(world, cookie)).toBeUndefined()
})

it('ends when its client is disabled, and when the key that opened it is taken away', async () => {
  await using world = await startWorld()
  const { clients } = world.service.parts
  const key = makeKey()
  const client = { id: 'night', roles: ['read' as const], audiences: [], isDisabled: false }
  await clients.save({ ...client, keys: [{ hash: await hashSecret(key) }] })
  const { cookie } = await signIn(world, key)
  expect(await who(world, cookie)).toBe('night')
  await clients.save({ ...client, keys: [{ hash: await hashSecret(makeKey()) }] })
  expect(await who(world, cookie)).toBeUndefined()
  await clients.save({ ...client, keys: [{ hash: await hashSecret(key) }] })
  expect(await who(world, cookie)).toBe('night')
  await clients.save({ ...client, keys: [{ hash: await hashSecret(key) }], isDisabled: true })
  expect(await who(world, cookie)).toBeUndefined()
})

it('ends with every token when everything is revoked, and lets in who signs in again', async () => {
  await using world = await startWorld()
  const { cookie } = await signIn(world, world.keys.admin as string)
  await world.service.parts.manager.revokeAll()
  expect(await who(world, cookie)).toBeUndefined()
  // What was issued in the same second is dead as well.
  await until(
    async () => {
      const again = await signIn(world, world.keys.admin as string)
      return (await who(world, again.cookie)) === 'admin'
    },
    { what: 'a session of the next second', intervalMs: 100 },
  )
})

it('lets nobody in while nobody can tell whether the session was revoked', async () => {
  await using redis = await RedisServer.start()
  await using world = await startWorld({
    store: null,
    env: { REDIS_URL: redis.url },
    config: { stalenessMaxMs: 300 },
  })
  const { cookie } = await signIn(world, world.keys.admin as string)
  expect((await world.ask('/api/v1/audit', { headers: { cookie } })).status).toBe(200)
  await redis.kill()
  const status = async (path: string) => (await world.ask(path, { headers: { cookie } })).status
  await until(async () => (await status('/ui/session')) === 503, { what: 'the session to be uncertain' })
  expect(await status('/openapi.json')).toBe(200)
  expect(await status('/api/v1/clients')).toBe(503)
  expect(await status('/events')).toBe(503)
})

it('takes no other token for a session, though this service has signed it', async () => {
  await using world = await startWorld()
  const { signer, publicUrl } = world.service.parts
  const { cookie } = await signIn(world, world.keys.admin as string)
  const iat = Math.floor(Date.now() / 1000)
  const claims = {
    iss: publicUrl,
    aud: publicUrl,
    sub: 'admin',
    jti: 'x',
    iat,
    exp: iat + 60,
    auth_time: iat,
  }
  const withType = async (typ: string) => `${cookie.split('=')[0]}=${await signer.sign(claims, typ)}`
  expect(await who(world, await withType('rescind-session+jwt'))).toBe('admin')
  expect(await who(world, await withType('at+jwt'))).toBeUndefined()
})

it('opens the API to the page that is signed in, as far as its client may go, and to no other page', async () => {
  await using world = await startWorld()
  const { cookie } = await signIn(world, world.keys.viewer as string)
  const ask = async (path: string, headers: Record<string, string>, json?: unknown) =>
    (await world.ask(path, { headers: { ...headers, cookie }, json })).status
  const claims = { claims: { sub: 'alice', jti: '1' } }
  expect(await ask('/api/v1/nodes', {})).toBe(200)
  expect(await ask('/api/v1/nodes', { 'sec-fetch-site': 'cross-site' })).toBe(403)
  expect(await ask('/api/v1/checks', PAGE, claims)).toBe(200)
  expect(await ask('/api/v1/checks', {}, claims)).toBe(403)
  expect(await ask('/api/v1/checks', { ...PAGE, 'sec-fetch-site': 'same-site' }, claims)).toBe(403)
  expect(await ask('/api/v1/revocations', PAGE, { target: { sub: 'alice' } })).toBe(403)
  expect(await ask('/api/v1/nodes', { authorization: 'Bearer wrong' })).toBe(401)
})

it('ends a stream by a revocation that covers the sign-in, though the session was renewed since', async () => {
  let now = Date.parse('2030-01-01T00:00:00Z')
  await using world = await startWorld({ now: () => now })
  const { manager, publicUrl } = world.service.parts
  const { cookie } = await signIn(world, world.keys.viewer as string)
  now += 600_000
  const renewed = await world.ask('/ui/session', { method: 'PUT', headers: { ...PAGE, cookie } })
  const stream = await world.ask('/events', { headers: { cookie: cookieOf(renewed).cookie } })
  expect(stream.status).toBe(200)
  const read = stream.text()
  await manager.revoke({ iss: publicUrl, sub: 'viewer' }, { issuedBefore: now / 1000 - 300 })
  expect(await read).toContain('retry:')
})

it('ends the streams of a session together with it', async () => {
  await using world = await startWorld()
  const { cookie } = await signIn(world, world.keys.viewer as string)
  const stream = await world.ask('/events', { headers: { cookie } })
  expect(stream.status).toBe(200)
  const read = stream.text()
  await world.ask('/ui/session', { method: 'DELETE', headers: { ...PAGE, cookie } })
  expect(await read).toContain('retry:')
  expect((await world.ask('/events', { headers: { cookie } })).status).toBe(401)
})
