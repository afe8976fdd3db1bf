/** The libraries that others use find the endpoints by themselves, revoke and introspect. */
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { World } from '../support/service.js'
import { introspect, startOAuthWorld, type Tool } from './callers.js'

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
const ANSWERS = ['plain', 'signed'] as const
const CASES = METHODS.flatMap((method) => ANSWERS.map((answer) => ({ method, answer })))
/** The service of the tests listens on http, on loopback. */
const insecure = { [oauth.allowInsecureRequests]: true }

let world: World
let tool: Tool
beforeAll(async () => {
  ;({ world, tool } = await startOAuthWorld())
})
afterAll(() => world[Symbol.asyncDispose]())

/** What a resource server does with a library: both must be able to. */
interface Caller {
  introspect(token: string): Promise<{ readonly active: boolean; readonly [claim: string]: unknown }>
  revoke(token: string): Promise<void>
  /** What kind of answer the last introspection got. */
  contentType(): string | null
}

async function byOauth4webapi({ method, answer }: (typeof CASES)[number]): Promise<Caller> {
  const issuer = new URL(world.url)
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
  const server = await oauth.processDiscoveryResponse(issuer, found)
  expect(server.introspection_endpoint_auth_methods_supported).toContain(method)
  expect(server.revocation_endpoint_auth_methods_supported).toContain(method)
  const client = { client_id: tool.id, introspection_signed_response_alg: 'ES256' }
  const auth = {
    client_secret_basic: () => oauth.ClientSecretBasic(tool.secret),
    client_secret_post: () => oauth.ClientSecretPost(tool.secret),
    private_key_jwt: () => oauth.PrivateKeyJwt(tool.privateKey),
  }[method]()
  let contentType: string | null = null
  return {
    contentType: () => contentType,
    introspect: async (token) => {
      const requestJwtResponse = answer === 'signed'
      const options = { requestJwtResponse, ...insecure }
      const response = await oauth.introspectionRequest(server, client, auth, token, options)
      contentType = response.headers.get('content-type')
      const said = await oauth.processIntrospectionResponse(server, client, response)
      if (requestJwtResponse) await oauth.validateApplicationLevelSignature(server, response, insecure)
      return said
    },
    revoke: async (token) => {
      const response = await oauth.revocationRequest(server, client, auth, token, insecure)
      await oauth.processRevocationResponse(response)
    },
  }
}

async function byOpenidClient({ method, answer }: (typeof CASES)[number]): Promise<Caller> {
  const auth = {
    client_secret_basic: () => openid.ClientSecretBasic(tool.secret),
    client_secret_post: () => openid.ClientSecretPost(tool.secret),
    private_key_jwt: () => openid.PrivateKeyJwt(tool.privateKey),
  }[method]()
  let contentType: string | null = null
  const config = await openid.discovery(
    new URL(world.url),
    tool.id,
    answer === 'signed' ? { introspection_signed_response_alg: 'ES256' } : {},
    auth,
    {
      algorithm: 'oauth2',
      execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks],
      [openid.customFetch]: async (url, init) => {
        const response = await fetch(url, init as RequestInit)
        if (url.endsWith('/introspect')) contentType = response.headers.get('content-type')
        return response
      },
    },
  )
  return {
    contentType: () => contentType,
    introspect: (token) => openid.tokenIntrospection(config, token),
    revoke: (token) => openid.tokenRevocation(config, token),
  }
}

describe.each([
  ['oauth4webapi', byOauth4webapi],
  ['openid-client', byOpenidClient],
])('%s', (_, make) => {
  it.each(CASES)('with $method introspects in $answer answers, revokes, and sees it dead', async (one) => {
    const caller = await make(one)
    const token = await world.issuer.sign({ client_id: tool.id, scope: 'read' })
    expect(await caller.introspect(token)).toMatchObject({
      ...{ active: true, sub: 'alice', client_id: tool.id, scope: 'read', token_type: 'Bearer' },
    })
    expect(caller.contentType()).toBe(
      one.answer === 'signed' ? 'application/token-introspection+jwt' : 'application/json',
    )
    await caller.revoke(token)
    expect(await caller.introspect(token)).toEqual({ active: false })
    await caller.revoke(token)
  })

  it('is told what it may not do', async () => {
    const caller = await make({ method: 'client_secret_basic', answer: 'plain' })
    const others = await world.issuer.sign({ client_id: 'other' })
    await expect(caller.revoke(others)).rejects.toMatchObject({ error: 'unauthorized_client', status: 400 })
    expect(await introspect(world, others)).toMatchObject({ active: true })
  })
})

it('oauth4webapi understands a refused client, and when to come again', async () => {
  const issuer = new URL(world.url)
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
  )
  const client = { client_id: tool.id }
  const ask = async () =>
    oauth.processIntrospectionResponse(
      server,
      client,
      await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic('wrong'), 'a.b.c', insecure),
    )
  await expect(ask()).rejects.toMatchObject({
    status: 401,
    cause: [{ scheme: 'basic', parameters: { realm: 'rescind' } }],
  })
})
