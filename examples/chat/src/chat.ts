/** One node of the chat: log in, talk over a WebSocket, log out, and every connection of the person ends. */
import { randomUUID } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CryptoKey, SignJWT } from 'jose'
import { type Auth, Gate, JwtVerifier, RescindError, type Store, TokenManager } from 'rescind'
import { admitUpgrade, authOf, endWithToken } from 'rescind/live'
import { protect } from 'rescind/node'
import { WebSocket, WebSocketServer } from 'ws'

const ISSUER = 'https://example-chat.invalid'
const AUDIENCE = 'https://example-chat.invalid/chat'
/** Tokens live for this long, in seconds, and so does a connection at the most. */
const TOKEN_LIFE_SECONDS = 900
const USER_LENGTH_MAX = 64
/** Of a log-in, and of one message of the chat. */
const BODY_BYTES_MAX = 4096
/** A listener that lags further behind than this is left out. */
const BACKLOG_BYTES_MAX = 1024 * 1024
const PAGE = new URL('page.html', import.meta.url)

export interface ChatOptions {
  readonly name: string
  readonly store: Store
  readonly env: NodeJS.ProcessEnv
  /** The same on every node: a token is good on all of them. */
  readonly keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey }
  /** Carries messages from node to node: for nodes in several processes, put a broker here. */
  readonly room: EventEmitter<{ message: [text: string] }>
}

export function makeChat({ name, store, env, keys, room }: ChatOptions): {
  server: Server
  manager: TokenManager
} {
  const { publicKey, privateKey } = keys
  const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
  const manager = TokenManager.fromEnv(env, { store, verifier, nodeName: name })
  const gate = new Gate({
    manager,
    realm: 'example-chat',
    onUncertain: (cause) => console.error(`check unavailable: ${cause.code}: ${cause.message}`),
  })

  const logIn = async (request: IncomingMessage, response: ServerResponse) => {
    const user = userOf(await bodyOf(request))
    if (user === undefined) {
      return sendJson(response, 400, {
        error: `send {"user":"alice"}: a text of 1 to ${USER_LENGTH_MAX} characters`,
      })
    }
    // An example: a real chat asks for a password here.
    await afterLogOut(manager, user)
    const token = await new SignJWT({ client_id: 'example' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(user)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${TOKEN_LIFE_SECONDS}s`)
      .sign(privateKey)
    response.setHeader('cache-control', 'no-store')
    sendJson(response, 200, { access_token: token, token_type: 'Bearer', expires_in: TOKEN_LIFE_SECONDS })
  }

  const logOut = protect(gate, async (_request, response, auth) => {
    await manager.revoke({ iss: ISSUER, sub: userIn(auth) }, { reason: 'log-out' })
    response.writeHead(204).end()
  })

  const showPage = async (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(await readFile(PAGE))
  }

  const routes: Record<string, (request: IncomingMessage, response: ServerResponse) => Promise<void>> = {
    'GET /': showPage,
    'POST /login': logIn,
    'POST /logout': logOut,
  }
  const server = createServer((request, response) => {
    const route = routes[`${request.method} ${request.url}`]
    if (route === undefined) return sendJson(response, 404, { error: 'there is no such route' })
    route(request, response).catch((error: unknown) => answerFailure(response, error))
  })

  const chat = new WebSocketServer({ noServer: true, maxPayload: BODY_BYTES_MAX })
  server.on('upgrade', (request, socket, head) => {
    // Browsers cannot set headers here: for them the token may stand in the query.
    void admitUpgrade(gate, request, socket, { tokenFrom: ['header', 'query'] }).then((auth) => {
      if (auth === undefined) return
      chat.handleUpgrade(request, socket, head, (connection) => chat.emit('connection', connection, request))
    })
  })
  chat.on('connection', (connection, request) => {
    const auth = authOf(request)
    connection.on('error', () => connection.terminate())
    connection.on('message', (data: Buffer) => {
      room.emit('message', JSON.stringify({ from: userIn(auth), text: data.toString(), via: name }))
    })
    void endWithToken(gate, auth, connection)
  })
  const fanOut = (text: string) => {
    for (const connection of chat.clients) {
      const isListening = connection.readyState === WebSocket.OPEN
      if (isListening && connection.bufferedAmount < BACKLOG_BYTES_MAX) connection.send(text)
    }
  }
  room.on('message', fanOut)
  server.once('close', () => room.off('message', fanOut))
  return { server, manager }
}

/**
 * A log-out kills every token of its second (`issuedBefore` is inclusive), so a log-in in that same second waits
 * for the next one. A store that is away does not keep anybody from logging in.
 */
async function afterLogOut(manager: TokenManager, user: string): Promise<void> {
  const iat = Math.floor(manager.now())
  const result = await manager.check({ iss: ISSUER, sub: user, jti: randomUUID(), iat })
  if (result.status === 'revoked' && result.revocation.issuedBefore === iat) {
    await sleep((iat + 1 - manager.now()) * 1000 + 1)
  }
}

const userIn = (auth: Auth) => auth.claims.sub as string

function userOf(body: unknown): string | undefined {
  const user = (body as { user?: unknown } | null | undefined)?.user
  const isUser =
    typeof user === 'string' && user !== '' && user.length <= USER_LENGTH_MAX && user.isWellFormed()
  return isUser ? user : undefined
}

/** The body as JSON; undefined when it is none, or too long. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk as string
    if (text.length > BODY_BYTES_MAX) return undefined
  }
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A log-out that could not be stored is 503: the client must not believe that it is logged out. */
function answerFailure(response: ServerResponse, error: unknown): void {
  const isKnown = error instanceof RescindError
  console.error(isKnown ? `${error.code}: ${error.message}` : error)
  if (response.headersSent) response.destroy()
  else sendJson(response, isKnown ? 503 : 500, { error: 'not done; try again' })
}
