/**
 * The service: opens the store, puts its parts together, listens, and closes what it has opened. It owns no decision:
 * endpoints do, with those parts.
 */
import { type Environment, Gate, openStore, type Store, TokenManager } from 'rescind'
import { type App, makeApp } from './app.js'
import { Authenticator } from './clients/authenticate.js'
import { Clients } from './clients/clients.js'
import { adminFromEnv, makeFirstAdmin } from './clients/first-admin.js'
import { clockToleranceOf, librarySettings } from './config/library-settings.js'
import { invalid } from './config/load.js'
import type { ClientConfig, Config } from './config/schema.js'
import { Doctor } from './doctor.js'
import { HttpServer, tlsFilesOf } from './http-server.js'
import { Issuers } from './issuers.js'
import { type Logger, makeLog } from './log.js'
import { Metrics } from './observe/metrics.js'
import type { Parts } from './parts.js'
import { openRecords } from './records/open.js'
import { Signer } from './signer.js'

export interface ServiceOptions {
  readonly config: Config
  /** Where Redis is, and what the library reads: `REDIS_…`, `RESCIND_…`. Default: nothing, the embedded store. */
  readonly env?: Environment | undefined
  /** Default: JSON lines to the standard output, as the configuration says. */
  readonly log?: Logger | undefined
  /**
   * Default: what the environment asks for. It is closed with the service. With one on Redis `env` must name the same
   * Redis, for clients, the audit trail and nodes that follow through this service.
   */
  readonly store?: Store | undefined
  /** The clock, in milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

const READY_TIMEOUT_MS = 10_000
/** To listen on: no address that others could ask for. */
const ANY_ADDRESS = ['0.0.0.0', '::']

export class Service {
  #stopped: Promise<void> | undefined

  private constructor(
    readonly parts: Parts,
    /** Where it listens. */
    readonly url: string,
    /** The admin that was made at this start, where none was known: where its key is, or the key itself. */
    readonly firstAdmin: { readonly path?: string; readonly key: string } | undefined,
    private readonly server: HttpServer,
    private readonly stopping: AbortController,
    private readonly close: () => Promise<void>,
  ) {}

  /**
   * Resolves when it listens and the store has answered. Throws `ERR_CONFIG_INVALID` with every problem, and what the
   * store says, after closing what it had opened.
   */
  static async start(options: ServiceOptions): Promise<Service> {
    const { config, env = {}, now = Date.now } = options
    const log = options.log ?? makeLog(config.log.level)
    const opened = await open(options)
    const { store, feed, records, doctor, issuers, manager } = opened
    const stopping = new AbortController()
    let server: HttpServer | undefined
    try {
      const keepsFiles = store.kind !== 'memory'
      const tls = tlsFilesOf(config)
      const clients = new Clients({
        clients: await clientsOf(config, env),
        records,
        clockToleranceSeconds: clockToleranceOf(config),
      })
      const signer = await Signer.open(config, keepsFiles)
      const gate = new Gate({
        manager,
        realm: 'rescind',
        onUncertain: (cause, decision) => log.warn({ code: cause.code, decision }, 'check could not be made'),
      })
      const metrics = new Metrics()
      metrics.observe({ gate, manager, store })
      const firstAdmin = await makeFirstAdmin(clients, config, keepsFiles, Math.floor(now() / 1000))
      await manager.ready({ timeoutMs: READY_TIMEOUT_MS })

      let app: App = { forward: () => false, fetch: () => new Response(null, { status: 503 }) }
      server = await HttpServer.listen(config, tls, () => app, log)
      const { url } = server
      const publicUrl = (config.publicUrl ?? url).replace(/\/+$/, '')
      const authenticator = new Authenticator({
        clients,
        records,
        audiences: [publicUrl, `${publicUrl}/`, `${publicUrl}/revoke`, `${publicUrl}/introspect`],
        failuresPerMinute: config.limits.failuresPerMinute,
        ratePerMinute: config.limits.ratePerMinute,
        now,
      })
      const parts: Parts = {
        ...{ config, publicUrl, log, store, feed, manager, gate, issuers },
        ...{ records, clients, authenticator, signer, metrics, doctor, now },
        stopping: stopping.signal,
      }
      app = makeApp(parts)
      log.info({ url, store: store.kind, issuers: issuers.names.length }, 'listening')
      for (const warning of warningsOf(config)) log.warn(warning)
      return new Service(parts, url, firstAdmin, server, stopping, opened.close)
    } catch (error) {
      stopping.abort()
      await server?.close(0)
      await opened.close()
      throw error
    }
  }

  /** Takes nothing new, finishes what it has begun within `limits.stopTimeoutMs`, and closes the store. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const { config, log } = this.parts
    this.stopping.abort()
    await this.server.close(config.limits.stopTimeoutMs)
    await this.close()
    log.info('stopped')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** All that has to be closed again. Throws after closing what it has opened. */
async function open({ config, env = {}, now = Date.now, store: given }: ServiceOptions) {
  if (given === undefined) assertOwnStore(env)
  const settings = librarySettings(config, env)
  const issuers = new Issuers({ issuers: config.issuers, clockToleranceSeconds: clockToleranceOf(config) })
  const opened: { close(): Promise<void> }[] = []
  const kept = <T extends { close(): Promise<void> }>(part: T): T => {
    opened.push(part)
    return part
  }
  try {
    const store = kept(given ?? openStore(settings))
    const feed = store.kind === 'redis' ? kept(openFeed(settings)) : store
    const records = kept(openRecords(settings, store, config, now))
    const doctor = Doctor.for(store, settings)
    const manager = TokenManager.fromEnv(settings, { store, verifier: issuers, now })
    const close = async () => {
      await Promise.allSettled([
        records.close(),
        doctor?.close(),
        manager.close().finally(() => feed.close()),
      ])
    }
    return { issuers, store, feed, records, doctor, manager, close }
  } catch (error) {
    await Promise.allSettled(opened.map((part) => part.close()))
    throw error
  }
}

/** On Redis a store with sockets of its own: a crowd that reads the whole log keeps nobody here from following it. */
function openFeed({ RESCIND_DATA_DIR: _, ...settings }: Environment): Store {
  const feed = openStore(settings)
  if (feed.kind === 'redis') return feed
  void feed.close()
  throw invalid(['a Redis store is given, but not where it is: `env` needs REDIS_URL or the like, too'])
}

/** Those of the configuration, and in their front the admin of the environment. */
async function clientsOf({ clients }: Config, env: Environment): Promise<readonly ClientConfig[]> {
  const admin = await adminFromEnv(env)
  return admin === undefined ? clients : [admin, ...clients.filter(({ id }) => id !== admin.id)]
}

/** What starts, but hardly as it was meant. */
function warningsOf({ issuers, publicUrl, listen: { host } }: Config): string[] {
  const warnings = []
  if (issuers.length === 0)
    warnings.push(
      'no issuer is configured, so no token is genuine here: /verify refuses all, and /revoke answers 200 and revokes nothing',
    )
  if (publicUrl === undefined && ANY_ADDRESS.includes(host))
    warnings.push(
      'publicUrl is not set (RESCIND_PUBLIC_URL), so the metadata names an address that clients cannot reach',
    )
  return warnings
}

/** `RESCIND_URL` is for nodes and the command: a service that followed another would be one without records. */
function assertOwnStore(env: Environment): void {
  if (env.RESCIND_STORE !== 'remote' && !env.RESCIND_URL && !env.RESCIND_URL_FILE) return
  throw invalid([
    'RESCIND_URL (or RESCIND_STORE=remote) names the store of another service: set REDIS_URL or RESCIND_DATA_DIR for this one',
  ])
}
