/** The proxy does to real sockets what its modes say, and a real redis-server behind it is none the wiser. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { RedisServer } from './redis-server.js'
import type { LaneMode } from './tcp-lane.js'
import { TcpProxy } from './tcp-proxy.js'
import { until } from './until.js'

const DELAY_MS = 120
/** Timers of Node may fire a millisecond early. */
const TIMER_SLACK_MS = 2
/** For what must not happen: long enough that it would have, on loopback. */
const QUIET_MS = 150

/** One end of a connection and everything that reached it. */
class End {
  readonly pieces: Buffer[] = []
  hasEnded = false
  failure: NodeJS.ErrnoException | undefined
  constructor(readonly socket: Socket) {
    socket.on('data', (piece: Buffer) => this.pieces.push(piece))
    socket.on('end', () => (this.hasEnded = true))
    socket.on('error', (failure) => (this.failure = failure))
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces)
  }

  get text(): string {
    return this.bytes.toString()
  }
}

const PASS: LaneMode = { kind: 'pass' }
const quiet = () => new Promise((resolve) => setTimeout(resolve, QUIET_MS))

let server: Server
let proxy: TcpProxy
/** The server's ends, in the order of their connections. */
let served: End[]
let clients: End[]
beforeEach(async () => {
  served = []
  clients = []
  server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => served.push(new End(socket)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy = await TcpProxy.start({ to: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } })
})
afterEach(async () => {
  await proxy.close()
  for (const { socket } of [...served, ...clients]) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

/** A client through the proxy, without the server having taken it yet. */
async function open(): Promise<End> {
  const socket = connect({ host: proxy.host, port: proxy.port, allowHalfOpen: true, noDelay: true })
  const end = new End(socket)
  clients.push(end)
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
  return end
}

/** Both ends of a connection through the proxy. */
async function pair(): Promise<{ client: End; far: End }> {
  const before = served.length
  const client = await open()
  await until(() => served.length > before, { what: 'the server to take the connection' })
  return { client, far: served.at(-1) as End }
}

const isReset = (end: End) => end.failure?.code === 'ECONNRESET'

describe('pass', () => {
  it('delivers both ways, and a FIN of one side leaves the other open', async () => {
    const { client, far } = await pair()
    client.socket.end('question')
    await until(() => far.hasEnded, { what: 'the FIN' })
    expect(far.text).toBe('question')
    far.socket.end('answer')
    await until(() => client.hasEnded, { what: 'the other FIN' })
    expect(client.text).toBe('answer')
    await until(() => proxy.connections === 0, { what: 'the connection to be gone' })
    expect(proxy.accepted).toBe(1)
    expect(proxy.bytes).toEqual({
      toServer: { delivered: 8, lost: 0 },
      toClient: { delivered: 6, lost: 0 },
    })
  })

  it('holds the sender back while the receiver reads nothing', async () => {
    const { client, far } = await pair()
    far.socket.pause()
    const sent = Buffer.alloc(64 * 1024 * 1024, 'abcdefg')
    client.socket.end(sent)
    await quiet()
    expect(client.socket.writableLength).toBeGreaterThan(0)
    far.socket.resume()
    await until(() => far.hasEnded, { what: 'all bytes' })
    expect(far.bytes.equals(sent)).toBe(true)
  })

  it('passes a RST on', async () => {
    const { client, far } = await pair()
    far.socket.resetAndDestroy()
    await until(() => isReset(client), { what: 'the RST' })
  })

  it('resets a client when there is no server', async () => {
    await new Promise((resolve) => server.close(resolve))
    const client = await open()
    await until(() => isReset(client), { what: 'the RST' })
  })
})

describe('delay', () => {
  it('delivers everything so much later, in order, the FIN too', async () => {
    const { client, far } = await pair()
    proxy.toServer = { kind: 'delay', ms: DELAY_MS }
    const started = performance.now()
    for (let n = 0; n < 20; n++) client.socket.write(`${n},`)
    client.socket.end()
    await until(() => far.hasEnded, { what: 'the FIN', intervalMs: 1 })
    expect(performance.now() - started).toBeGreaterThanOrEqual(DELAY_MS - TIMER_SLACK_MS)
    expect(far.text).toBe(Array.from({ length: 20 }, (_, n) => `${n},`).join(''))
  })

  it('is of one direction alone, and ends at once when it is healed', async () => {
    const { client, far } = await pair()
    proxy.toServer = { kind: 'delay', ms: 60_000 }
    client.socket.write('late')
    far.socket.write('at once')
    await until(() => client.text === 'at once', { what: 'the direction that is not delayed' })
    await quiet()
    expect(far.text).toBe('')
    proxy.heal()
    await until(() => far.text === 'late', { what: 'the bytes' })
  })
})

describe('hold', () => {
  it('keeps everything, with a bound, and delivers it when it is healed', async () => {
    const { client, far } = await pair()
    proxy.harm({ kind: 'hold' })
    const sent = Buffer.alloc(32 * 1024 * 1024, 'abcdefg')
    client.socket.end(sent)
    await quiet()
    expect(far.pieces).toHaveLength(0)
    // The sender is held back, as by a full window.
    expect(client.socket.writableLength).toBeGreaterThan(0)
    const late = await open()
    late.socket.write('late')
    await quiet()
    proxy.heal()
    await until(() => far.hasEnded && served.at(-1)?.text === 'late', { what: 'all bytes' })
    expect(far.bytes.equals(sent)).toBe(true)
    expect(proxy.bytes.toServer).toEqual({ delivered: sent.length + 4, lost: 0 })
  })
})

describe('swallow', () => {
  it('takes and delivers nothing, on new connections too; what lost something is reset when it is healed', async () => {
    const [talking, idle] = [await pair(), await pair()]
    proxy.harm({ kind: 'swallow' })
    talking.client.socket.write('lost')
    const late = await open()
    late.socket.write('lost too')
    await until(() => proxy.bytes.toServer.lost === 12, { what: 'the loss' })
    proxy.toServer = { kind: 'swallow' }
    talking.client.socket.write('!')
    await until(() => proxy.bytes.toServer.lost === 13, { what: 'more loss' })
    await quiet()
    for (const end of [...served, ...clients]) {
      expect(end.text).toBe('')
      expect([end.hasEnded, end.failure]).toEqual([false, undefined])
    }
    proxy.heal()
    await until(() => isReset(talking.client) && isReset(talking.far) && isReset(late), { what: 'the RST' })
    idle.client.socket.write('kept')
    await until(() => idle.far.text === 'kept', { what: 'the idle connection to serve' })
  })

  it('loses what was held before', async () => {
    const { client, far } = await pair()
    proxy.toServer = { kind: 'hold' }
    client.socket.write('held')
    await quiet()
    proxy.toServer = { kind: 'swallow' }
    await until(() => proxy.bytes.toServer.lost === 4, { what: 'the loss' })
    expect(proxy.bytes.toServer.delivered).toBe(0)
    proxy.heal()
    await until(() => isReset(client) && isReset(far), { what: 'the RST' })
    expect(far.text).toBe('')
  })

  it('swallows a FIN and a RST, and that nobody listens', async () => {
    const [ended, broken] = [await pair(), await pair()]
    proxy.harm({ kind: 'swallow' })
    ended.far.socket.end()
    broken.far.socket.resetAndDestroy()
    await new Promise((resolve) => server.close(resolve) && setImmediate(resolve))
    const late = await open()
    await quiet()
    for (const { hasEnded, failure } of [ended.client, broken.client, late]) {
      expect([hasEnded, failure]).toEqual([false, undefined])
    }
    proxy.heal()
    await until(() => [ended.client, broken.client, late].every(isReset), { what: 'the RST' })
  })

  it('in one direction lets the other be', async () => {
    const { client, far } = await pair()
    proxy.toClient = { kind: 'swallow' }
    client.socket.write('question')
    await until(() => far.text === 'question', { what: 'the question' })
    far.socket.write('answer')
    await until(() => proxy.bytes.toClient.lost === 6, { what: 'the loss' })
    expect(client.text).toBe('')
  })
})

describe('reset', () => {
  it('resets both sides of what is open and of what is opened', async () => {
    const { client, far } = await pair()
    proxy.harm({ kind: 'reset' })
    await until(() => isReset(client) && isReset(far), { what: 'the RST' })
    const late = await open()
    await until(() => isReset(late), { what: 'the RST of a new one' })
    await until(() => proxy.connections === 0, { what: 'all to be gone' })
    proxy.heal()
    const healed = await pair()
    healed.client.socket.write('works')
    await until(() => healed.far.text === 'works', { what: 'a new connection to serve' })
  })

  it('in one direction does not tell the other side', async () => {
    const { client, far } = await pair()
    proxy.toServer = { kind: 'reset' }
    await until(() => isReset(far), { what: 'the RST' })
    client.socket.write('to nobody')
    await until(() => proxy.bytes.toServer.lost === 9, { what: 'the loss' })
    await quiet()
    expect([client.hasEnded, client.failure]).toEqual([false, undefined])
    proxy.heal()
    await until(() => isReset(client), { what: 'the client to be told' })
  })
})

describe('halfClose', () => {
  it('sends a FIN after what came before, loses what comes later, and leaves the other direction open', async () => {
    const { client, far } = await pair()
    far.socket.write('before')
    await until(() => client.text === 'before', { what: 'the bytes' })
    proxy.toClient = { kind: 'halfClose' }
    await until(() => client.hasEnded, { what: 'the FIN' })
    far.socket.write('after')
    client.socket.write('still heard')
    await until(() => far.text === 'still heard', { what: 'the other direction' })
    await until(() => proxy.bytes.toClient.lost === 5, { what: 'the loss' })
    expect([client.text, far.hasEnded, client.failure]).toEqual(['before', false, undefined])
    const late = await pair()
    await until(() => late.client.hasEnded, { what: 'the FIN of a new one' })
    proxy.heal()
    await until(() => isReset(far) && isReset(late.far), { what: 'the end of what was half closed' })
  })
})

describe('split', () => {
  it('delivers in pieces, each by itself', async () => {
    const { client, far } = await pair()
    proxy.toServer = { kind: 'split', bytes: 3 }
    client.socket.write('a'.repeat(100))
    await until(() => far.bytes.length === 100, { what: 'the bytes' })
    expect(far.pieces.length).toBeGreaterThan(10)
    expect(Math.min(...far.pieces.map(({ length }) => length))).toBeLessThanOrEqual(3)
    far.socket.write('b'.repeat(100))
    await until(() => client.bytes.length === 100, { what: 'the other direction' })
    expect(client.pieces.length).toBeLessThan(4)
  })
})

describe('truncate', () => {
  it('delivers so many bytes of each connection and resets both sides', async () => {
    const first = await pair()
    first.far.socket.write('earlier ')
    await until(() => first.client.text !== '', { what: 'the bytes before' })
    proxy.toClient = { kind: 'truncate', bytes: 5 }
    const second = await pair()
    for (const { client, far } of [first, second]) {
      far.socket.write('123')
      await until(() => client.text.endsWith('123'), { what: 'the first bytes' })
      far.socket.write('4567')
      await until(() => isReset(client) && isReset(far), { what: 'the RST' })
    }
    expect([first.client.text, second.client.text]).toEqual(['earlier 12345', '12345'])
  })
})

describe('garble', () => {
  it('changes one bit of each so many bytes, across pieces, and resets the connection when healed', async () => {
    const { client, far } = await pair()
    proxy.toServer = { kind: 'garble', every: 4 }
    const sent = Buffer.alloc(30, 'x')
    client.socket.write(sent.subarray(0, 13))
    await until(() => far.bytes.length === 13, { what: 'the first bytes' })
    client.socket.write(sent.subarray(13))
    await until(() => far.bytes.length === 30, { what: 'the bytes' })
    const changed = [...far.bytes].flatMap((byte, at) => (byte === sent[at] ? [] : [at]))
    expect(changed).toEqual([3, 7, 11, 15, 19, 23, 27])
    proxy.heal()
    await until(() => isReset(client), { what: 'the RST' })
  })
})

it('refuses a mode that would never deliver', () => {
  for (const mode of [
    { kind: 'split', bytes: 0 },
    { kind: 'delay', ms: NaN },
    { kind: 'garble', every: -1 },
  ] satisfies LaneMode[])
    expect(() => proxy.harm(mode)).toThrow('at least 1')
  expect(proxy.toServer).toEqual(PASS)
})

it('closes every connection when it is closed, and listens no more', async () => {
  const { client, far } = await pair()
  proxy.harm({ kind: 'hold' })
  const { port } = proxy
  client.socket.write('held')
  await proxy.close()
  await until(() => isReset(client) && isReset(far), { what: 'the RST' })
  const late = connect(port, '127.0.0.1')
  const failure = await new Promise<NodeJS.ErrnoException>((resolve) => late.once('error', resolve))
  expect(failure.code).toBe('ECONNREFUSED')
})

describe('a redis-server behind it', () => {
  it('serves through every mode that delivers, whole values of megabytes included', async () => {
    await using redisServer = await RedisServer.start()
    await using redisProxy = await TcpProxy.start({ to: redisServer })
    const redis = new Redis(redisProxy.url, { retryStrategy: () => 10 })
    redis.on('error', () => undefined)
    onTestFinished(() => redis.disconnect())
    const modes: [LaneMode, number][] = [
      [PASS, 8 * 1024 * 1024],
      [{ kind: 'delay', ms: 30 }, 2 * 1024 * 1024],
      [{ kind: 'split', bytes: 1 }, 2000],
      [{ kind: 'split', bytes: 1000 }, 1024 * 1024],
    ]
    for (const [mode, size] of modes) {
      redisProxy.harm(mode)
      const value = 'v'.repeat(size)
      expect(await redis.set('key', value)).toBe('OK')
      expect((await redis.get('key')) === value).toBe(true)
    }
    expect(redisProxy.accepted).toBe(1)
    redisProxy.harm({ kind: 'reset' })
    await until(() => redis.status !== 'ready', { what: 'the client to notice' })
    redisProxy.heal()
    expect(await redis.get('key')).toHaveLength(1024 * 1024)
    expect(redisProxy.accepted).toBeGreaterThan(1)
  })

  it('executes what it was sent when the reply is swallowed', async () => {
    await using redisServer = await RedisServer.start()
    await using redisProxy = await TcpProxy.start({ to: redisServer })
    const redis = new Redis(redisProxy.url, { commandTimeout: QUIET_MS, retryStrategy: null })
    redis.on('error', () => undefined)
    onTestFinished(() => redis.disconnect())
    // Not by a command: its time would begin before the connection stands.
    await once(redis, 'ready')
    redisProxy.toClient = { kind: 'swallow' }
    await expect(redis.set('key', 'value')).rejects.toThrow('timed out')
    const isThere = async () => (await redisServer.command('GET', 'key')) === 'value'
    await until(isThere, { what: 'the command to be executed' })
  })
})
