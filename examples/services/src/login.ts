/** The log-in service: it alone issues tokens, and publishes the key that verifies them (RFC 7517). */
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

const { PORT = '3001', ISSUER = '', AUDIENCE = '' } = process.env

const { publicKey, privateKey } = await generateKeyPair('ES256')
const keySet = JSON.stringify({ keys: [await exportJWK(publicKey)] })

const server = createServer((request, response) => {
  const [, user] = /^\/login\/(\w+)$/.exec(request.url ?? '') ?? []
  if (user !== undefined && request.method === 'POST') void logIn(user, response)
  else if (request.url === '/jwks.json') answer(response, 200, 'application/json', keySet)
  else answer(response, 404, 'text/plain', 'there is no such route')
})

/** An example: a real service asks for a password here. */
async function logIn(user: string, response: ServerResponse): Promise<void> {
  const token = await new SignJWT({ sub: user, client_id: 'web', jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(privateKey)
  answer(response, 200, 'text/plain', token)
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
}

server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.close())
