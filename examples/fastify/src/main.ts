/** Fastify: a phone is stolen, and its session ends from the laptop, or all sessions of the person at once. */
import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { generateKeyPair, SignJWT } from 'jose'
import { Gate, JwtVerifier, openStore, RescindError, TokenManager } from 'rescind'
import { rescindPlugin } from 'rescind/fastify'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const { PORT = '3000' } = process.env

// Where others issue the tokens, `jwksUrl` takes the place of `publicKey`.
const { publicKey, privateKey } = await generateKeyPair('ES256')
const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
const manager = TokenManager.fromEnv(process.env, { store: openStore(process.env), verifier })
const gate = new Gate({ manager })
await manager.ready() // from the first request on, checks are made in memory

const app = Fastify()
app.addHook('onClose', () => manager.close())
await app.register(rescindPlugin, { gate }) // guards every route that does not say otherwise

app.post<{ Params: { user: string } }>(
  '/login/:user',
  { config: { rescind: false } },
  async (request, reply) => {
    // An example: a real API asks for a password here. All tokens of one session, refreshed ones too, have its `sid`.
    const session = { sub: request.params.user, sid: randomUUID() }
    const token = await new SignJWT({ ...session, client_id: 'app', jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime('15m')
      .sign(privateKey)
    return reply.header('cache-control', 'no-store').type('text/plain').send(token)
  },
)

app.get('/me', (request, reply) => {
  const { sub, sid } = request.auth.claims
  return reply.send({ user: sub, session: sid })
})

app.delete<{ Params: { sid: string } }>('/sessions/:sid', async (request, reply) => {
  const sub = request.auth.claims.sub as string
  // A token must carry all three: whoever names the session of another person ends nothing.
  await manager.revoke({ iss: ISSUER, sub, sid: request.params.sid }, { reason: 'stolen phone' })
  return reply.code(204).send()
})

app.delete('/sessions', async (request, reply) => {
  const sub = request.auth.claims.sub as string
  await manager.revoke({ iss: ISSUER, sub }, { reason: 'log-out everywhere' })
  return reply.code(204).send()
})

/** What could not be stored is 503: nobody must believe that it is revoked. */
app.setErrorHandler((error, _request, reply) => {
  if (!(error instanceof RescindError)) throw error
  console.error(`${error.code}: ${error.message}`)
  const { status, headers, body } = gate.denial('check_unavailable', 'Nothing was changed; try again')
  return reply.code(status).headers(headers).send(body)
})

const url = await app.listen({ port: Number(PORT), host: '127.0.0.1' })
console.log(`Fastify listens on ${url}. End the session of a phone from a laptop, and then all sessions:

  PHONE=$(curl -s -X POST ${url}/login/alice)
  LAPTOP=$(curl -s -X POST ${url}/login/alice)
  SID=$(curl -s ${url}/me -H "authorization: Bearer $PHONE" | node -pe 'JSON.parse(fs.readFileSync(0)).session')
  curl -i -X DELETE ${url}/sessions/$SID -H "authorization: Bearer $LAPTOP"
  curl -i ${url}/me -H "authorization: Bearer $PHONE"
  curl -i ${url}/me -H "authorization: Bearer $LAPTOP"
  curl -i -X DELETE ${url}/sessions -H "authorization: Bearer $LAPTOP"
  curl -i ${url}/me -H "authorization: Bearer $LAPTOP"
`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close())
