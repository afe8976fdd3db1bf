/**
 * A service on `node:cluster`: `cluster-app.ts REDIS_URL WORKERS`. The primary only forks; each worker is one node
 * with one replica, behind one port. Says `{ port }` when all serve, and ends with its parent.
 */
import cluster from 'node:cluster'
import { createServer } from 'node:http'
import { protect } from '../../src/adapters/node.js'
import { Gate } from '../../src/gate.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { JwtVerifier } from '../../src/token/jwt-verifier.js'
import { AUDIENCE, ISSUER } from './issuer.js'

const [url = '', workers = '2', secret = ''] = process.argv.slice(2)

if (cluster.isPrimary) {
  let ready = 0
  let port: number | undefined
  cluster.on('message', (_, message: { port: number }) => {
    port = message.port
    ready += 1
    if (ready === Number(workers))
      process.send?.({ port, workers: Object.keys(cluster.workers ?? {}).length })
  })
  for (let i = 0; i < Number(workers); i++) cluster.fork()
  process.on('disconnect', () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.kill('SIGKILL')
    process.exit()
  })
} else {
  const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['HS256'], secret })
  const manager = new TokenManager({ store: new RedisStore(new RedisConnection({ url })), verifier })
  await manager.ready()
  const gate = new Gate({ manager })
  const server = createServer(
    protect(gate, async (request, response, auth) => {
      if (request.url === '/logout') await manager.revokeToken(auth, { ack: 'everywhere' })
      response.setHeader('connection', 'close').end(String(process.pid))
    }) as (request: unknown, response: unknown) => void,
  )
  server.listen({ port: 0, host: '127.0.0.1' }, () => process.send?.(server.address()))
}
