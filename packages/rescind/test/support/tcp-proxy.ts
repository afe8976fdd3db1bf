/**
 * A TCP proxy on loopback that does to connections what networks do. Each direction has its mode
 * (see `LaneMode`), which can be changed at any moment and holds for open and for new connections.
 *
 * @example
 * await using proxy = await TcpProxy.start({ to: server })
 * const connection = new RedisConnection({ url: proxy.url })
 * proxy.harm({ kind: 'swallow' })        // both directions
 * proxy.toClient = { kind: 'delay', ms: 300 } // one
 * proxy.heal()
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Lane, type LaneCount, type LaneMode } from './tcp-lane.js'

/** More are closed as soon as they are opened. */
const CONNECTIONS_MAX = 4096
const LOOPBACK = '127.0.0.1'
const PASS: LaneMode = { kind: 'pass' }

export interface TcpProxyOptions {
  /** The server. */
  to: { readonly host: string; readonly port: number }
  /** The address to listen on. Default 127.0.0.1. */
  host?: string
}

/** One client's connection, and the proxy's own to the server for it. */
interface Passage {
  readonly near: Socket
  readonly far: Socket
  readonly toServer: Lane
  readonly toClient: Lane
}

export class TcpProxy implements AsyncDisposable {
  readonly host: string
  /** Of all connections, since the start. */
  readonly bytes: Readonly<Record<'toServer' | 'toClient', Readonly<LaneCount>>> = {
    toServer: { delivered: 0, lost: 0 },
    toClient: { delivered: 0, lost: 0 },
  }
  readonly #to: TcpProxyOptions['to']
  readonly #server: Server
  readonly #passages = new Set<Passage>()
  #accepted = 0
  #toServer = PASS
  #toClient = PASS

  private constructor({ to, host = LOOPBACK }: TcpProxyOptions) {
    this.#to = to
    this.host = host
    // A FIN is passed on like any other event, and not answered by the proxy itself.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near))
    this.#server.maxConnections = CONNECTIONS_MAX
  }

  static async start(options: TcpProxyOptions): Promise<TcpProxy> {
    const proxy = new TcpProxy(options)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject).listen(0, proxy.host, resolve)
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Of a Redis behind it, without credentials. */
  get url(): string {
    return `redis://${this.host}:${this.port}`
  }

  /** How many connections are open on either side. */
  get connections(): number {
    return this.#passages.size
  }

  /** How many were accepted since the start. */
  get accepted(): number {
    return this.#accepted
  }

  get toServer(): LaneMode {
    return this.#toServer
  }

  set toServer(mode: LaneMode) {
    assertMode(mode)
    this.#toServer = mode
    for (const { toServer } of this.#passages) toServer.mode = mode
  }

  get toClient(): LaneMode {
    return this.#toClient
  }

  set toClient(mode: LaneMode) {
    assertMode(mode)
    this.#toClient = mode
    for (const { toClient } of this.#passages) toClient.mode = mode
  }

  /** Sets both directions. */
  harm(mode: LaneMode): void {
    this.toServer = mode
    this.toClient = mode
  }

  /**
   * Both directions pass again. What was held or delayed is delivered; a connection that lost or changed
   * something is reset, as its two sides do not agree on what was said.
   */
  heal(): void {
    this.harm(PASS)
  }

  /** Resets all connections and accepts no more. */
  async close(): Promise<void> {
    for (const { near, far } of this.#passages) resetBoth(near, far)
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #accept(near: Socket): void {
    this.#accepted += 1
    const far = connect({ ...this.#to, allowHalfOpen: true, noDelay: true })
    const onBroken = () => resetBoth(near, far)
    for (const socket of [near, far]) {
      // Told by its `close`, which follows.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        if (near.destroyed && far.destroyed) this.#passages.delete(passage)
      })
    }
    const passage: Passage = {
      near,
      far,
      toServer: new Lane({
        from: near,
        to: far,
        mode: this.#toServer,
        count: this.bytes.toServer,
        onBroken,
      }),
      toClient: new Lane({
        from: far,
        to: near,
        mode: this.#toClient,
        count: this.bytes.toClient,
        onBroken,
      }),
    }
    this.#passages.add(passage)
  }
}

function resetBoth(near: Socket, far: Socket): void {
  near.resetAndDestroy()
  far.resetAndDestroy()
}

function assertMode(mode: LaneMode): void {
  const amounts = Object.values(mode).filter((value) => typeof value === 'number')
  if (amounts.every((amount) => Number.isInteger(amount) && amount >= 1)) return
  throw new Error(`What a mode counts is a whole number of at least 1: ${JSON.stringify(mode)}`)
}
