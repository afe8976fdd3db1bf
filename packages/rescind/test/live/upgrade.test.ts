/** `admitUpgrade`: the gate before a WebSocket, on real sockets. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { admitUpgrade, authOf } from '../../src/adapters/live.js'
import { Gate, type Policy, type Verdict } from '../../src/gate.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import { makeIssuer } from '../support/issuer.js'
import { until } from '../support/until.js'

const issuer = await makeIssuer('ES256')

let manager: TokenManager
let gate: Gate
let port: number
let policy: Policy
const users: unknown[] = []
const answered: unknown[] = []
const server = createServer()
const wss = new WebSocketServer({ noServer: true })
server.on('upgrade', (request, socket, head) => {
  void admitUpgrade(gate, request, socket, policy).then((auth) => {
    answered.push(auth?.claims.sub)
    if (auth === undefined) return
    wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request))
  })
})
wss.on('connection', (socket, request) => {
  users.push(authOf(request).claims.sub)
  socket.close()
})

beforeEach(async () => {
  manager = new TokenManager({ store: new MemoryStore(), verifier: issuer.verifier })
  gate = new Gate({ manager, realm: 'chat' })
  policy = {}
  users.length = answered.length = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await manager.close()
})

/** The answer to an upgrade: 101, or the denial. */
async function ask(path: string, headers: Record<string, string> = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers })
  socket.on('error', () => undefined)
  return new Promise<{ status: number; challenge?: string | undefined; body?: unknown }>((resolve) => {
    socket.once('open', () => resolve({ status: 101 }))
    socket.once('unexpected-response', (_, response: IncomingMessage) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.once('end', () =>
        resolve({
          status: response.statusCode!,
          challenge: response.headers['www-authenticate'],
          body: JSON.parse(text) as unknown,
        }),
      )
    })
  })
}

describe('the upgrade to a WebSocket', () => {
  it('is let through with a token, and the connection knows whose it is', async () => {
    const answer = await ask('/', { authorization: `Bearer ${await issuer.sign({ sub: 'bob' })}` })
    expect(answer).toEqual({ status: 101 })
    await until(() => users.length > 0, { what: 'the connection' })
    expect(users).toEqual(['bob'])
  })

  it('is refused with the answer of the gate, as any request', async () => {
    const token = await issuer.sign()
    expect(await ask('/')).toMatchObject({ status: 401, challenge: 'Bearer realm="chat"' })
    await manager.revokeToken(token)
    expect(await ask('/', { authorization: `Bearer ${token}` })).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('error="invalid_token"') as string,
      body: { code: 'token_revoked', status: 401 },
    })
    policy = { scope: 'chat' }
    const other = await issuer.sign({ scope: 'läse' })
    expect((await ask('/', { authorization: `Bearer ${other}` })).status).toBe(403)
    await manager.close()
    policy = { consistency: 'strict' }
    expect((await ask('/', { authorization: `Bearer ${other}` })).status).toBe(503)
    expect(users).toEqual([])
  })

  it('takes a token from the query only where the route opts in', async () => {
    const path = `/?access_token=${await issuer.sign()}`
    expect((await ask(path)).status).toBe(401)
    policy = { tokenFrom: ['header', 'query'] }
    expect((await ask(path)).status).toBe(101)
  })

  it('of a client that leaves while it is checked harms nobody', async () => {
    let answer: (verdict: Verdict) => void = () => undefined
    const check = vi.spyOn(gate, 'check')
    for (const token of [await issuer.sign(), undefined]) {
      const verdict = await gate.check({ authorization: token === undefined ? [] : [`Bearer ${token}`] })
      check.mockClear()
      check.mockReturnValueOnce(new Promise((resolve) => (answer = resolve)))
      const upgraded = once(server, 'upgrade') as Promise<[IncomingMessage, Socket]>
      const raw = connect(port, '127.0.0.1')
      raw.on('error', () => undefined)
      raw.write(
        'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      )
      await until(() => check.mock.calls.length > 0, { what: 'the check' })
      const [, socket] = await upgraded
      // A reset, which the server sees as an error.
      raw.resetAndDestroy()
      await until(() => socket.destroyed, { what: 'the server to see the reset' })
      const before = answered.length
      answer(verdict)
      await until(() => answered.length > before, { what: 'the answer' })
    }
    expect(users).toEqual([])
  })
})
