/**
 * A running service for tests, on a port of its own, with an issuer whose tokens it accepts and clients of every role.
 *
 * @example
 * await using world = await startWorld()
 * const token = await world.issuer.sign({ sub: 'alice' })
 * const answer = await world.ask('/api/v1/nodes', { key: world.keys.admin })
 */
import { Writable } from 'node:stream'
import type { Environment, Store } from 'rescind'
import { MemoryStore } from 'rescind'
import { AUDIENCE, type Issuer, ISSUER, makeIssuer } from '../../../rescind/test/support/issuer.js'
import { containsToken } from '../../../rescind/test/support/canary.js'
import { hashSecret, makeKey } from '../../src/clients/secret.js'
import { type Config, configSchema, type Role } from '../../src/config/schema.js'
import { makeLog } from '../../src/log.js'
import { Service } from '../../src/service.js'

export { AUDIENCE, ISSUER } from '../../../rescind/test/support/issuer.js'

/** One client for each role, of the same name; `owner` may revoke its own, `any` revokes all, and so on. */
const CLIENTS: Readonly<Record<string, readonly Role[]>> = {
  app: ['revoke:own'],
  other: ['revoke:own'],
  revoker: ['revoke:any'],
  api: ['introspect'],
  viewer: ['read'],
  admin: ['admin'],
}

export interface WorldOptions {
  /** Settings over those of the tests. */
  readonly config?: Record<string, unknown>
  readonly env?: Environment
  /** Default: a new one in memory; `null`: what `env` asks for. */
  readonly store?: Store | null
  readonly issuer?: Issuer
  readonly now?: () => number
}

export interface Ask {
  /** An API key or client secret, sent as a bearer token. */
  readonly key?: string | undefined
  readonly method?: string
  readonly headers?: Record<string, string>
  /** Sent as a form. */
  readonly form?: Record<string, string>
  /** Sent as JSON. */
  readonly json?: unknown
  readonly body?: string
  readonly signal?: AbortSignal
}

export class World implements AsyncDisposable {
  constructor(
    readonly service: Service,
    readonly issuer: Issuer,
    /** The secrets of the clients, by id. */
    readonly keys: Readonly<Record<string, string>>,
    private readonly logged: string[],
  ) {}

  get url(): string {
    return this.service.url
  }

  /** What it has written to its log so far. */
  get log(): string {
    return this.logged.join('')
  }

  ask(path: string, { key, headers = {}, form, json, body, ...rest }: Ask = {}): Promise<Response> {
    const sent =
      form === undefined ? (json === undefined ? body : JSON.stringify(json)) : new URLSearchParams(form)
    return fetch(this.url + path, {
      method: sent === undefined ? 'GET' : 'POST',
      redirect: 'manual',
      ...rest,
      ...(sent === undefined ? {} : { body: sent }),
      headers: {
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...headers,
      },
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.stop()
    if (containsToken(this.log)) throw new Error('the log of the service holds a part of a token')
  }
}

/** The client ids of the tests and their keys, made once: hashing takes its time. */
const made = Promise.all(
  Object.entries(CLIENTS).map(async ([id, roles]) => {
    const key = makeKey()
    return { key, config: { id, roles, keys: [{ hash: await hashSecret(key) }], audiences: '*' } }
  }),
)

/** The configuration of the tests, whole. */
export async function testConfig(issuer: Issuer, over: Record<string, unknown> = {}): Promise<Config> {
  return configSchema.parse({
    listen: { port: 0 },
    issuers: [
      { issuer: ISSUER, audience: AUDIENCE, algorithms: [issuer.algorithm], jwks: { keys: [issuer.jwk] } },
    ],
    clients: (await made).map(({ config }) => config),
    log: { level: 'debug' },
    ...over,
  })
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const issuer = options.issuer ?? (await makeIssuer())
  const logged: string[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(chunk.toString())
      done()
    },
  })
  const config = await testConfig(issuer, options.config)
  const { store = new MemoryStore(), env, now } = options
  const service = await Service.start({
    config,
    log: makeLog(config.log.level, sink),
    env,
    now,
    store: store ?? undefined,
  })
  const keys = Object.fromEntries((await made).map(({ key, config: { id } }) => [id, key]))
  return new World(service, issuer, keys, logged)
}
