/** `endWithToken` on real sockets: WebSocket (`ws`), Server-Sent Events on `node:http`, Socket.IO. */
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { endWithToken, type LiveOptions } from '../../src/adapters/live.js'
import { type Auth, Gate } from '../../src/gate.js'
import { type LiveEnd, LiveTokens } from '../../src/live-tokens.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import { makeIssuer } from '../support/issuer.js'
import { until } from '../support/until.js'

const issuer = await makeIssuer('ES256', { clockToleranceSeconds: 0 })

const watch = vi.spyOn(LiveTokens.prototype, 'watch')
const watched = () => (watch.mock.contexts.at(-1) as LiveTokens | undefined)?.size ?? 0

const closers: (() => unknown)[] = []
let manager: TokenManager
let gate: Gate
let auth: Auth
beforeEach(async () => {
  watch.mockClear()
  manager = new TokenManager({
    store: new MemoryStore(),
    verifier: issuer.verifier,
    clockToleranceSeconds: 0,
  })
  gate = new Gate({ manager })
  auth = await authOf()
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await until(() => watched() === 0, { what: 'every connection to be let go of' })
  await manager.close()
})

async function authOf(claims: Record<string, unknown> = {}): Promise<Auth> {
  const verdict = await gate.check({ authorization: [`Bearer ${await issuer.sign(claims)}`] })
  if (!verdict.allowed) throw new Error(verdict.denial.code)
  return verdict.auth
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('a WebSocket', () => {
  /** A server whose every connection ends with the token, and what it has heard and how watches ended. */
  async function serve(options?: LiveOptions) {
    const sockets: WebSocket[] = []
    const heard: string[] = []
    const ends: Promise<LiveEnd>[] = []
    const server = createServer()
    const wss = new WebSocketServer({ server })
    wss.on('connection', (socket) => {
      sockets.push(socket)
      socket.on('message', (data: Buffer) => heard.push(data.toString()))
      ends.push(endWithToken(gate, auth, socket, options))
    })
    const port = await listen(server)
    closers.push(() => wss.clients.forEach((socket) => socket.terminate()))
    return { port, sockets, heard, ends }
  }

  async function open(port: number): Promise<{ socket: WebSocket; closed: Promise<[number, string]> }> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`)
    const closed = new Promise<[number, string]>((resolve) =>
      socket.once('close', (code, reason) => resolve([code, reason.toString()])),
    )
    await once(socket, 'open')
    await until(() => watched() > 0, { what: 'the watch' })
    return { socket, closed }
  }

  /** A peer that has shaken hands and then neither reads nor closes unless the test does. */
  async function openRaw(port: number): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    closers.push(() => socket.destroy())
    socket.write(
      [
        'GET / HTTP/1.1',
        'Host: localhost',
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '\r\n',
      ].join('\r\n'),
    )
    await once(socket, 'data')
    await until(() => watched() > 0, { what: 'the watch' })
    return socket
  }

  /** A text frame of a client, masked with zeros (RFC 6455 §5.2). */
  const frame = (text: string) =>
    Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])

  it('is closed with 4401 and the reason when its token is revoked', async () => {
    const { port, ends } = await serve()
    const { closed } = await open(port)
    await manager.revoke({ sub: 'alice' })
    expect(await closed).toEqual([4401, 'token revoked'])
    expect(await ends[0]).toBe('revoked')
  })

  it('is closed when its token ends, with the code that was asked for', async () => {
    auth = await authOf({ exp: Math.floor(Date.now() / 1000) + 2 })
    const { port, ends } = await serve({ code: 1008 })
    const { closed } = await open(port)
    expect(await closed).toEqual([1008, 'token expired'])
    expect(await ends[0]).toBe('expired')
  })

  it('whose token is dead already is closed at once', async () => {
    await manager.revokeToken(auth)
    const { port } = await serve()
    const socket = new WebSocket(`ws://127.0.0.1:${port}`)
    expect((await once(socket, 'close'))[0]).toBe(4401)
  })

  it('of a peer that ignores the close is cut off, and what it still sends is not heard', async () => {
    const { port, sockets, heard } = await serve({ graceMs: 300 })
    const raw = await openRaw(port)
    raw.on('data', () => undefined)
    raw.write(frame('before'))
    await until(() => heard.includes('before'), { what: 'the first message' })
    const gone = once(raw, 'close')
    raw.on('end', () => raw.end())
    const revokedAt = performance.now()
    await manager.revokeToken(auth)
    raw.write(frame('after'))
    await until(() => sockets[0]!.readyState === WebSocket.CLOSED, { what: 'the cut' })
    expect(performance.now() - revokedAt).toBeGreaterThanOrEqual(290)
    expect(performance.now() - revokedAt).toBeLessThan(3000)
    await gone
    expect(heard).toEqual(['before'])
  })

  it('that closes by itself is let go of', async () => {
    const { port, ends } = await serve()
    const { socket, closed } = await open(port)
    expect(watched()).toBe(1)
    socket.close(1000)
    await closed
    expect(await ends[0]).toBeUndefined()
    expect(watched()).toBe(0)
    const raw = await openRaw(port)
    raw.destroy()
    expect(await ends[1]).toBeUndefined()
    expect(watched()).toBe(0)
  })

  it('that is closed already is not watched at all', async () => {
    const { port, sockets } = await serve()
    const { socket, closed } = await open(port)
    socket.terminate()
    await closed
    await until(() => sockets[0]!.readyState === WebSocket.CLOSED, { what: 'the close' })
    expect(await endWithToken(gate, auth, sockets[0]!)).toBeUndefined()
    expect(watched()).toBe(0)
  })

  it('says goodbye first where the application wants to', async () => {
    const onEnd = vi.fn((reason: string) => sockets[0]!.send(`goodbye: ${reason}`))
    const { port, sockets } = await serve({ onEnd })
    const client = await open(port)
    const message = once(client.socket, 'message')
    await manager.revokeToken(auth)
    expect(String((await message)[0])).toBe('goodbye: revoked')
    expect((await client.closed)[0]).toBe(4401)
    expect(onEnd.mock.calls).toEqual([['revoked']])
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no goodbye')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('no goodbye'))],
  ])('is closed all the same when the goodbye %s', async (_, onEnd) => {
    const { port } = await serve({ onEnd })
    const { closed } = await open(port)
    await manager.revokeToken(auth)
    expect((await closed)[0]).toBe(4401)
  })

  it('stays open when the manager closes: the server decides about its connections', async () => {
    const { port, ends, sockets } = await serve()
    await open(port)
    await manager.close()
    expect(await ends[0]).toBeUndefined()
    expect(sockets[0]!.readyState).toBe(WebSocket.OPEN)
  })

  it.each([
    [{ code: 200 }, 'code'],
    [{ code: 1000 }, 'code'],
    [{ code: 4000.5 }, 'code'],
    [{ graceMs: NaN }, 'graceMs'],
    [{ graceMs: -1 }, 'graceMs'],
    [{ graceMs: 60_001 }, 'graceMs'],
  ])('is not left open by options that cannot be used: %j', async (options, name) => {
    const failed: Promise<unknown>[] = []
    const server = createServer()
    const wss = new WebSocketServer({ server })
    wss.on('connection', (socket) =>
      failed.push(endWithToken(gate, auth, socket, options).catch((error: unknown) => error)),
    )
    const socket = new WebSocket(`ws://127.0.0.1:${await listen(server)}`)
    await once(socket, 'close')
    expect(await failed[0]).toMatchObject({
      code: 'ERR_OPTION_INVALID',
      message: expect.stringContaining(name) as string,
    })
  })

  it('is not left open without a replica to watch', async () => {
    const blind = new Gate({
      manager: new TokenManager({ store: new MemoryStore(), verifier: issuer.verifier, replica: false }),
    })
    const failed: Promise<unknown>[] = []
    const server = createServer()
    const wss = new WebSocketServer({ server })
    wss.on('connection', (socket) =>
      failed.push(endWithToken(blind, auth, socket).catch((error: unknown) => error)),
    )
    const socket = new WebSocket(`ws://127.0.0.1:${await listen(server)}`)
    await once(socket, 'close')
    expect(await failed[0]).toMatchObject({ code: 'ERR_OPTION_INVALID' })
    await blind.manager.close()
  })
})

describe('a Server-Sent Events response', () => {
  async function serve(options?: LiveOptions) {
    const responses: ServerResponse[] = []
    const ends: Promise<LiveEnd>[] = []
    const server = createServer((_, response) => {
      responses.push(response)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: hello\n\n')
      ends.push(endWithToken(gate, auth, response, options))
    })
    const port = await listen(server)
    return { url: `http://127.0.0.1:${port}`, port, responses, ends }
  }

  it('ends for the client when the token is revoked, after a last event', async () => {
    const { url, responses, ends } = await serve({
      onEnd: (reason) => responses[0]!.write(`event: end\ndata: ${reason}\n\n`),
    })
    const text = (await fetch(url)).text()
    await manager.revokeToken(auth)
    expect(await text).toBe('data: hello\n\nevent: end\ndata: revoked\n\n')
    expect(await ends[0]).toBe('revoked')
  })

  it('of a peer that does not read is cut off, and late events harm nobody', async () => {
    const graceMs = 300
    const { port, responses, ends } = await serve({ graceMs })
    const raw = connect({ port, host: '127.0.0.1' })
    closers.push(() => raw.destroy())
    raw.on('error', () => undefined)
    raw.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    raw.pause()
    const response = await until(() => responses[0], { what: 'the response' })
    // More than the buffers of the system take: the end waits behind it.
    const event = `data: ${'x'.repeat(1 << 20)}\n\n`
    for (let i = 0; i < 32; i++) response.write(event)
    const beforeMs = performance.now()
    await manager.revokeToken(auth)
    expect(await ends[0]).toBe('revoked')
    expect(response.closed).toBe(false)
    response.write('data: an application that has not heard of the end\n\n')
    await new Promise<void>((resolve) => response.once('close', resolve))
    // Timers of Node may fire a millisecond early.
    expect(performance.now() - beforeMs).toBeGreaterThanOrEqual(graceMs - 2)
    expect(response.destroyed).toBe(true)
    response.write('data: and still has not\n\n')
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('that the client leaves, or that is over, is let go of', async () => {
    const { url, ends, responses } = await serve()
    const leaving = new AbortController()
    await fetch(url, { signal: leaving.signal })
    expect(watched()).toBe(1)
    leaving.abort()
    expect(await ends[0]).toBeUndefined()
    expect(watched()).toBe(0)
    // Closed before it is given.
    expect(await endWithToken(gate, auth, responses[0]!)).toBeUndefined()
    const text = (await fetch(url)).text()
    responses[1]!.end()
    expect(await text).toContain('hello')
    expect(await ends[1]).toBeUndefined()
    expect(watched()).toBe(0)
  })
})

describe('a Socket.IO client', () => {
  async function serve() {
    const ends: Promise<LiveEnd>[] = []
    const heard: string[] = []
    const server = createServer()
    const sockets = new SocketIoServer(server)
    sockets.on('connection', (socket) => {
      socket.on('say', (text: string) => heard.push(text))
      ends.push(endWithToken(gate, auth, socket, { onEnd: (reason) => socket.emit('goodbye', reason) }))
    })
    const port = await listen(server)
    closers.push(() => sockets.close())
    return { url: `http://127.0.0.1:${port}`, ends, heard }
  }

  async function open(url: string) {
    const client = io(url, { reconnection: false, forceNew: true, transports: ['websocket'] })
    closers.push(() => client.close())
    const disconnected = new Promise<string>((resolve) => client.once('disconnect', resolve))
    await new Promise<void>((resolve, reject) => {
      client.once('connect', resolve)
      client.once('connect_error', reject)
    })
    await until(() => watched() > 0, { what: 'the watch' })
    return { client, disconnected }
  }

  it('is told, disconnected and heard no more when its token is revoked', async () => {
    const { url, ends, heard } = await serve()
    const { client, disconnected } = await open(url)
    const goodbye = new Promise((resolve) => client.once('goodbye', resolve))
    client.emit('say', 'before')
    await until(() => heard.length === 1, { what: 'the message' })
    await manager.revoke({ sub: 'alice' })
    client.emit('say', 'after')
    expect(await goodbye).toBe('revoked')
    expect(await disconnected).toBe('io server disconnect')
    expect(await ends[0]).toBe('revoked')
    expect(heard).toEqual(['before'])
  })

  it('that leaves is let go of', async () => {
    const { url, ends } = await serve()
    const { client } = await open(url)
    expect(watched()).toBe(1)
    client.close()
    expect(await ends[0]).toBeUndefined()
    expect(watched()).toBe(0)
  })
})
