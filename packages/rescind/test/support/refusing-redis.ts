/**
 * A server on a real socket that logs clients in as Redis does and answers every other command with one error:
 * for states that a real server is hard to hold in, such as LOADING.
 */
import { createServer, type Server, type Socket } from 'node:net'

const HANDSHAKE: Readonly<Record<string, string>> = {
  INFO: bulk('# Server\r\nredis_version:7.0.15\r\nloading:0\r\nrole:master\r\n'),
  CLIENT: '+OK\r\n',
  SELECT: '+OK\r\n',
  HELLO: "-ERR unknown command 'HELLO'\r\n",
}

const LOADING = bulk('# Persistence\r\nloading:1\r\nloading_eta_seconds:0.1\r\n')

export class RefusingRedis {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** What commands are answered with; `undefined` for silence. */
  reply: string | undefined
  /** It says so at each log-in, and no client takes it for ready. */
  isLoading = false
  /** The names of all commands that it got. */
  readonly commands: string[] = []

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(reply: string): Promise<RefusingRedis> {
    const server = createServer()
    const fake = new RefusingRedis(server)
    fake.reply = reply
    server.on('connection', (socket) => fake.#serve(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return fake
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    let text = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let command = takeCommand(text); command !== undefined; command = takeCommand(text)) {
        text = text.slice(command.length)
        this.commands.push(command.name)
        const known = command.name === 'INFO' && this.isLoading ? LOADING : HANDSHAKE[command.name]
        socket.write(known ?? (this.reply === undefined ? '' : `-${this.reply}\r\n`))
      }
    })
  }
}

/** The first whole command of a stream: an array of bulk strings. */
function takeCommand(text: string): { name: string; length: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text)
  if (head === null) return undefined
  let at = head[0].length
  let name = ''
  for (let i = 0; i < Number(head[1]); i++) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at, at + 16))
    if (size === null) return undefined
    const start = at + size[0].length
    at = start + Number(size[1]) + 2
    if (at > text.length) return undefined
    if (i === 0) name = text.slice(start, at - 2).toUpperCase()
  }
  return { name, length: at }
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`
}
