/** Sentinel: the primary of Redis is killed, a replica takes its place, and who was logged out stays logged out. */
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { generateKeyPair, SignJWT } from 'jose'
import { Gate, JwtVerifier, openStore, TokenManager } from 'rescind'
import { requireToken } from 'rescind/express'
import { RedisSentinelSet } from '../../../packages/rescind/test/support/redis-sentinel.js'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const { PORT = '3000' } = process.env

// A primary, a replica and three Sentinels on this machine. Elsewhere they are there, and the environment names them.
const redis = await RedisSentinelSet.start()
const store = openStore({
  REDIS_SENTINELS: redis.sentinels.map(({ host, port }) => `${host}:${port}`).join(','),
  REDIS_SENTINEL_NAME: redis.name,
})

const { publicKey, privateKey } = await generateKeyPair('ES256')
const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
const manager = TokenManager.fromEnv(process.env, { store, verifier })
const gate = new Gate({ manager })
await manager.ready()

const app = express()

app.post('/login/:user', async (request, response) => {
  // An example: a real API asks for a password here.
  const token = await new SignJWT({ sub: request.params.user, client_id: 'web', jti: randomUUID() })
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
  // Answered when a replica has it as well: the primary may die the moment after.
  const { ack } = await manager.revokeToken(request.auth!, { reason: 'log-out', ack: 'replicated' })
  response.json({ ack })
})

/** Kills the primary as a crash does. It comes back as a replica of the one that took its place. */
app.post('/failover', async (_request, response) => {
  const killed = await redis.primary()
  const primary = await redis.failover()
  await killed.restart()
  await redis.settled()
  await manager.ready()
  response.json({ killed: killed.port, primary: primary.port })
})

const server = app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  console.log(`Listening on ${url}, with a primary, a replica and three Sentinels. Log out, and kill the primary:

  ALICE=$(curl -s -X POST ${url}/login/alice)
  BOB=$(curl -s -X POST ${url}/login/bob)
  curl -i -X POST ${url}/logout -H "authorization: Bearer $ALICE"
  curl -i -X POST ${url}/failover
  curl -i ${url}/me -H "authorization: Bearer $ALICE"
  curl -i -X POST ${url}/logout -H "authorization: Bearer $BOB"
  curl -i ${url}/me -H "authorization: Bearer $BOB"
`)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => server.close(() => void manager.close().then(() => redis.stop())))
}
