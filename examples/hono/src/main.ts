/** Hono: a tenant is compromised, and every token of it is refused; those of the other tenants go on. */
import { randomUUID } from 'node:crypto'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { generateKeyPair, SignJWT } from 'jose'
import { Gate, JwtVerifier, openStore, RescindError, TokenManager } from 'rescind'
import { requireToken, type RescindVariables } from 'rescind/hono'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const OPERATOR = 'operator'
const { PORT = '3000' } = process.env

// Where others issue the tokens, `jwksUrl` takes the place of `publicKey`.
const { publicKey, privateKey } = await generateKeyPair('ES256')
const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
const manager = TokenManager.fromEnv(process.env, { store: openStore(process.env), verifier })
const gate = new Gate({ manager })
await manager.ready() // from the first request on, checks are made in memory

const app = new Hono<{ Variables: RescindVariables }>()

app.post('/login/:tenant/:user', async (c) => {
  // An example: a real API asks for a password here.
  const { tenant, user } = c.req.param()
  const scope = tenant === OPERATOR ? 'tenants' : ''
  const token = await new SignJWT({ sub: user, tenant, scope, client_id: 'web', jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(privateKey)
  return c.text(token, 200, { 'cache-control': 'no-store' })
})

app.get('/me', requireToken(gate), (c) => {
  const { sub, tenant } = c.get('auth').claims
  return c.json({ user: sub, tenant })
})

app.use('/tenants/*', requireToken(gate, { scope: 'tenants' }))

// Any claim can be a target, one that only this application knows too.
app.post('/tenants/:tenant/revocations', async (c) => {
  const { tenant } = c.req.param()
  const { id, expiresAt } = await manager.revoke(
    { iss: ISSUER, tenant },
    { reason: 'compromised', actor: c.get('auth').claims.sub as string },
  )
  return c.json({ id, tenant, until: new Date(expiresAt * 1000) }, 201)
})

app.get('/tenants/:tenant/revocations', async (c) => {
  const { revocations } = await manager.list({ target: { iss: ISSUER, tenant: c.req.param('tenant') } })
  return c.json(revocations)
})

/** What could not be stored is 503: nobody must believe that it is revoked. */
app.onError((error, c) => {
  if (!(error instanceof RescindError)) throw error
  console.error(`${error.code}: ${error.message}`)
  const { status, headers, body } = gate.denial('check_unavailable', 'Nothing was changed; try again')
  return c.body(JSON.stringify(body), status, headers)
})

const server = serve({ fetch: app.fetch, port: Number(PORT), hostname: '127.0.0.1' }, ({ port }) => {
  const url = `http://127.0.0.1:${port}`
  console.log(`Hono listens on ${url}. Stop a whole tenant, and nobody else:

  ACME=$(curl -s -X POST ${url}/login/acme/alice)
  GLOBEX=$(curl -s -X POST ${url}/login/globex/bob)
  OPERATOR=$(curl -s -X POST ${url}/login/${OPERATOR}/olga)
  curl -i ${url}/me -H "authorization: Bearer $ACME"
  curl -i -X POST ${url}/tenants/acme/revocations -H "authorization: Bearer $GLOBEX"
  curl -i -X POST ${url}/tenants/acme/revocations -H "authorization: Bearer $OPERATOR"
  curl -i ${url}/me -H "authorization: Bearer $ACME"
  curl -i ${url}/me -H "authorization: Bearer $GLOBEX"
  curl -i ${url}/tenants/acme/revocations -H "authorization: Bearer $OPERATOR"
`)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => server.close(() => void manager.close()))
}
