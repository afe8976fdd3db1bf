/**
 * `request.jwtVerify()` of @fastify/jwt on requests of a Fastify instance's own class, with a list in Redis.
 * Not `inject()`, which makes a request and a response that the others do not make. For tokens that come again
 * it has its cache of verified tokens.
 */
import type { FastifyRequest } from 'fastify'
import type { Shared, System } from '../../system.js'
import { AUDIENCE, ISSUER } from '../../tokens.js'
import {
  CACHE_ENTRIES_MAX,
  connected,
  type GateSetting,
  rawToken,
  requestHead,
  requestsOf,
  verifyingKeyOf,
} from './shared.js'

type RequestClass = new (
  id: string,
  parameters: object,
  raw: object,
  query: object,
  log: unknown,
  context: undefined,
) => FastifyRequest

export async function fastifyJwt(shared: Shared, setting: GateSetting): Promise<System> {
  const { fastify } = await import('fastify')
  const plugin = (await import('@fastify/jwt')).fastifyJwt
  const { algorithm, inFlight, tokens } = setting
  const redis = await connected(shared)
  const key = verifyingKeyOf(shared, setting)
  const app = fastify()
  await app.register(plugin, {
    secret: algorithm === 'HS256' ? key : { public: key },
    verify: {
      algorithms: [algorithm],
      allowedIss: ISSUER,
      allowedAud: AUDIENCE,
      ...(tokens === 'cached' ? { cache: CACHE_ENTRIES_MAX } : {}),
    },
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
  const requests = requestsOf(shared, setting)
  let list: FastifyRequest[] = []
  return {
    inFlight,
    batchMax: requests.batchMax,
    prepare: (count) => {
      list = requests
        .next(count)
        .map((value, i) => new RequestOfApp(`req-${i}`, {}, requestHead(value), {}, log, undefined))
    },
    run: async (index) => {
      await (list[index] as FastifyRequest).jwtVerify()
    },
    close: async () => {
      await app.close()
      await redis.quit()
    },
  }
}
