/** A proxy before a real Redis that changes what it answers, once it is told how. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of the bytes of an answer: others, none at all, or some and then the end of the connection. */
export type Damage = (answer: Buffer) => { readonly bytes: Buffer; readonly isLast?: boolean } | undefined

export class DamagingProxy {
  /** Undefined: answers pass. */
  damage: Damage | undefined
  /** The damaged answers, as they were sent. */
  readonly sent: Buffer[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(port: number): Promise<DamagingProxy> {
    const server = createServer({ noDelay: true })
    const proxy = new DamagingProxy(server)
    server.on('connection', (near) => proxy.#join(near, connect({ host: '127.0.0.1', port, noDelay: true })))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Sends bytes that answer nothing to every client. */
  push(bytes: Buffer): void {
    for (const socket of this.#sockets)
      if (socket.localPort === (this.#server.address() as AddressInfo).port) socket.write(bytes)
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(near: Socket, far: Socket): void {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    near.on('data', (bytes) => far.write(bytes))
    far.on('data', (answer) => {
      if (this.damage === undefined) return near.write(answer)
      const damaged = this.damage(answer)
      if (damaged === undefined) return undefined
      this.sent.push(damaged.bytes)
      near.write(damaged.bytes)
      if (damaged.isLast === true) near.end()
      return undefined
    })
  }
}
