import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { Authenticator, type Authentication } from '../../src/clients/authenticate.js'
import type { Role } from '../../src/config/schema.js'
import { clientSchema } from '../../src/config/schema.js'
import { Clients } from '../../src/clients/clients.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import { MemoryRecords } from '../../src/records/memory.js'

const SERVICE = 'https://rescind.example'
const NOW = 1_800_000_000_000
const PER_MINUTE = 3
const roles: readonly Role[] = ['read']

async function setUp(over: { ratePerMinute?: number } = {}, jwksUrl = 'http://127.0.0.1:1/keys') {
  let nowMs = NOW
  const now = () => nowMs
  const records = new MemoryRecords({ trailMax: 10, now })
  const pair = await generateKeyPair('ES256')
  const [key, old, ended] = [makeKey(), makeKey(), makeKey()]
  const keys = [
    { hash: await hashSecret(key) },
    { hash: await hashSecret(old) },
    { hash: await hashSecret(ended), expiresAt: new Date(NOW - 1000).toISOString() },
  ]
  const own = 'a secret that somebody has thought of'
  const configured = [
    { id: 'app', roles, keys, ...over },
    { id: 'thought', roles, keys: [{ hash: await hashSecret(own) }] },
    { id: 'signer', roles, jwks: { keys: [{ ...(await exportJWK(pair.publicKey)) }] } },
    { id: 'remote', roles, jwksUrl },
    { id: 'gone', roles, keys: [{ hash: await hashSecret(own) }], isDisabled: true },
  ].map((client) => clientSchema.parse(client))
  const clients = new Clients({ clients: configured, records, now })
  const authenticator = new Authenticator({
    ...{ clients, records, now, audiences: [SERVICE] },
    ...{ failuresPerMinute: PER_MINUTE, ratePerMinute: 1000 },
  })
  const ask = (
    authorization: string | readonly string[] | undefined,
    form?: Record<string, string>,
    source = '192.0.2.1',
  ): Promise<Authentication> =>
    authenticator.authenticate({
      authorization: authorization === undefined ? [] : [authorization].flat(),
      source,
      form: form && new Map(Object.entries(form)),
    })
  const assertion = (claims: Record<string, unknown> = {}, header = { alg: 'ES256' }) =>
    new SignJWT({
      ...{ iss: 'signer', sub: 'signer', aud: SERVICE, jti: randomUUID(), exp: NOW / 1000 + 60 },
      ...claims,
    })
      .setProtectedHeader(header)
      .sign(pair.privateKey)
  const byAssertion = async (claims?: Record<string, unknown>) =>
    ask(undefined, asForm(await assertion(claims)))
  return {
    ask,
    key,
    old,
    ended,
    own,
    clients,
    byAssertion,
    assertion,
    pass: (seconds: number) => (nowMs += seconds * 1000),
  }
}

const asForm = (assertion: string) => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: assertion,
})
const basic = (id: string, secret: string) =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`

describe('a secret', () => {
  it('is taken as Basic, in the form and as a bearer key', async () => {
    const { ask, key, own } = await setUp()
    const app = { status: 'client', client: { id: 'app' } }
    expect(await ask(basic('app', key))).toMatchObject({ ...app, method: 'client_secret_basic' })
    expect(await ask(undefined, { client_id: 'app', client_secret: key })).toMatchObject({
      ...app,
      method: 'client_secret_post',
    })
    expect(await ask(`Bearer ${key}`)).toMatchObject({ ...app, method: 'bearer' })
    expect(await ask(basic('thought', own))).toMatchObject({ status: 'client', client: { id: 'thought' } })
  })

  it('of several holds while it is rotated, and not after its end', async () => {
    const { ask, old, ended } = await setUp()
    expect((await ask(`Bearer ${old}`)).status).toBe('client')
    expect(await ask(`Bearer ${ended}`)).toEqual({ status: 'refused', method: 'bearer' })
  })

  it('that is wrong, of nobody, of another or of a disabled client is refused alike', async () => {
    const { ask, key, own } = await setUp()
    const refused = { status: 'refused', method: 'client_secret_basic' }
    expect(await ask(basic('app', own))).toEqual(refused)
    expect(await ask(basic('nobody', own))).toEqual(refused)
    expect(await ask(basic('thought', key))).toEqual(refused)
    expect(await ask(basic('gone', own))).toEqual(refused)
  })

  it('that is missing, or of another scheme, is missing', async () => {
    const { ask } = await setUp()
    expect(await ask(undefined)).toEqual({ status: 'missing' })
    expect(await ask('Digest a=b')).toEqual({ status: 'missing' })
    expect(await ask(undefined, { client_id: 'app' })).toEqual({ status: 'missing' })
  })

  it('comes one way and once', async () => {
    const { ask, key } = await setUp()
    const two = [
      await ask([basic('app', key), basic('app', key)]),
      await ask(basic('app', key), { client_id: 'app', client_secret: key }),
      await ask(`Bearer ${key}`, asForm('a.b.c')),
      await ask(basic('app', key), { client_id: 'other' }),
      await ask('Basic ???'),
      await ask(`Basic ${Buffer.from('app').toString('base64')}`),
      await ask(`Basic ${Buffer.from('app:%zz').toString('base64')}`),
      await ask(undefined, { client_secret: key }),
      await ask(undefined, { client_assertion: 'a.b.c' }),
      await ask(`Bearer ${'x'.repeat(5000)}`),
    ]
    expect(two.map(({ status }) => status)).toEqual(two.map(() => 'request-invalid'))
  })

  it('that was taken away is refused at once, though it was right before', async () => {
    const { ask, clients } = await setUp()
    const key = makeKey()
    const client = { id: 'made', roles, audiences: [], isDisabled: false }
    await clients.save({ ...client, keys: [{ hash: await hashSecret(key) }] })
    expect((await ask(`Bearer ${key}`)).status).toBe('client')
    await clients.save({ ...client, keys: [{ hash: await hashSecret(makeKey()) }] })
    expect((await ask(`Bearer ${key}`)).status).toBe('refused')
    expect((await ask(basic('made', key))).status).toBe('refused')
  })
})

describe('whoever guesses', () => {
  it('is made to wait, and nobody else: not another address, nor who was let in before', async () => {
    const { ask, own, pass } = await setUp()
    expect((await ask(basic('thought', own), undefined, 'known')).status).toBe('client')
    for (let i = 0; i < PER_MINUTE; i++) await ask(basic('thought', `wrong ${i}`), undefined, 'known')
    expect((await ask(basic('thought', 'wrong'), undefined, 'known')).status).toBe('limited')
    expect((await ask(basic('thought', own), undefined, 'known')).status).toBe('client')
    expect((await ask(basic('thought', own), undefined, 'another')).status).toBe('client')
    pass(61)
    expect((await ask(basic('thought', own), undefined, 'known')).status).toBe('client')
  })

  it('cannot lock out a key of ours whose id he does not know, from the same address', async () => {
    const { ask, key } = await setUp()
    for (let i = 0; i < 2 * PER_MINUTE; i++) await ask(basic('app', `wrong ${i}`))
    expect((await ask(basic('app', 'wrong'))).status).toBe('limited')
    expect((await ask(basic('app', key))).status).toBe('client')
  })
})

it('a client that asks too often waits, and no other', async () => {
  const { ask, key, own } = await setUp({ ratePerMinute: 2 })
  const statuses = [await ask(`Bearer ${key}`), await ask(`Bearer ${key}`), await ask(`Bearer ${key}`)]
  expect(statuses.map(({ status }) => status)).toEqual(['client', 'client', 'limited'])
  expect((await ask(basic('thought', own))).status).toBe('client')
})

describe('an assertion', () => {
  it('lets its client in, once', async () => {
    const { ask, assertion } = await setUp()
    const form = asForm(await assertion())
    expect(await ask(undefined, form)).toMatchObject({
      status: 'client',
      client: { id: 'signer' },
      method: 'private_key_jwt',
    })
    expect(await ask(undefined, form)).toEqual({ status: 'refused', method: 'private_key_jwt' })
  })

  it.each([
    ['another audience', { aud: 'https://other.example' }],
    ['another issuer', { iss: 'app' }],
    ['another subject', { sub: 'app' }],
    ['no end', { exp: undefined }],
    ['an end that has passed', { exp: NOW / 1000 - 60 }],
    ['an end far away', { exp: NOW / 1000 + 86_400 }],
    ['no id', { jti: undefined }],
  ])('with %s is refused', async (_, claims) => {
    const { byAssertion } = await setUp()
    expect(await byAssertion(claims)).toEqual({ status: 'refused', method: 'private_key_jwt' })
  })

  it('that no key of the client has signed, or that names another client, is refused', async () => {
    const { ask, assertion } = await setUp()
    const other = await setUp()
    expect((await ask(undefined, asForm(await other.assertion()))).status).toBe('refused')
    expect((await ask(undefined, { ...asForm(await assertion()), client_id: 'app' })).status).toBe('refused')
    expect((await ask(undefined, asForm('not.a.jwt'))).status).toBe('refused')
  })

  it('that is wrong, however often, locks nobody out', async () => {
    const { ask, assertion, byAssertion } = await setUp()
    const other = await setUp()
    for (let i = 0; i < 2 * PER_MINUTE; i++) await ask(undefined, asForm(await other.assertion()))
    expect((await ask(undefined, asForm(await assertion()))).status).toBe('client')
    expect((await byAssertion()).status).toBe('client')
  })

  it('of a client whose key set is away is no proof against it', async () => {
    const { ask, assertion } = await setUp()
    const claims = { iss: 'remote', sub: 'remote' }
    await expect(ask(undefined, asForm(await assertion(claims)))).rejects.toMatchObject({
      code: 'ERR_KEYS_UNAVAILABLE',
    })
  })

  it.each<[string, RequestListener]>([
    ['fails', (_, answer) => answer.writeHead(500).end()],
    ['is no key set', (_, answer) => answer.end('<!doctype html>')],
    ['has no end', (_, answer) => answer.end(`{"keys":[${'{"kty":"EC"},'.repeat(30_000)}{}]}`)],
  ])(
    'of a client whose key set %s is no proof against it, and is not fetched each time',
    async (_, listener) => {
      let fetches = 0
      await using server = createServer((request, answer) => {
        fetches++
        listener(request, answer)
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const { port } = server.address() as AddressInfo
      const { ask, assertion } = await setUp({}, `http://127.0.0.1:${port}/keys`)
      for (let i = 0; i < 3; i++)
        await expect(
          ask(undefined, asForm(await assertion({ iss: 'remote', sub: 'remote' }))),
        ).rejects.toMatchObject({ code: 'ERR_KEYS_UNAVAILABLE' })
      expect(fetches).toBe(1)
    },
  )
})
