/**
 * The connection to Redis: a single server, a Sentinel set or a Cluster, configured from environment
 * variables or options. A socket each for checks, writes, writes that wait for replicas, the log and the doorbell, so that none waits
 * behind another; each opens when it is first needed and reconnects by itself.
 *
 * Nothing is queued while Redis is away and nothing is sent twice: a check that waited out an outage would be
 * answered "not revoked" by the empty server that came back.
 */
import { TLSSocket } from 'node:tls'
import { Cluster, Redis } from 'ioredis'
import type { Environment } from '../config.js'
import { RescindError } from '../errors.js'
import { EventStream } from '../event-stream.js'
import { clientOptions, makeClient, primariesOf, type RedisClient, type RedisRole } from './client.js'
import { EvictionGuard } from './eviction.js'
import { storeFailure } from './failure.js'
import {
  type RedisAddress,
  type RedisConnectionOptions,
  type RedisPlan,
  redisPlanFromEnv,
  redisPlanFromOptions,
} from './plan.js'

/** Something that happened to a connection. `failure` has no address, user or password in it. */
export interface RedisEvent {
  readonly type: 'ready' | 'lost' | 'failed'
  readonly role: RedisRole
  readonly failure?: RescindError
}

const CLOSE_TIMEOUT_MS = 500
/** So often at the most a socket is spared its wait because another has found a server: not every one that is found stays. */
const HURRY_PERIOD_MS = 1000

/** One socket (or one per node, in a cluster) and what is known of it. */
interface Link {
  readonly client: RedisClient
  /** Those who wait for it to be ready for the first time. */
  readonly waiting: Set<() => void>
  /** It was ready or failed once: from then on nobody waits for it, it answers or fails at once. */
  isSettled: boolean
  failure?: RescindError | undefined
  readonly guard: EvictionGuard
  hurriedAt: number
}

/** One server, asked by itself. `where` is what the socket tells, once something was answered. */
export interface ServerLink {
  call(command: string, ...args: string[]): Promise<unknown>
  where(): { readonly address: string; readonly isLocal: boolean; readonly isEncrypted: boolean }
}

/**
 * The connections of one process to Redis, for as many stores as there are. Close it when no store needs it
 * any more.
 */
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
    const late = new AbortController()
    const admitted = whenReady(link, late.signal).then(() => guard.pass(() => primariesOf(client)))
    return withDeadline(
      timeoutMs,
      unlessLate(admitted, late.signal, () => commands(client)),
      late,
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
    const late = new AbortController()
    const ready = whenReady(link, late.signal)
    return withDeadline(
      timeoutMs,
      unlessLate(ready, late.signal, () => commands(link.client)),
      late,
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
    const subscribe = () => {
      client.subscribe(channel).catch((error: unknown) => {
        this.#events.publish({ type: 'failed', role: 'bell', failure: storeFailure(error) })
      })
    }
    client.on('ready', subscribe)
    // Another store may have opened the socket before.
    if (client.status === 'ready') subscribe()
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
    const guard = new EvictionGuard(() => this.#refusesEviction)
    const link: Link = { client, waiting: new Set(), isSettled: false, guard, hurriedAt: -Infinity }
    this.#links.set(role, link)
    let wasLost = false
    // Without a listener for `error`, the first failure would end the process.
    client.on('error', (error: unknown) => {
      const failure = storeFailure(error)
      link.failure = failure
      this.#events.publish({ type: 'failed', role, failure })
    })
    client.on('ready', () => {
      link.failure = undefined
      settle(link)
      this.#events.publish({ type: 'ready', role })
      // Nothing tells a silent doorbell from a dead one, so it follows the fate of the log.
      if (role === 'log' && wasLost) this.reconnect('bell')
      if (wasLost) this.#hurryOthers(link)
    })
    // A server that joined a cluster, or came back to it.
    client.on('+node', () => guard.reset())
    client.on('close', () => {
      guard.reset()
      wasLost = true
      settle(link)
      this.#events.publish({ type: 'lost', role })
    })
    // The first attempt may fail; the client goes on trying by itself, and its events say so.
    client.connect().catch(() => undefined)
    return link
  }

  /** Where one socket has found the server again, the others need not wait for their next attempt. */
  #hurryOthers(found: Link): void {
    const now = performance.now()
    for (const link of this.#links.values()) {
      if (link === found || link.client.status !== 'reconnecting') continue
      if (now - link.hurriedAt < HURRY_PERIOD_MS) continue
      link.hurriedAt = now
      link.client.connect().catch(() => undefined)
    }
  }
}

/** Only the very first use waits, until it is too late for it; later, a lost connection fails at once. */
async function whenReady(link: Link, late: AbortSignal): Promise<void> {
  if (!link.isSettled) {
    await new Promise<void>((resolve) => {
      link.waiting.add(resolve)
      late.addEventListener('abort', () => link.waiting.delete(resolve), { once: true })
    })
  }
  if (link.client.status !== 'ready') throw lost(link.failure)
}

function settle(link: Link): void {
  link.isSettled = true
  for (const resolve of link.waiting) resolve()
  link.waiting.clear()
}

/** Whoever was told that it failed must not find it done afterwards. */
async function unlessLate<T>(before: Promise<void>, late: AbortSignal, work: () => Promise<T>): Promise<T> {
  await before
  late.throwIfAborted()
  return work()
}

function linkTo(client: Redis): ServerLink {
  return {
    call: async (command, ...args) => client.call(command, ...args),
    where: () => {
      const { stream } = client
      const { remoteAddress, remotePort } = stream
      // What the socket is, and not what was asked for.
      const isEncrypted = stream instanceof TLSSocket
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

/** One outer deadline over whatever the client does within it; `late` is aborted when it has passed. */
async function withDeadline<T>(timeoutMs: number, work: Promise<T>, late?: AbortController): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late?.abort()
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
