/**
 * The systems of the benchmark `verify`: a request comes with a token, may it pass? All verify the ES256
 * signature, issuer, audience and times, with a public key that was read once, and all but `jose` then ask
 * Redis.
 *
 * What is timed begins at the parsed head of a request and ends at the verdict. No HTTP, no routing: with
 * them, each would mostly measure its framework. So the middleware of express-jwt is called as Express calls
 * it, and `request.jwtVerify()` is called on requests of a real Fastify instance's own class; `inject()` would
 * add a request and a response that the others do not make.
 *
 * Each loads by itself what it measures, so that no process holds, or waits for, the libraries of the others.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import type { FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import { sharedNumber, type Shared, sharedText, type System, type Systems } from '../system.js'
import { AUDIENCE, flat, freshClaims, ISSUER, secondsNow, signedToken } from '../tokens.js'

const ALGORITHM = 'ES256'

type Open = (shared: Shared, inFlight: number) => Promise<System>

export const systems: Systems = {
  ...inBothLevels('rescind', rescind),
  ...inBothLevels('express-jwt+ioredis', expressJwt),
  ...inBothLevels('@fastify/jwt+ioredis', fastifyJwtPlugin),
  ...inBothLevels('jose', jose),
}

function inBothLevels(name: string, open: Open): Systems {
  return { [name]: (shared) => open(shared, 50), [`${name}-1`]: (shared) => open(shared, 1) }
}

async function rescind(shared: Shared, inFlight: number): Promise<System> {
  const { Gate, JwtVerifier, RedisConnection, RedisStore, TokenManager } = await import('rescind')
  const url = sharedText(shared, 'redisUrl')
  const connection = new RedisConnection({ url, checkTimeoutMs: 10_000, connectTimeoutMs: 10_000 })
  const manager = new TokenManager({
    store: new RedisStore(connection),
    verifier: new JwtVerifier({
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: [ALGORITHM],
      publicKey: publicKeyPem(shared),
    }),
  })
  const gate = new Gate({ manager })
  const headers = authorizations(shared)
  let requests: string[] = []
  const check = async (authorization: string) => {
    const verdict = await gate.check({ authorization: [authorization] })
    if (!verdict.allowed) throw new Error(`the gate denied: ${verdict.denial.code}`, { cause: verdict.cause })
  }
  // Connects, and learns which shapes are in use.
  await check(headers(1)[0] as string)
  return {
    inFlight,
    prepare: (count) => (requests = headers(count)),
    run: (index) => check(requests[index] as string),
    close: () => manager.close(),
  }
}

async function expressJwt(shared: Shared, inFlight: number): Promise<System> {
  const { expressjwt } = await import('express-jwt')
  const redis = await connected(shared)
  const middleware = expressjwt({
    secret: createPublicKey(publicKeyPem(shared)),
    algorithms: [ALGORITHM],
    issuer: ISSUER,
    audience: AUDIENCE,
    isRevoked: async (request) => (await redis.exists(rawToken(request.headers))) === 1,
  })
  const headers = authorizations(shared)
  let requests: Request[] = []
  const response = {} as Response
  return {
    inFlight,
    prepare: (count) => {
      requests = headers(count).map((value) => requestHead(value) as unknown as Request)
    },
    run: (index) =>
      new Promise<void>((resolve, reject) => {
        const next = ((error?: Error) => (error === undefined ? resolve() : reject(error))) as NextFunction
        void middleware(requests[index] as Request, response, next)
      }),
    close: () => redis.quit(),
  }
}

type RequestClass = new (
  id: string,
  parameters: object,
  raw: object,
  query: object,
  log: unknown,
  context: undefined,
) => FastifyRequest

async function fastifyJwtPlugin(shared: Shared, inFlight: number): Promise<System> {
  const { fastify } = await import('fastify')
  const { fastifyJwt } = await import('@fastify/jwt')
  const redis = await connected(shared)
  const app = fastify()
  await app.register(fastifyJwt, {
    secret: { public: publicKeyPem(shared) },
    verify: { algorithms: [ALGORITHM], allowedIss: ISSUER, allowedAud: AUDIENCE },
    trusted: async (request) => (await redis.exists(rawToken(request.headers))) === 0,
  })
  let sample: FastifyRequest | undefined
  app.get('/', async (request) => {
    sample = request
    return ''
  })
  await app.inject('/')
  if (sample === undefined) throw new Error('Fastify made no request')
  const RequestOfApp = sample.constructor as RequestClass
  const { log } = sample
  const headers = authorizations(shared)
  let requests: FastifyRequest[] = []
  return {
    inFlight,
    prepare: (count) => {
      requests = headers(count).map(
        (value, i) => new RequestOfApp(`req-${i}`, {}, requestHead(value), {}, log, undefined),
      )
    },
    run: async (index) => {
      await (requests[index] as FastifyRequest).jwtVerify()
    },
    close: async () => {
      await app.close()
      await redis.quit()
    },
  }
}

/** The limit: the signature and the claims, and no store at all. */
async function jose(shared: Shared, inFlight: number): Promise<System> {
  const { jwtVerify } = await import('jose')
  const key = createPublicKey(publicKeyPem(shared))
  const options = { algorithms: [ALGORITHM], issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt' }
  const headers = authorizations(shared)
  let requests: string[] = []
  return {
    inFlight,
    prepare: (count) => (requests = headers(count)),
    run: async (index) => {
      await jwtVerify((requests[index] as string).slice('Bearer '.length), key, options)
    },
    close: async () => undefined,
  }
}

async function connected(shared: Shared): Promise<Redis> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(sharedText(shared, 'redisUrl'), { enableAutoPipelining: true, lazyConnect: true })
  await redis.connect()
  return redis
}

/**
 * Makes `Authorization` fields, with each token of the pool in turn. The text is new each time, as it is when
 * it arrives from a socket.
 */
function authorizations(shared: Shared): (count: number) => string[] {
  const key: KeyObject = createPrivateKey(sharedText(shared, 'privateKeyPem'))
  const now = secondsNow()
  const pool = Array.from({ length: sharedNumber(shared, 'tokens') }, () =>
    signedToken(freshClaims(now), key),
  )
  let next = 0
  return (count) => Array.from({ length: count }, () => flat(`Bearer ${pool[next++ % pool.length]}`))
}

/** The head of a request as Node parses it: what a browser sends to an API. */
function requestHead(authorization: string): { method: string; url: string; headers: IncomingHttpHeaders } {
  return {
    method: 'GET',
    url: '/orders/42',
    headers: {
      host: 'api.example.com',
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      accept: 'application/json',
      'accept-encoding': 'gzip, deflate, br',
      origin: 'https://shop.example.com',
      authorization,
    },
  }
}

function rawToken(headers: IncomingHttpHeaders): string {
  return (headers.authorization as string).slice('Bearer '.length)
}

function publicKeyPem(shared: Shared): string {
  const key = createPublicKey(sharedText(shared, 'privateKeyPem'))
  return key.export({ type: 'spki', format: 'pem' }) as string
}
