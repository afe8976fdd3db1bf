/** The server on its port: it listens, over TLS where that is configured, and ends without breaking off what it has begun. */
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { serve, type ServerType } from '@hono/node-server'
import { RescindError } from 'rescind'
import type { App } from './app.js'
import { limitBodies } from './body-deadline.js'
import { invalid, readNamedFile } from './config/load.js'
import type { Config } from './config/schema.js'
import { failureFields, type Logger } from './log.js'

export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** Above what gateways keep an idle connection for (nginx 60 s): who closes first must not be the one who is asked. */
const KEEP_ALIVE_MS = 65_000
/** While it stops, how often connections without a request are ended. */
const IDLE_PERIOD_MS = 20

/** Throws `ERR_CONFIG_INVALID` for files that cannot be read. */
export function tlsFilesOf({ listen: { tls } }: Config): TlsFiles | undefined {
  return (
    tls && {
      cert: readNamedFile('listen.tls.certFile', tls.certFile),
      key: readNamedFile('listen.tls.keyFile', tls.keyFile),
    }
  )
}

export class HttpServer {
  readonly #sockets = new Set<Socket>()

  private constructor(
    /** Where it listens. */
    readonly url: string,
    private readonly server: ServerType,
    log: Logger,
  ) {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('error', (error) => log.error(failureFields(error), 'the server has failed'))
  }

  /** `app`: looked up for each request. Throws `ERR_CONFIG_INVALID` where it cannot listen. */
  static async listen(
    config: Config,
    files: TlsFiles | undefined,
    app: () => App,
    log: Logger,
  ): Promise<HttpServer> {
    const server = await listening(config, files, app)
    return new HttpServer(urlOf(server, config), server, log)
  }

  /** Takes nothing new. Resolves when all that was begun is answered, or broken off after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    const { server } = this
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    // A connection whose request was answered would be kept for the next one, which never comes; one that has brought
    // none yet counts as busy, and clients open such ones in advance.
    const idle = setInterval(() => {
      if ('closeIdleConnections' in server) server.closeIdleConnections()
      for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
    }, IDLE_PERIOD_MS)
    const patience = setTimeout(
      () => 'closeAllConnections' in server && server.closeAllConnections(),
      timeoutMs,
    )
    await closed
    clearInterval(idle)
    clearTimeout(patience)
  }
}

function urlOf(server: ServerType, { listen: { host, tls } }: Config): string {
  const { port } = server.address() as AddressInfo
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function listening(
  { limits, listen: { host, port } }: Config,
  files: TlsFiles | undefined,
  app: () => App,
): Promise<ServerType> {
  const bounds = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.requestTimeoutMs,
    // Bodies have deadlines of their own.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(1000, limits.requestTimeoutMs),
  }
  return new Promise((resolve, reject) => {
    const server = (() => {
      try {
        return serve(
          {
            fetch: (request, env) => app().fetch(request, env),
            hostname: host,
            port,
            serverOptions: { ...bounds, ...files },
            createServer: ((options: object, listener: RequestListener) => {
              const first: RequestListener = (incoming, outgoing) => {
                if (!app().forward(incoming, outgoing)) listener(incoming, outgoing)
              }
              return files === undefined ? createServer(options, first) : createTlsServer(options, first)
            }) as typeof createServer,
          },
          () => resolve(server),
        )
      } catch (cause) {
        throw invalid(['listen.tls: the certificate and the key cannot be used together'], cause)
      }
    })()
    limitBodies(server, limits.requestTimeoutMs)
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'EADDRINUSE'
          ? `port ${port} is in use; stop what uses it, or set RESCIND_PORT to another one`
          : `cannot listen on ${host}, port ${port}: ${cause.code ?? 'unknown failure'}`
      reject(new RescindError('ERR_CONFIG_INVALID', why, { cause, problems: [why] }))
    })
  })
}
