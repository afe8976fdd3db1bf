/**
 * Traefik and Envoy are in no Debian package, so they are NOT RUN here. What their examples make them ask is asked by
 * hand, and their files are read so far that a name which differs from the service's is found.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { IDENTITY_HEADERS } from '../../../src/forward/identity.js'
import { startWorld } from '../../support/service.js'
import { send } from './app.js'

const example = (name: string): unknown =>
  parse(readFileSync(new URL(`../../../../../examples/gateways/${name}`, import.meta.url), 'utf8'))

it.todo('Traefik itself: it is in no Debian package, run its example by hand')
it.todo('Envoy itself: it is in no Debian package, run its example by hand')

/** Everything under a name, however deep. */
function found(value: unknown, name: string): unknown[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => [
    ...(key === name ? [member as unknown] : []),
    ...found(member, name),
  ])
}

describe('by its example', () => {
  const profiles = { api: { scope: 'orders:read', routes: [{ path: '/admin/*', scope: 'admin' }] } }

  it('Traefik asks what the service answers, and copies what it sends', async () => {
    const traefik = example('traefik.yaml')
    await using world = await startWorld({ config: { profiles } })
    const [address] = found(traefik, 'address') as [string]
    const { pathname } = new URL(address)
    const token = await world.issuer.sign({ scope: 'orders:read' })
    const ask = (uri: string) =>
      send(Number(new URL(world.url).port), {
        path: pathname,
        headers: [
          ['Authorization', `Bearer ${token}`],
          ['X-Forwarded-Method', 'GET'],
          ['X-Forwarded-Proto', 'http'],
          ['X-Forwarded-Host', 'app.example'],
          ['X-Forwarded-Uri', uri],
          ['X-Forwarded-For', '127.0.0.1'],
        ],
      })
    expect((await ask('/orders?page=2')).status).toBe(200)
    expect((await ask('/admin/users')).status).toBe(403)
    const [copied] = found(traefik, 'authResponseHeaders') as [string[]]
    expect(copied.map((name) => name.toLowerCase())).toEqual([...IDENTITY_HEADERS])
    expect(found(traefik, 'authRequestHeaders')).toEqual([['Authorization']])
    expect(found(traefik, 'trustForwardHeader')).toEqual([false])
  })

  it('Envoy asks what the service answers, and copies what it sends', async () => {
    const envoy = example('envoy.yaml')
    await using world = await startWorld({ config: { profiles } })
    const [prefix] = found(envoy, 'path_prefix') as [string]
    const token = await world.issuer.sign({ scope: 'orders:read' })
    const ask = (path: string, method = 'GET') =>
      send(Number(new URL(world.url).port), {
        method,
        path: prefix + path,
        headers: [
          ['Authorization', `Bearer ${token}`],
          ['Content-Length', '0'],
          ['X-Envoy-Internal', 'true'],
          ['X-Forwarded-For', '127.0.0.1'],
        ],
      })
    expect((await ask('/orders?page=2')).status).toBe(200)
    expect((await ask('/orders', 'POST')).status).toBe(200)
    expect((await ask('/')).status).toBe(200)
    expect((await ask('/admin/users')).status).toBe(403)
    expect((await ask('/../default/x')).status).toBe(400)
    const [{ patterns }] = found(envoy, 'allowed_upstream_headers') as [{ patterns: { prefix: string }[] }]
    for (const name of IDENTITY_HEADERS) expect(name.startsWith(patterns[0]?.prefix ?? '-')).toBe(true)
    expect(found(envoy, 'failure_mode_allow')).toEqual([false])
  })
})
