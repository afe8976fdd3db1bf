/** RFC 8414, RFC 9728 and the key set: what clients read before they ask. */
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startWorld, type World } from '../support/service.js'

const insecure = { [oauth.allowInsecureRequests]: true }
let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

it('names the endpoints, how clients prove themselves, and how answers are signed', async () => {
  const response = await world.ask('/.well-known/oauth-authorization-server')
  expect(response.headers.get('content-type')).toBe('application/json')
  const algorithms = expect.arrayContaining(['RS256', 'PS256', 'ES256', 'EdDSA']) as string[]
  const methods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'Bearer']
  expect(await response.json()).toEqual({
    issuer: world.url,
    jwks_uri: `${world.url}/jwks.json`,
    response_types_supported: [],
    grant_types_supported: [],
    revocation_endpoint: `${world.url}/revoke`,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_endpoint: `${world.url}/introspect`,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_signing_alg_values_supported: ['ES256'],
  })
})

it('shows the public half of the key that signs answers, and no more', async () => {
  const response = await world.ask('/jwks.json')
  expect(response.headers.get('content-type')).toBe('application/jwk-set+json')
  const { keys } = (await response.json()) as { keys: Record<string, unknown>[] }
  expect(keys).toHaveLength(1)
  expect(Object.keys(keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
})

it.each(['RS256', 'PS256', 'EdDSA'])('names %s where answers are signed with it', async (algorithm) => {
  await using other = await startWorld({ config: { signing: { algorithm } } })
  const metadata = await (await other.ask('/.well-known/oauth-authorization-server')).json()
  expect(metadata).toMatchObject({ introspection_signing_alg_values_supported: [algorithm] })
  const { keys } = (await (await other.ask('/jwks.json')).json()) as { keys: Record<string, unknown>[] }
  expect(keys).toMatchObject([{ alg: algorithm }])
  expect(keys[0]).not.toHaveProperty('d')
})

it('describes the API as a protected resource, in a way that a library takes', async () => {
  const resource = new URL(world.url)
  const response = await oauth.resourceDiscoveryRequest(resource, insecure)
  const metadata = await oauth.processResourceDiscoveryResponse(resource, response)
  expect(metadata).toMatchObject({ resource: world.url, bearer_methods_supported: ['header'] })
})

describe('of a service whose public address has a path', () => {
  const publicUrl = 'https://as.example/auth/rescind'
  const issuer = new URL(publicUrl)

  it('stands where a library looks, and names the public address', async () => {
    await using other = await startWorld({ config: { publicUrl: `${publicUrl}/` } })
    const through = {
      [oauth.customFetch]: (url: string) => fetch(url.replace('https://as.example', other.url)),
    }
    const server = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...through }),
    )
    expect(server).toMatchObject({ issuer: publicUrl, revocation_endpoint: `${publicUrl}/revoke` })
    const resource = await oauth.resourceDiscoveryRequest(issuer, through)
    expect(await oauth.processResourceDiscoveryResponse(issuer, resource)).toMatchObject({
      resource: publicUrl,
    })
    // A proxy that takes the path off.
    const bare = await (await other.ask('/.well-known/oauth-authorization-server')).json()
    expect(bare).toMatchObject({ issuer: publicUrl })
  })
})

it.each(['/jwks.json', '/.well-known/oauth-authorization-server', '/.well-known/oauth-protected-resource'])(
  '%s is there for GET and HEAD alone, and may be kept for a while',
  async (path) => {
    const head = await world.ask(path, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers.get('cache-control')).toBe('public, max-age=300')
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const answer = await world.ask(path, { method })
      expect({ status: answer.status, allow: answer.headers.get('allow') }).toEqual({
        status: 405,
        allow: 'GET, HEAD',
      })
    }
  },
)
