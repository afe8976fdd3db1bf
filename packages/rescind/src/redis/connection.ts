/**
 * The connection to Redis: a single server, a Sentinel set or a Cluster, configured from environment
 * variables or options. A socket each for checks, writes, writes that wait for replicas, the log and the doorbell, so that none waits
 * behind another; each opens when it is first needed and reconnects by itself.
 *
 * Nothing is queued while Redis is away and nothing is sent twice: a check that waited out an outage would be
 * answered "not revoked" by the empty server that came back.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Environment } from '../config.js'
import { RescindError } from '../errors.js'
import { EventStream } from '../event-stream.js'
import { EvictionGuard } from './eviction.js'
import { storeFailure } from './failure.js'
import { CHANGE_KEYS, CHANGE_SCRIPT, RESEED_SCRIPT, SHAPE_SCRIPT } from './script.js'
import {
  type RedisAddress,
  type RedisConnectionOptions,
  type RedisPlan,
  redisPlanFromEnv,
  redisPlanFromOptions,
} from './settings.js'

/** What a socket is for. */
export type RedisRole = 'checks' | 'writes' | 'waits' | 'log' | 'bell'

/** Something that happened to a connection. `failure` has no address, user or password in it. */
export interface RedisEvent {
  readonly type: 'ready' | 'lost' | 'failed'
  readonly role: RedisRole
  readonly failure?: RescindError
}

/** The client of a role, with the scripts. */
export type RedisClient = (Redis | Cluster) & {
  rescindChangeBuffer(...keysAndArguments: (string | number | Buffer)[]): Promise<ChangeReply>
  rescindShape(...keysAndArguments: (string | number)[]): Promise<number>
  /** How many keys there are stands first. */
  rescindReseed(...keysAndArguments: (string | number | Buffer)[]): Promise<number>
}

/** Whether something changed, the record as it stands, and where the log ends: epoch, segment, size, chain. */
export type ChangeReply = [number, Buffer | null, Buffer, Buffer, Buffer, Buffer]

/** The longest wait before the next attempt to connect, so that recovery takes under two seconds. */
const RETRY_DELAY_MAX_MS = 500
/** A socket with a command in flight and no byte for so long is dropped: the server is frozen or cut off. */
const SILENCE_MAX_MS = 1000
const CLOSE_TIMEOUT_MS = 500

/** The server is another one than it was, or will be; among Sentinels there may be a primary that has its replicas. */
const NOT_NOW = /^(READONLY|LOADING|MASTERDOWN)/
const NOT_THE_PRIMARY = /^(READONLY|LOADING|MASTERDOWN|NOREPLICAS)/

/** One socket (or one per node, in a cluster) and what is known of it. */
interface Link {
  readonly client: RedisClient
  /** Resolves when it is ready for the first time. */
  readonly firstReady: Promise<void>
  /** It was ready or failed once: from then on nobody waits for it, it answers or fails at once. */
  isSettled: boolean
  failure?: RescindError | undefined
  readonly guard: EvictionGuard
}

/** One server, asked by itself. `where` is what the socket tells, once something was answered. */
export interface ServerLink {
  call(command: string, ...args: string[]): Promise<unknown>
  where(): { readonly address: string; readonly isLocal: boolean; readonly isEncrypted: boolean }
}

export class RedisConnection {
  /** `single`, `sentinel` or `cluster`. */
  readonly kind: RedisPlan['kind']
  readonly checkTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly hasPassword: boolean
  readonly #plan: RedisPlan
  readonly #links = new Map<RedisRole, Link>()
  readonly #events = new EventStream<RedisEvent>()
  #closed = false
  #refusesEviction = false

  /**
   * Checks the options and throws one `ERR_CONFIG_INVALID` for everything that is wrong with them. Connects
   * when it is first used.
   */
  constructor(options: RedisConnectionOptions = {}, plan: RedisPlan = redisPlanFromOptions(options)) {
    this.#plan = plan
    this.kind = this.#plan.kind
    this.checkTimeoutMs = this.#plan.checkTimeoutMs
    this.writeTimeoutMs = this.#plan.writeTimeoutMs
    this.hasPassword = this.#plan.password !== undefined
  }

  /**
   * From environment variables, each also as `NAME_FILE`: `REDIS_URL`, or `REDIS_HOST`, `REDIS_PORT`,
   * `REDIS_SOCKET`, `REDIS_USERNAME`, `REDIS_PASSWORD`, `REDIS_DB`; `REDIS_TLS`, `REDIS_TLS_CA`, `_CERT`,
   * `_KEY`, `_SERVERNAME`; `REDIS_SENTINELS`, `REDIS_SENTINEL_NAME`, `_USERNAME`, `_PASSWORD`;
   * `REDIS_CLUSTER_NODES`. Throws one `ERR_CONFIG_INVALID` that names each variable and never its value.
   */
  static fromEnv(env: Environment): RedisConnection {
    return new RedisConnection({}, redisPlanFromEnv(env))
  }

  /** Asks the server for an answer. Throws why there is none, within the write deadline. */
  async ping(): Promise<void> {
    await this.run('checks', this.writeTimeoutMs, async (client) => {
      if (client instanceof Cluster) await client.cluster('INFO')
      else await client.ping()
    })
  }

  /** Events of all sockets from now on. Ends with the signal, or with `close`. */
  events(options: { signal?: AbortSignal } = {}): AsyncIterableIterator<RedisEvent> {
    return this.#events.subscribe(options)
  }

  /** Ends all sockets, within half a second. Idempotent; later calls throw `ERR_CLOSED`. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#links.values()].map(({ client }) => closeClient(client)))
    this.#links.clear()
    this.#events.end()
  }

  /**
   * Runs commands on the socket of a role and settles within `timeoutMs`: with the result, or with a
   * `RescindError`. Only the very first use waits for the connection; later, a lost one fails at once.
   */
  async run<T>(
    role: RedisRole,
    timeoutMs: number,
    commands: (client: RedisClient) => Promise<T>,
  ): Promise<T> {
    const link = this.#link(role)
    const { client, guard } = link
    if (guard.isPassed && client.status === 'ready') return withDeadline(timeoutMs, commands(client))
    const admitted = whenReady(link).then(() => guard.pass(() => primariesOf(client)))
    return withDeadline(
      timeoutMs,
      admitted.then(() => commands(client)),
    )
  }

  /** From now on nothing runs on a Redis that may drop revocations in silence: `ERR_STORE_EVICTS`. */
  refuseEviction(): void {
    this.#refusesEviction = true
    for (const { guard } of this.#links.values()) guard.reset()
  }

  /** Runs commands on the socket of the log, whatever the server evicts: for `inspect`. */
  async look<T>(timeoutMs: number, commands: (client: RedisClient) => Promise<T>): Promise<T> {
    const link = this.#link('log')
    return withDeadline(
      timeoutMs,
      whenReady(link).then(() => commands(link.client)),
    )
  }

  /** The server, or every primary of a cluster, each asked by itself. */
  async primaries(): Promise<readonly ServerLink[]> {
    return this.look(this.writeTimeoutMs, async (client) => primariesOf(client).map(linkTo))
  }

  /** Asks the server, or every primary of a cluster, on the sockets of this client. */
  askPrimaries<T>(client: RedisClient, ask: (server: Redis) => Promise<T>): Promise<readonly T[]> {
    return Promise.all(primariesOf(client).map(ask))
  }

  /** Asks another server of the set (a replica) on a socket of its own, which ends afterwards. */
  async runAt<T>({ host, port }: RedisAddress, commands: (server: ServerLink) => Promise<T>): Promise<T> {
    const own = { host, port, lazyConnect: true, enableReadyCheck: false, retryStrategy: null }
    const client = new Redis({ ...clientOptions(this.#plan, 'log'), ...own })
    client.on('error', () => undefined)
    try {
      return await withDeadline(
        this.writeTimeoutMs,
        client.connect().then(() => commands(linkTo(client))),
      )
    } finally {
      client.disconnect()
    }
  }

  /**
   * Listens on a channel, on a socket of its own, as long as the connection lives. Messages may be lost: they
   * are hints. A refusal (the user may lack the right to listen) is an event and nothing more.
   */
  listen(channel: string, listener: (message: string) => void): void {
    const { client } = this.#link('bell')
    client.on('message', (from: string, message: string) => {
      if (from === channel) listener(message)
    })
    client.on('ready', () => {
      client.subscribe(channel).catch((error: unknown) => {
        this.#events.publish({ type: 'failed', role: 'bell', failure: storeFailure(error) })
      })
    })
  }

  /** Drops the sockets of a role, so that they find the primary anew. */
  reconnect(role: RedisRole): void {
    const link = this.#links.get(role)
    if (link?.client.status === 'ready') link.client.disconnect(true)
  }

  #link(role: RedisRole): Link {
    if (this.#closed) throw new RescindError('ERR_CLOSED', 'the Redis connection was closed')
    const known = this.#links.get(role)
    if (known !== undefined) return known
    const client = makeClient(this.#plan, role)
    let settle: () => void
    const firstReady = new Promise<void>((resolve) => (settle = resolve))
    const guard = new EvictionGuard(() => this.#refusesEviction)
    const link: Link = { client, firstReady, isSettled: false, guard }
    this.#links.set(role, link)
    let wasLost = false
    // Without a listener for `error`, the first failure would end the process.
    client.on('error', (error: unknown) => {
      const failure = storeFailure(error)
      link.failure = failure
      this.#events.publish({ type: 'failed', role, failure })
    })
    client.on('ready', () => {
      link.isSettled = true
      link.failure = undefined
      settle()
      this.#events.publish({ type: 'ready', role })
      // Nothing tells a silent doorbell from a dead one, so it follows the fate of the log.
      if (role === 'log' && wasLost) this.reconnect('bell')
    })
    // A server that joined a cluster, or came back to it.
    client.on('+node', () => guard.reset())
    client.on('close', () => {
      guard.reset()
      link.isSettled = true
      wasLost = true
      settle()
      this.#events.publish({ type: 'lost', role })
    })
    // The first attempt may fail; the client goes on trying by itself, and its events say so.
    client.connect().catch(() => undefined)
    return link
  }
}

/** Only the very first use waits; later, a lost connection fails at once. */
async function whenReady(link: Link): Promise<void> {
  if (!link.isSettled) await link.firstReady
  if (link.client.status !== 'ready') throw lost(link.failure)
}

function primariesOf(client: RedisClient): readonly Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client]
}

function linkTo(client: Redis): ServerLink {
  return {
    call: async (command, ...args) => client.call(command, ...args),
    where: () => {
      const { remoteAddress, remotePort } = client.stream
      const isEncrypted = client.options.tls !== undefined
      if (remoteAddress === undefined) return { address: 'unix socket', isLocal: true, isEncrypted }
      const host = remoteAddress.replace(/^::ffff:/, '')
      const isLocal = host.startsWith('127.') || host === '::1'
      return { address: `${host}:${remotePort}`, isLocal, isEncrypted }
    },
  }
}

function lost(failure: RescindError | undefined): RescindError {
  if (failure?.code === 'ERR_STORE_REFUSED') return failure
  return new RescindError('ERR_STORE_UNAVAILABLE', 'Redis cannot be reached; the connection is tried again', {
    cause: failure?.cause,
  })
}

function makeClient(plan: RedisPlan, role: RedisRole): RedisClient {
  const scripts = {
    rescindChange: { lua: CHANGE_SCRIPT, numberOfKeys: CHANGE_KEYS.length },
    rescindShape: { lua: SHAPE_SCRIPT, numberOfKeys: 2 },
    rescindReseed: { lua: RESEED_SCRIPT },
  }
  const options = clientOptions(plan, role)
  if (plan.kind === 'cluster') {
    const cluster = new Cluster(
      plan.nodes.map(({ host, port }) => ({ host, port })),
      {
        redisOptions: options,
        scripts,
        lazyConnect: true,
        enableOfflineQueue: false,
        // Of a pipeline of which a part was redirected ioredis sends all to the other server, ASKING: a key that has not
        // moved yet is then answered "nothing there". And it follows no move when the parts disagree.
        enableAutoPipelining: false,
        maxRedirections: 3,
        slotsRefreshTimeout: plan.connectTimeoutMs,
        clusterRetryStrategy: retryDelayMs,
        // A certificate names hosts, so the address that the cluster tells is used as it is.
        ...(plan.tls === undefined ? {} : { dnsLookup: (address, callback) => callback(null, address) }),
      },
    )
    return cluster as unknown as RedisClient
  }
  const own = {
    ...options,
    scripts,
    db: plan.db,
    lazyConnect: true,
    enableOfflineQueue: false,
    enableAutoPipelining: role === 'checks' || role === 'log',
    retryStrategy: retryDelayMs,
  } satisfies RedisOptions
  if (plan.kind === 'single') return new Redis({ ...own, ...plan.address }) as unknown as RedisClient
  return new Redis({
    ...own,
    sentinels: plan.sentinels.map(({ host, port }) => ({ host, port })),
    name: plan.name,
    // Nobody needs the news of a failover: a frozen primary is left for its silence, a demoted one for its role. And the
    // detector of ioredis drops the new connection once for each Sentinel that tells of it late, or, when told while it
    // asks for the primary, ends for good.
    failoverDetector: false,
    sentinelRetryStrategy: retryDelayMs,
    sentinelCommandTimeout: plan.connectTimeoutMs,
    ...(plan.sentinelUsername === undefined ? {} : { sentinelUsername: plan.sentinelUsername }),
    ...(plan.sentinelPassword === undefined ? {} : { sentinelPassword: plan.sentinelPassword }),
  }) as unknown as RedisClient
}

function clientOptions(plan: RedisPlan, role: RedisRole) {
  return {
    connectionName: `rescind-${role}`,
    // What a user with few rights may not say would stand in the server's log of refusals at each connect.
    disableClientInfo: true,
    connectTimeout: plan.connectTimeoutMs,
    commandTimeout: role === 'checks' ? plan.checkTimeoutMs : plan.writeTimeoutMs,
    // A write may wait for replicas in silence for as long as its own deadline allows.
    socketTimeout: Math.max(
      SILENCE_MAX_MS,
      role === 'writes' || role === 'waits' ? plan.writeTimeoutMs : plan.checkTimeoutMs,
    ),
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    reconnectOnError: (error: Error) =>
      (plan.kind === 'sentinel' ? NOT_THE_PRIMARY : NOT_NOW).test(error.message),
    ...(plan.username === undefined ? {} : { username: plan.username }),
    ...(plan.password === undefined ? {} : { password: plan.password }),
    ...(plan.tls === undefined ? {} : { tls: definedOnly(plan.tls) }),
  } satisfies RedisOptions
}

function definedOnly<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}

/** Grows from 50 ms and jitters, so that a thousand nodes do not return at one moment. */
function retryDelayMs(attempt: number): number {
  const delay = Math.min(50 * 2 ** Math.min(attempt, 10), RETRY_DELAY_MAX_MS)
  return Math.round(delay * (0.5 + Math.random() / 2))
}

/** One outer deadline over whatever the client does within it. */
async function withDeadline<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new RescindError('ERR_STORE_TIMEOUT', `Redis did not answer within ${timeoutMs} ms`))
    }, timeoutMs)
  })
  try {
    return await Promise.race([work, deadline])
  } catch (error) {
    throw storeFailure(error)
  } finally {
    clearTimeout(timer)
  }
}

async function closeClient(client: RedisClient): Promise<void> {
  if (client.status === 'ready') {
    await withDeadline(CLOSE_TIMEOUT_MS, client.quit()).catch(() => undefined)
  }
  client.disconnect()
}
