/** Express: an administrator bans a person, whose tokens of today and of tomorrow are refused, and lets them in again. */
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import { generateKeyPair, SignJWT } from 'jose'
import { Gate, JwtVerifier, openStore, RescindError, TokenManager } from 'rescind'
import { requireToken } from 'rescind/express'
import { sendDenial } from 'rescind/node'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const ADMINISTRATOR = 'root'
const BAN_SECONDS = 7 * 86_400
const { PORT = '3000' } = process.env

// Where others issue the tokens, `jwksUrl` takes the place of `publicKey`.
const { publicKey, privateKey } = await generateKeyPair('ES256')
const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
const manager = TokenManager.fromEnv(process.env, { store: openStore(process.env), verifier })
const gate = new Gate({ manager })
await manager.ready() // from the first request on, checks are made in memory

const app = express()

app.post('/login/:user', async (request, response) => {
  // An example: a real API asks for a password here.
  const { user } = request.params
  const scope = user === ADMINISTRATOR ? 'users' : ''
  const token = await new SignJWT({ sub: user, scope, client_id: 'web', jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(privateKey)
  response.set('cache-control', 'no-store').type('text').send(token)
})

app.get('/me', requireToken(gate), (request, response) => {
  response.json({ user: request.auth!.claims.sub })
})

app.post('/logout', requireToken(gate), async (request, response) => {
  await manager.revokeToken(request.auth!, { reason: 'log-out' })
  response.status(204).end()
})

const mayManageUsers = requireToken(gate, { scope: 'users' })

app.put('/users/:user/ban', mayManageUsers, async (request, response) => {
  const { target, expiresAt } = await manager.revoke(
    { iss: ISSUER, sub: request.params.user },
    {
      issuedBefore: null, // tokens of later log-ins too
      expiresAt: manager.now() + BAN_SECONDS,
      reason: 'banned',
      actor: request.auth!.claims.sub as string,
    },
  )
  response.json({ banned: target.sub, until: new Date(expiresAt * 1000) })
})

app.delete('/users/:user/ban', mayManageUsers, async (request, response) => {
  await manager.restore({ iss: ISSUER, sub: request.params.user })
  response.status(204).end()
})

/** What could not be stored is 503: nobody must believe that it is revoked. */
const answerFailure: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (!(error instanceof RescindError)) return next(error)
  console.error(`${error.code}: ${error.message}`)
  sendDenial(response, gate.denial('check_unavailable', 'Nothing was changed; try again'))
}
app.use(answerFailure)

const server = app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  console.log(`Express listens on ${url}. Ban alice, and let her in again:

  ALICE=$(curl -s -X POST ${url}/login/alice)
  ROOT=$(curl -s -X POST ${url}/login/${ADMINISTRATOR})
  curl -i ${url}/me -H "authorization: Bearer $ALICE"
  curl -i -X PUT ${url}/users/alice/ban -H "authorization: Bearer $ALICE"
  curl -i -X PUT ${url}/users/alice/ban -H "authorization: Bearer $ROOT"
  curl -i ${url}/me -H "authorization: Bearer $ALICE"
  curl -i -X DELETE ${url}/users/alice/ban -H "authorization: Bearer $ROOT"
  curl -i ${url}/me -H "authorization: Bearer $ALICE"
`)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => server.close(() => void manager.close()))
}
