import { createConnection } from 'node:net'
import { expect, it } from 'vitest'
import { until } from '../../rescind/test/support/until.js'
import { startWorld } from './support/service.js'

it('a body that does not come in time is refused, and one that has come is not', async () => {
  await using world = await startWorld({ config: { limits: { requestTimeoutMs: 500 } } })
  const { hostname, port } = new URL(world.url)
  const socket = createConnection(Number(port), hostname)
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString()))
  socket.write(
    'POST /revoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntok',
  )
  const began = performance.now()
  await until(() => socket.readyState === 'closed', { what: 'the connection to end' })
  expect(performance.now() - began).toBeGreaterThan(400)
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)

  // An answer that takes longer than that is no matter of the body.
  await world.ask('/api/v1/nodes', { key: world.keys.admin })
  const keepAlive = { key: world.keys.admin, json: { claims: { sub: 'x' } } }
  for (let i = 0; i < 3; i++) expect((await world.ask('/api/v1/checks', keepAlive)).status).toBe(200)
})

it('a head that does not come in time is refused as ever', async () => {
  await using world = await startWorld({ config: { limits: { requestTimeoutMs: 500 } } })
  const { hostname, port } = new URL(world.url)
  const socket = createConnection(Number(port), hostname)
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString()))
  socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n')
  await until(() => socket.readyState === 'closed', { what: 'the connection to end' })
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
})
