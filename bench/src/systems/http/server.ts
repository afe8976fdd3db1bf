/**
 * The process of a server: one route that answers with a few bytes of JSON, open to everybody, behind our gate,
 * or behind what one would write by hand. Express and Fastify are used as their documentation says.
 */
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:http'
import type { RequestHandler } from 'express'
import type { IsRevoked } from 'express-jwt'
import type { Redis } from 'ioredis'
import type { Gate } from 'rescind'
import { AUDIENCE, ISSUER, verifyingKey } from '../../tokens.js'
import { createPublicKey } from 'node:crypto'

export const PATH = '/orders/42'

const ORDER = { id: 42, state: 'sent', items: [{ sku: 'A-1', count: 2 }] }
const HOST = '127.0.0.1'
const ALGORITHM = 'ES256'

export interface ServerRequest {
  readonly framework: 'express' | 'fastify'
  readonly protection: 'open' | 'rescind' | 'naive'
  readonly redisUrl: string
  readonly signingKey: string
}

let close: () => Promise<unknown> = async () => undefined

/** Answers with the port. */
export async function open(request: ServerRequest): Promise<number> {
  const server = await (request.framework === 'express' ? openExpress(request) : openFastify(request))
  return (server.address() as AddressInfo).port
}

/** User and system time of this process, in microseconds. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

export async function stop(): Promise<void> {
  await close()
}

async function openExpress(request: ServerRequest): Promise<Server> {
  const { default: express } = await import('express')
  const app = express()
  switch (request.protection) {
    case 'open':
      break
    case 'rescind': {
      const { requireToken } = await import('rescind/express')
      // Beside the built package its sources are compiled here too, and each declares `req.auth` with its own class.
      app.use(requireToken(await openGate(request)) as RequestHandler)
      break
    }
    case 'naive': {
      const { expressjwt } = await import('express-jwt')
      const redis = await connected(request)
      const secret = createPublicKey(verifyingKey(ALGORITHM, request.signingKey))
      const options = { secret, algorithms: [ALGORITHM as 'ES256'], issuer: ISSUER, audience: AUDIENCE }
      const isRevoked: IsRevoked = async ({ headers }) =>
        (await redis.exists(rawToken(headers.authorization))) === 1
      app.use(expressjwt({ ...options, isRevoked }))
    }
  }
  app.get(PATH, (_, res) => void res.json(ORDER))
  return new Promise((resolve) => {
    const server = app.listen(0, HOST, () => resolve(server))
  })
}

async function openFastify(request: ServerRequest): Promise<Server> {
  const { fastify } = await import('fastify')
  const app = fastify()
  switch (request.protection) {
    case 'open':
      break
    case 'rescind': {
      const { rescindPlugin } = await import('rescind/fastify')
      await app.register(rescindPlugin, { gate: await openGate(request) })
      break
    }
    case 'naive': {
      const { fastifyJwt } = await import('@fastify/jwt')
      const redis = await connected(request)
      await app.register(fastifyJwt, {
        secret: { public: verifyingKey(ALGORITHM, request.signingKey) },
        verify: { algorithms: [ALGORITHM], allowedIss: ISSUER, allowedAud: AUDIENCE },
        trusted: async ({ headers }) => (await redis.exists(rawToken(headers.authorization))) === 0,
      })
      app.addHook('onRequest', async (incoming) => {
        await incoming.jwtVerify()
      })
    }
  }
  app.get(PATH, async () => ORDER)
  await app.listen({ port: 0, host: HOST })
  return app.server
}

async function openGate({ redisUrl, signingKey }: ServerRequest): Promise<Gate> {
  const { Gate, JwtVerifier, RedisConnection, RedisStore, TokenManager } = await import('rescind')
  const manager = new TokenManager({
    store: new RedisStore(new RedisConnection({ url: redisUrl })),
    verifier: new JwtVerifier({
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: [ALGORITHM],
      publicKey: verifyingKey(ALGORITHM, signingKey),
    }),
  })
  close = () => manager.close()
  await manager.ready()
  return new Gate({ manager })
}

async function connected({ redisUrl }: ServerRequest): Promise<Redis> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(redisUrl, { enableAutoPipelining: true, lazyConnect: true })
  close = () => redis.quit()
  await redis.connect()
  return redis
}

function rawToken(authorization: string | undefined): string {
  return (authorization as string).slice('Bearer '.length)
}
