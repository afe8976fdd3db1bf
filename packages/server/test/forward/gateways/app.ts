/** The application behind a gateway, which writes down what reaches it, and a client in front that sends what it is told. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'

export interface Seen {
  readonly method: string
  readonly url: string
  /** Names in lower case, with every value that came under it. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
}

export class App implements AsyncDisposable {
  readonly seen: Seen[] = []
  readonly #server: Server

  private constructor() {
    this.#server = createServer((incoming, response) => {
      let body = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (part: string) => (body += part))
      incoming.on('end', () => {
        this.seen.push({
          method: incoming.method ?? '',
          url: incoming.url ?? '',
          headers: headersOf(incoming),
          body,
        })
        const text = 'from the application'
        response.writeHead(200, { 'content-type': 'text/plain', 'content-length': text.length }).end(text)
      })
    })
  }

  static async start(): Promise<App> {
    const app = new App()
    await new Promise<void>((resolve) => app.#server.listen(0, '127.0.0.1', resolve))
    return app
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function headersOf({ rawHeaders }: IncomingMessage): ReadonlyMap<string, readonly string[]> {
  const headers = new Map<string, string[]>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[i + 1] as string])
  }
  return headers
}

export interface Sent {
  readonly method?: string
  readonly path?: string
  /** In order, repeats too. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly body?: string
}

export interface Got {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** Sends a request as it stands, over a connection of its own: no client library resolves or repairs it. */
export function send(
  port: number,
  { method = 'GET', path = '/orders', headers = [], body }: Sent,
): Promise<Got> {
  const all = [['Host', 'app.example'], ['Connection', 'close'], ...headers]
  if (body !== undefined) all.push(['Content-Length', String(Buffer.byteLength(body))])
  const head = `${method} ${path} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(head + (body ?? '')))
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => (text += part))
    socket.on('end', () => resolve(parsed(text)))
    // A gateway that refuses a request before it is sent whole may reset the connection.
    socket.on('error', (error) => (text === '' ? reject(error) : resolve(parsed(text))))
  })
}

function parsed(text: string): Got {
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s)
  const [first = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return { status: Number(first.split(' ')[1]), headers: new Map(headers), body }
}
