/**
 * Tokens of a real authorization server, `oidc-provider`: it refuses to revoke the JWTs that it has issued, and so to
 * introspect them. The service does both, and knows of it no more than where its key set is.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import * as oauth from 'oauth4webapi'
import { Provider } from 'oidc-provider'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { rememberToken } from '../../../rescind/test/support/canary.js'
import { AUDIENCE, type World } from '../support/service.js'
import { startOAuthWorld, type Tool } from './callers.js'

const PROVIDER_SECRET = 'known to the authorization server alone'
const insecure = { [oauth.allowInsecureRequests]: true }
const client = { client_id: 'tool' }

let listener: Server
let world: World
let tool: Tool
/** Both as a client finds them: the one who issues tokens, and the one who revokes them. */
let issuer: oauth.AuthorizationServer
let service: oauth.AuthorizationServer

beforeAll(async () => {
  listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  const answer = (await makeProvider(url)).callback()
  listener.on('request', (request, response) => void answer(request, response))
  ;({ world, tool } = await startOAuthWorld({
    config: {
      issuers: [{ issuer: url, audience: AUDIENCE, algorithms: ['ES256'], jwksUrl: `${url}/jwks` }],
    },
  }))
  issuer = await discover(url, 'oidc')
  service = await discover(world.url, 'oauth2')
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  listener.closeAllConnections()
  listener.close()
})

async function makeProvider(url: string): Promise<Provider> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return new Provider(url, {
    clients: [
      {
        client_id: 'tool',
        client_secret: PROVIDER_SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig' }] },
    scopes: ['read'],
    cookies: { keys: ['not used here'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'read',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
}

async function discover(url: string, algorithm: 'oidc' | 'oauth2'): Promise<oauth.AuthorizationServer> {
  const found = await oauth.discoveryRequest(new URL(url), { algorithm, ...insecure })
  return oauth.processDiscoveryResponse(new URL(url), found)
}

async function issue(): Promise<string> {
  const auth = oauth.ClientSecretBasic(PROVIDER_SECRET)
  const parameters = { resource: AUDIENCE, scope: 'read' }
  const response = await oauth.clientCredentialsGrantRequest(issuer, client, auth, parameters, insecure)
  const { access_token } = await oauth.processClientCredentialsResponse(issuer, client, response)
  rememberToken(access_token)
  return access_token
}

const revokeAt = async (server: oauth.AuthorizationServer, secret: string, token: string) =>
  oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, oauth.ClientSecretBasic(secret), token, insecure),
  )
const introspectAt = async (
  server: oauth.AuthorizationServer,
  secret: string,
  token: string,
  isSigned = false,
) =>
  oauth.processIntrospectionResponse(
    server,
    { ...client, introspection_signed_response_alg: 'ES256' },
    await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic(secret), token, {
      requestJwtResponse: isSigned,
      ...insecure,
    }),
  )

it('oidc-provider refuses to revoke and to introspect the JWTs that it has issued', async () => {
  const token = await issue()
  const refusal = { status: 400, error: 'unsupported_token_type' }
  await expect(revokeAt(issuer, PROVIDER_SECRET, token)).rejects.toMatchObject({
    ...refusal,
    error_description: expect.stringContaining('Structured JWT Tokens cannot be revoked') as string,
  })
  await expect(introspectAt(issuer, PROVIDER_SECRET, token)).rejects.toMatchObject(refusal)
})

it('the service introspects and revokes them, and what was revoked is inactive in plain and signed answers', async () => {
  const [token, beside] = [await issue(), await issue()]
  const live = {
    active: true,
    iss: issuer.issuer,
    client_id: 'tool',
    sub: 'tool',
    aud: AUDIENCE,
    scope: 'read',
  }
  expect(await introspectAt(service, tool.secret, token)).toMatchObject(live)
  expect(await introspectAt(service, tool.secret, token, true)).toMatchObject(live)
  await revokeAt(service, tool.secret, token)
  expect(await introspectAt(service, tool.secret, token)).toEqual({ active: false })
  expect(await introspectAt(service, tool.secret, token, true)).toEqual({ active: false })
  expect(await introspectAt(service, tool.secret, beside)).toMatchObject(live)
})

it('a protected route of the service refuses what was revoked', async () => {
  const token = await issue()
  const { gate } = world.service.parts
  const head = { authorization: [`Bearer ${token}`] }
  expect(await gate.check(head)).toMatchObject({ allowed: true })
  await revokeAt(service, tool.secret, token)
  expect(await gate.check(head)).toMatchObject({ allowed: false, denial: { code: 'token_revoked' } })
})
