/** What holds for every request: TLS, sizes and times, and the stop that breaks nothing off. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { until } from '../../rescind/test/support/until.js'
import { writeTlsFiles } from '../../rescind/test/support/tls-files.js'
import { sourceOf } from '../src/source.js'
import { startWorld, type World } from './support/service.js'

/** Sends these bytes, and resolves with all that comes until the connection ends. */
async function exchange(world: World, bytes: string): Promise<string> {
  const { hostname, port } = new URL(world.url)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
  socket.on('error', () => undefined)
  socket.write(bytes)
  await once(socket, 'close')
  return answer
}

it('speaks TLS with the files that it is given, and no less than TLS 1.2', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rescind-tls-'))
  const files = await writeTlsFiles(folder)
  await using world = await startWorld({
    config: { listen: { port: 0, tls: { certFile: files.cert, keyFile: files.key } } },
  })
  const ca = await readFile(files.ca)
  await rm(folder, { recursive: true })
  expect(world.url).toMatch(/^https:/)
  const ask = (options: object) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(`${world.url}/healthz`, { ca, ...options }, (answer) => resolve(answer.statusCode))
        .on('error', reject)
        .end()
    })
  expect(await ask({})).toBe(200)
  await expect(ask({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow()
})

describe('a request', () => {
  it('with headers that are too large is refused, and the service goes on', async () => {
    await using world = await startWorld({ config: { limits: { headerBytesMax: 4096 } } })
    const answer = await exchange(
      world,
      `GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(5000)}\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
    expect((await world.ask('/healthz')).status).toBe(200)
  })

  it('that never comes to its end is ended', async () => {
    await using world = await startWorld({ config: { limits: { requestTimeoutMs: 200 } } })
    expect(await exchange(world, 'GET /healthz HTTP/1.1\r\nhost: x\r\n')).toMatch(/^(HTTP\/1\.1 408 |$)/)
    expect((await world.ask('/healthz')).status).toBe(200)
  })

  it('that is no HTTP is answered with 400', async () => {
    await using world = await startWorld()
    expect(await exchange(world, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  })
})

it('stops when all that it has begun is answered, and takes nothing new', async () => {
  const world = await startWorld()
  const { hostname, port } = new URL(world.url)
  // One that has begun: its headers are there, its body is not.
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
  const begun = (path: string, length: number) =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${world.keys.app}\r\n` +
    `content-type: application/x-www-form-urlencoded\r\ncontent-length: ${length}\r\nexpect: 100-continue\r\n\r\n`
  const body = 'token=nothing'
  socket.write(begun('/revoke', body.length) + body.slice(0, 3))
  await until(() => answer.includes('100 Continue'), { what: 'the request to have begun' })
  const stopped = world.service.stop()
  await until(
    () =>
      world.ask('/healthz').then(
        () => false,
        () => true,
      ),
    { what: 'nobody to be let in' },
  )
  const closed = once(socket, 'close')
  socket.write(body.slice(3))
  await Promise.all([stopped, closed])
  expect(answer).toMatch(/^HTTP\/1\.1 200 /m)
})

describe('the source of a request', () => {
  const from = (field: string | undefined, trustedHops: number) =>
    sourceOf(
      { socket: { remoteAddress: '10.0.0.1' }, headers: { 'x-forwarded-for': field } } as never,
      trustedHops,
    )

  it('is the address of the socket, whatever a header says', () => {
    expect(from(undefined, 0)).toBe('10.0.0.1')
    expect(from('1.1.1.1', 0)).toBe('10.0.0.1')
  })

  it('is what the proxies in front say, and nothing that was said before them', () => {
    expect(from('6.6.6.6, 192.0.2.7', 1)).toBe('192.0.2.7')
    expect(from('6.6.6.6, 192.0.2.7, 10.0.0.2', 2)).toBe('192.0.2.7')
    expect(from(undefined, 1)).toBe('10.0.0.1')
    expect(from('192.0.2.7', 3)).toBe('192.0.2.7')
  })

  it.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['unknown', 'unknown'],
  ])(
    '%s is %s: of IPv6 a whole network, in which whoever has one address has them all',
    (address, source) => {
      expect(from(address, 1)).toBe(source)
      expect(sourceOf({ socket: { remoteAddress: address }, headers: {} } as never, 0)).toBe(source)
    },
  )
})
