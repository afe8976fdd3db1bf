/**
 * Decorators alone, on `node:http`: a log with tokens has leaked, and every token that was issued until now is refused.
 * A payment asks the store itself each time, whatever this node remembers.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPair, SignJWT } from 'jose'
import { Gate, JwtVerifier, openStore, RescindError, TokenManager } from 'rescind'
import { authOf, tokenDecorator } from 'rescind/decorators'
import { sendDenial } from 'rescind/node'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const SECURITY_OFFICER = 'root'
const { PORT = '3000' } = process.env

// Where others issue the tokens, `jwksUrl` takes the place of `publicKey`.
const { publicKey, privateKey } = await generateKeyPair('ES256')
const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
const manager = TokenManager.fromEnv(process.env, { store: openStore(process.env), verifier })
const gate = new Gate({ manager })
await manager.ready() // from the first request on, checks are made in memory
const requireToken = tokenDecorator(gate)

/** Every method asks for a token; one with a decorator of its own asks for what that says. */
@requireToken()
class Api {
  me(request: IncomingMessage, response: ServerResponse): void {
    sendJson(response, 200, { user: authOf(request).claims.sub })
  }

  @requireToken({ consistency: 'strict' })
  pay(request: IncomingMessage, response: ServerResponse): void {
    sendJson(response, 201, { paidBy: authOf(request).claims.sub, payment: randomUUID() })
  }

  @requireToken({ scope: 'security' })
  async revokeAll(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const actor = authOf(request).claims.sub as string
    const { issuedBefore } = await manager.revokeAll({ reason: 'leaked log', actor })
    sendJson(response, 200, { revoked: 'everything', issuedBefore })
  }
}

const api = new Api()
type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>
const routes: Readonly<Record<string, Handler>> = {
  'POST /login/alice': (_, response) => logIn('alice', response),
  [`POST /login/${SECURITY_OFFICER}`]: (_, response) => logIn(SECURITY_OFFICER, response),
  'GET /me': (request, response) => api.me(request, response),
  'POST /payments': (request, response) => api.pay(request, response),
  'POST /revoke-all': (request, response) => api.revokeAll(request, response),
}

async function logIn(user: string, response: ServerResponse): Promise<void> {
  // An example: a real API asks for a password here.
  const scope = user === SECURITY_OFFICER ? 'security' : ''
  const token = await new SignJWT({ sub: user, scope, client_id: 'web', jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(privateKey)
  response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' }).end(token)
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = routes[`${request.method} ${request.url}`]
  try {
    await (route?.(request, response) ?? sendJson(response, 404, { error: 'there is no such route' }))
  } catch (error) {
    const isKnown = error instanceof RescindError
    console.error(isKnown ? `${error.code}: ${error.message}` : error)
    if (response.headersSent) response.destroy()
    // What could not be stored is 503: nobody must believe that it is revoked.
    else if (isKnown) sendDenial(response, gate.denial('check_unavailable', 'Nothing was changed; try again'))
    else sendJson(response, 500, { error: 'the request failed' })
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const server = createServer((request, response) => void answer(request, response))
server.listen(Number(PORT), '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  console.log(`Decorators guard ${url}. Revoke everything, and log in again a second later (tokens of the same second are
dead, too):

  ALICE=$(curl -s -X POST ${url}/login/alice)
  ROOT=$(curl -s -X POST ${url}/login/${SECURITY_OFFICER})
  curl -i -X POST ${url}/payments -H "authorization: Bearer $ALICE"
  curl -i -X POST ${url}/revoke-all -H "authorization: Bearer $ALICE"
  curl -i -X POST ${url}/revoke-all -H "authorization: Bearer $ROOT"
  curl -i -X POST ${url}/payments -H "authorization: Bearer $ALICE"
  curl -i ${url}/me -H "authorization: Bearer $ROOT"
  sleep 1; ALICE=$(curl -s -X POST ${url}/login/alice)
  curl -i ${url}/me -H "authorization: Bearer $ALICE"
`)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => server.close(() => void manager.close()))
}
