/**
 * Orders, a resource service in TypeScript: a node that follows the revocation service (`RESCIND_URL`, `RESCIND_KEY`), so
 * that it checks in its own memory.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Auth, Gate, JwtVerifier, openStore, RescindError, TokenManager } from 'rescind'
import { protect, sendDenial } from 'rescind/node'

const { PORT = '3002', ISSUER = '', AUDIENCE = '', JWKS_URL = '' } = process.env

const verifier = new JwtVerifier({
  issuer: ISSUER,
  audience: AUDIENCE,
  algorithms: ['ES256'],
  jwksUrl: JWKS_URL,
})
const store = openStore(process.env)
const manager = TokenManager.fromEnv(process.env, { store, verifier, nodeName: 'orders' })
const gate = new Gate({ manager, realm: 'orders' })
await manager.ready()

const answer = async (request: IncomingMessage, response: ServerResponse, auth: Auth) => {
  if (request.method === 'POST' && request.url === '/logout') {
    await manager.revokeToken(auth, { reason: 'log-out', ack: 'everywhere' })
    response.writeHead(204).end()
    return
  }
  const body = { user: auth.claims.sub, orders: ['umbrella', 'boots'] }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const guarded = protect(gate, answer)
const server = createServer((request, response) => {
  guarded(request, response).catch((error: unknown) => {
    console.error(error instanceof RescindError ? `${error.code}: ${error.message}` : error)
    // What could not be stored is 503: nobody must believe that it is revoked.
    if (response.headersSent) response.destroy()
    else sendDenial(response, gate.denial('check_unavailable', 'Nothing was changed; try again'))
  })
})
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => server.close(() => void manager.close()))
}
