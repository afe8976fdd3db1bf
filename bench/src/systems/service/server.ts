/**
 * The process of a server: the service on Redis; the HTTP server that it stands on, answering 200 and nothing else; or
 * `oidc-provider`, which introspects opaque tokens that it keeps on Redis, as its documentation says.
 */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { makeKey } from '../../../../packages/server/src/clients/secret.js'
import { AUDIENCE, ISSUER, KEY_ID } from '../../tokens.js'
import { redisAdapter } from './oidc-adapter.js'

const HOST = '127.0.0.1'
const ALGORITHM = 'ES256'
/** Nobody is held back: what is measured is the work, and not the limit of a client. */
const RATE_PER_MINUTE_MAX = 10_000_000
const LIFETIME_SECONDS = 7200

export interface ServerRequest {
  readonly kind: 'bare' | 'service' | 'oidc-provider'
  readonly redisUrl: string
  /** A JWK, public. */
  readonly key: Readonly<Record<string, unknown>>
}

export interface Opened {
  readonly url: string
  /** Whoever asks must send this. */
  readonly authorization: string
  /** Tokens that the server itself has issued, where it does so. */
  readonly tokens: readonly string[]
}

export async function open(request: ServerRequest): Promise<Opened> {
  switch (request.kind) {
    case 'bare':
      return openBare()
    case 'service':
      return openService(request)
    case 'oidc-provider':
      return openProvider(request)
  }
}

/** User and system time of this process, in microseconds. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function openBare(): Promise<Opened> {
  const { serve } = await import('@hono/node-server')
  const url = await new Promise<string>((resolve) => {
    serve({ fetch: () => new Response('ok'), hostname: HOST, port: 0 }, ({ port }) =>
      resolve(`http://${HOST}:${port}`),
    )
  })
  return { url, authorization: '', tokens: [] }
}

async function openService({ redisUrl, key }: ServerRequest): Promise<Opened> {
  const { configSchema, Service } = await import('@rescind/server')
  const adminKey = makeKey()
  const config = configSchema.parse({
    listen: { port: 0 },
    issuers: [
      {
        issuer: ISSUER,
        audience: AUDIENCE,
        algorithms: [ALGORITHM],
        jwks: { keys: [{ ...key, kid: KEY_ID, alg: ALGORITHM }] },
      },
    ],
    limits: { ratePerMinute: RATE_PER_MINUTE_MAX },
    log: { level: 'error' },
  })
  const env = { REDIS_URL: redisUrl, RESCIND_ADMIN_KEY: adminKey }
  const { url } = await Service.start({ config, env })
  return { url, authorization: `Bearer ${adminKey}`, tokens: [] }
}

async function openProvider({ redisUrl }: ServerRequest): Promise<Opened> {
  // It warns of what does not matter here: the version of Node, and keys that sign nothing.
  for (const level of ['info', 'warn'] as const) console[level] = () => undefined
  const { Redis } = await import('ioredis')
  const { Provider } = await import('oidc-provider')
  const [id, secret] = ['api', makeKey()]
  const provider = new Provider('http://127.0.0.1', {
    adapter: redisAdapter(new Redis(redisUrl)),
    clients: [
      {
        client_id: id,
        client_secret: secret,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      devInteractions: { enabled: false },
    },
    ttl: { ClientCredentials: LIFETIME_SECONDS },
  })
  const server = await new Promise<Server>((resolve) => {
    const listening = provider.listen(0, HOST, () => resolve(listening))
  })
  const url = `http://${HOST}:${(server.address() as AddressInfo).port}`
  const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
  const tokens = await Promise.all(Array.from({ length: 300 }, () => issue(url, authorization)))
  return { url, authorization, tokens }
}

async function issue(url: string, authorization: string): Promise<string> {
  const body = new URLSearchParams({ grant_type: 'client_credentials' })
  const answer = await fetch(`${url}/token`, { method: 'POST', headers: { authorization }, body })
  return ((await answer.json()) as { access_token: string }).access_token
}
