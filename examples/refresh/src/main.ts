/** Refresh tokens in families: each is used once, and whoever comes with a used one ends all that came from that log-in. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler } from 'express'
import { generateKeyPair, SignJWT } from 'jose'
import { Gate, JwtVerifier, openStore, RescindError, TokenManager } from 'rescind'
import { requireToken } from 'rescind/express'
import { sendDenial } from 'rescind/node'
import { type RefreshClaims, RefreshFamilies, SealedTokens } from 'rescind/refresh'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const ACCESS_SECONDS = 900
/** A refresh token that nobody uses lives for so long; so does a revocation, or it would end first. */
const IDLE_SECONDS = 14 * 86_400
const { PORT = '3000' } = process.env

const { publicKey, privateKey } = await generateKeyPair('ES256')
const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
const store = openStore(process.env)
const manager = new TokenManager({ store, verifier, lifetimeMaxSeconds: IDLE_SECONDS })
const gate = new Gate({ manager })
await manager.ready() // from the first request on, checks are made in memory

const families = new RefreshFamilies({
  manager,
  onReuse: ({ claims }) => console.error(`a refresh token of ${String(claims.sub)} was used again`),
})
// A real service keeps its keys: with others, nobody's refresh token opens any more.
const refreshTokens = new SealedTokens({ keys: [{ kid: '1', secret: randomBytes(32) }] })

/** RFC 6749 §5.1. Both tokens are of one `iat`: a log-out that comes in between reaches both. */
async function tokensFrom(claims: RefreshClaims) {
  const { sub, sid, client_id, iat } = claims
  const access = new SignJWT({ sub: String(sub), sid, client_id, iat, jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime(iat + ACCESS_SECONDS)
  return {
    access_token: await access.sign(privateKey),
    token_type: 'Bearer',
    expires_in: ACCESS_SECONDS,
    refresh_token: await refreshTokens.seal(claims),
  }
}

const app = express()
app.use((_request, response, next) => {
  response.set('cache-control', 'no-store')
  next()
})

app.post('/login/:user', async (request, response) => {
  // An example: a real service asks for a password here.
  const first = await families.begin({ iss: ISSUER, sub: request.params.user, client_id: 'app' })
  response.json(await tokensFrom(first))
})

app.post('/token', express.urlencoded({ limit: '16kb' }), async (request, response) => {
  const { grant_type, refresh_token } = (request.body ?? {}) as Record<string, unknown>
  if (grant_type !== 'refresh_token' || typeof refresh_token !== 'string')
    return response.status(400).json({ error: 'invalid_request' })
  const verification = await refreshTokens.verify(refresh_token, manager.now())
  if (verification.status !== 'valid') return response.status(400).json({ error: 'invalid_grant' })
  const rotation = await families.rotate(verification.token)
  if (rotation.status === 'rotated' || rotation.status === 'repeated')
    return response.json(await tokensFrom(rotation.claims))
  return response.status(400).json({ error: 'invalid_grant' })
})

app.get('/me', requireToken(gate), (request, response) => {
  const { sub, sid } = request.auth!.claims
  response.json({ user: sub, session: sid })
})

app.post('/logout', requireToken(gate), async (request, response) => {
  const family = families.targetOf(request.auth!.claims)
  await manager.revoke(family, { issuedBefore: null, reason: 'log-out' })
  response.status(204).end()
})

/** What could not be stored is 503: nobody must believe that it is revoked, and no token is used without a trace. */
const answerFailure: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (!(error instanceof RescindError)) return next(error)
  console.error(`${error.code}: ${error.message}`)
  sendDenial(response, gate.denial('check_unavailable', 'Nothing was changed; try again'))
}
app.use(answerFailure)

const server = app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  console.log(`Express listens on ${url}. Refresh twice, and come with the first refresh token again:

  part() { node -pe "JSON.parse(process.argv[1]).$1" "$2"; }
  refresh() { curl -s ${url}/token -d grant_type=refresh_token -d "refresh_token=$(part refresh_token "$1")"; }
  PHONE=$(curl -s -X POST ${url}/login/alice)
  ONE=$(curl -s -X POST ${url}/login/alice)
  TWO=$(refresh "$ONE")
  THREE=$(refresh "$TWO")
  curl -i ${url}/me -H "authorization: Bearer $(part access_token "$THREE")"
  refresh "$ONE"
  curl -i ${url}/me -H "authorization: Bearer $(part access_token "$THREE")"
  refresh "$THREE"
  curl -i ${url}/me -H "authorization: Bearer $(part access_token "$PHONE")"
  curl -i -X POST ${url}/logout -H "authorization: Bearer $(part access_token "$PHONE")"
  refresh "$PHONE"
`)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => server.close(() => void manager.close()))
}
