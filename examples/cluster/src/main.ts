/** Cluster: two nodes of an API on three primaries of Redis, over which the revocations are spread. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { generateKeyPair, SignJWT } from 'jose'
import { Gate, JwtVerifier, openStore, TokenManager } from 'rescind'
import { requireToken } from 'rescind/express'
import { RedisCluster } from '../../../packages/rescind/test/support/redis-cluster.js'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const { PORT = '3000' } = process.env

// Three primaries on this machine. Elsewhere they are there, and the environment names them.
const redis = await RedisCluster.start()
const env = {
  REDIS_CLUSTER_NODES: redis.nodes.map(({ host, port }) => `${host}:${port}`).join(','),
  // More than primaries, so that each has some; the same number on every node.
  RESCIND_PARTITIONS: '8',
}
const { publicKey, privateKey } = await generateKeyPair('ES256')

/** One node. Elsewhere it is a process of its own, on a machine of its own. */
async function startNode(name: string, port: number) {
  const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
  const manager = TokenManager.fromEnv(process.env, { store: openStore(env), verifier, nodeName: name })
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
    response.json({ user: request.auth!.claims.sub, node: name })
  })

  app.post('/logout', requireToken(gate), async (request, response) => {
    // Answered when every node that lives refuses the token.
    const { nodes } = await manager.revokeToken(request.auth!, { reason: 'log-out', ack: 'everywhere' })
    response.json({ nodes })
  })

  /** What each primary holds. */
  app.get('/shards', async (_request, response) => {
    const counts = await Promise.all(redis.servers.map((server) => server.command<number>('DBSIZE')))
    response.json(redis.servers.map(({ port }, i) => ({ port, keys: counts[i] })))
  })

  const server = app.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, manager }
}

const a = await startNode('a', Number(PORT))
const b = await startNode('b', PORT === '0' ? 0 : Number(PORT) + 1)
console.log(`Node a listens on ${a.url}, node b on ${b.url}. Log out on one, and see the token refused on the other;
then log a dozen people out, and see how that is spread over the primaries:

  ALICE=$(curl -s -X POST ${a.url}/login/alice)
  curl -i ${b.url}/me -H "authorization: Bearer $ALICE"
  curl -i -X POST ${a.url}/logout -H "authorization: Bearer $ALICE"
  curl -i ${b.url}/me -H "authorization: Bearer $ALICE"
  for I in $(seq 12); do curl -s -X POST ${a.url}/logout -H "authorization: Bearer $(curl -s -X POST ${b.url}/login/user$I)"; done
  curl -i ${a.url}/shards
`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const { server } of [a, b]) server.close()
    void Promise.all([a.manager.close(), b.manager.close()]).then(() => redis.stop())
  })
}
