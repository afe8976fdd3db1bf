import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Config, configSchema } from '../../src/config/schema.js'
import { type Demand, Profile, PUBLIC } from '../../src/forward/profile.js'

type Said = Record<string, unknown>

function profileOf(said: Said): Profile {
  const { profiles } = configSchema.parse({ profiles: { api: said } }) satisfies Config
  return new Profile(profiles.api as Config['profiles'][string])
}

const shop = profileOf({
  audience: 'https://shop.example',
  scope: 'orders',
  routes: [
    { path: '/public/*', public: true },
    { path: '/status', methods: ['GET'], public: true },
    { path: '/admin/reports', scope: 'reports' },
    { path: '/admin/*', scope: 'admin', consistency: 'strict' },
  ],
})

function demand(path: string | undefined, method: string | undefined = 'GET'): Demand {
  const result = shop.demandFor(path, method)
  if (result.problem !== undefined) throw new Error(result.problem)
  return result.demand
}

describe('a profile', () => {
  it('asks what its first matching route asks, and otherwise what it asks itself', () => {
    const { audience } = { audience: ['https://shop.example'] }
    expect(demand('/orders')).toEqual({ audience, scope: ['orders'] })
    expect(demand('/admin/reports')).toEqual({ audience, scope: ['reports'] })
    expect(demand('/admin/users')).toEqual({ audience, scope: ['admin'], consistency: 'strict' })
  })

  it('counts what stands at the root of a tree to it, with a slash and without, and no namesake', () => {
    expect(demand('/public')).toBe(PUBLIC)
    expect(demand('/public/')).toBe(PUBLIC)
    expect(demand('/public/a/b')).toBe(PUBLIC)
    expect(demand('/admin/')).toMatchObject({ scope: ['admin'] })
    expect(demand('/publican')).toMatchObject({ scope: ['orders'] })
    expect(demand('/PUBLIC')).toMatchObject({ scope: ['orders'] })
  })

  it('takes a HEAD for a GET, and asks for other methods what it asks elsewhere', () => {
    expect(demand('/status', 'HEAD')).toBe(PUBLIC)
    expect(demand('/status', 'POST')).toMatchObject({ scope: ['orders'] })
  })

  it('gives the same object each time, so that the gate checks it once', () => {
    expect(demand('/orders')).toBe(demand('/orders/7'))
    expect(demand('/admin/a')).toBe(demand('/admin/b'))
  })

  it.each([undefined, '', '/public/../admin', '/public/%2e%2e/admin', '/public//admin'])(
    'never guesses: %j is no path',
    (path) => {
      expect(shop.demandFor(path, 'GET').problem).toBeTypeOf('string')
    },
  )

  it.each([undefined, '', 'get', 'GET, POST', 'G ET'])('never guesses: %j is no method', (method) => {
    expect(shop.demandFor('/status', method).problem).toBeTypeOf('string')
  })

  it('needs no path where it has no routes, and no method where none of them names one', () => {
    expect(profileOf({ scope: 'a b' }).demandFor(undefined, undefined).demand).toEqual({ scope: ['a', 'b'] })
    const routed = profileOf({ routes: [{ path: '/*', scope: 'x' }] })
    expect(routed.demandFor('/anything/at/all', undefined).demand).toEqual({ scope: ['x'] })
  })

  it.each([
    [{ path: '/a*' }],
    [{ path: '/a/*/b' }],
    [{ path: '/a//b' }],
    [{ path: '/a/../b' }],
    [{ path: '/a;b' }],
    [{ path: '/open/*', public: true, scope: 'admin' }],
  ])('cannot have the route %j, which would not do what it says', (route) => {
    expect(() => profileOf({ routes: [route] })).toThrow()
  })

  it.each(['nginx', 'envoy'])('cannot be called %s, which is the name of a gateway', (name) => {
    expect(configSchema.safeParse({ profiles: { [name]: {} } }).success).toBe(false)
  })
})

it('reads as the documentation shows it', () => {
  const text = readFileSync(new URL('../../../../docs/service-gateways.md', import.meta.url), 'utf8')
  const [, example = ''] = /```yaml\n([^]*?)```/.exec(text) ?? []
  const { profiles } = configSchema.parse(parse(example))
  const api = new Profile(profiles.api as Config['profiles'][string])
  const audience = ['https://orders.example']
  expect(api.demandFor('/health', 'GET').demand).toBe(PUBLIC)
  expect(api.demandFor('/admin', 'OPTIONS').demand).toBe(PUBLIC)
  expect(api.demandFor('/orders', 'GET').demand).toEqual({ audience, scope: ['orders:read'] })
  expect(api.demandFor('/admin', 'GET').demand).toEqual({ audience, scope: ['admin'], consistency: 'strict' })
})
