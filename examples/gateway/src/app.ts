/** The application behind the gateway: it knows nothing of Rescind, and reads in a header who is asking. */
import { randomUUID } from 'node:crypto'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type CryptoKey, SignJWT } from 'jose'

export const ISSUER = 'https://accounts.example'
export const AUDIENCE = 'https://api.example'

export function makeApp(privateKey: CryptoKey): Server {
  return createServer((request, response) => {
    const [, user] = /^\/login\/(\w+)$/.exec(request.url ?? '') ?? []
    if (user !== undefined && request.method === 'POST') return void logIn(user, privateKey, response)
    const answer = { user: request.headers['x-auth-subject'], scope: request.headers['x-auth-scope'] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
}

/** An example: a real application asks for a password here, or leaves it to an authorization server. */
async function logIn(user: string, privateKey: CryptoKey, response: ServerResponse): Promise<void> {
  const token = await new SignJWT({ sub: user, scope: 'orders', client_id: 'web', jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(privateKey)
  response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' }).end(token)
}
