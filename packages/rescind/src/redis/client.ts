/**
 * What the client of Redis (ioredis) is told: how it connects, gives up, and finds the primary. It queues nothing and
 * sends nothing twice.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { CHANGE_KEYS, CHANGE_SCRIPT, MARK_SCRIPT, RESEED_SCRIPT, SHAPE_SCRIPT } from './script.js'
import type { RedisPlan } from './plan.js'

/** What a socket is for. */
export type RedisRole = 'checks' | 'writes' | 'waits' | 'log' | 'bell'

/** The client of a role, with the scripts. */
export type RedisClient = (Redis | Cluster) & {
  rescindChangeBuffer(...keysAndArguments: (string | number | Buffer)[]): Promise<ChangeReply>
  rescindShape(...keysAndArguments: (string | number)[]): Promise<number>
  rescindMark(...keysAndArguments: (string | number | Buffer)[]): Promise<MarkReply>
  /** How many keys there are stands first. */
  rescindReseed(...keysAndArguments: (string | number | Buffer)[]): Promise<number>
}

/**
 * Whether something changed, the record as it stands, where the log ends (epoch, segment, size, chain), and until when the
 * line is needed that the log got.
 */
export type ChangeReply = [number, Buffer | null, Buffer, Buffer, Buffer, Buffer, Buffer]

/** Whether the mark was moved, and the mark as it stands. */
export type MarkReply = [number, string | null]

/** The longest wait before the next attempt to connect, so that recovery takes under two seconds. */
const RETRY_DELAY_MAX_MS = 500
/** A socket with a command in flight and no byte for so long is dropped: the server is frozen or cut off. */
const SILENCE_MAX_MS = 1000

/** The server is another one than it was, or will be; among Sentinels there may be a primary that has its replicas. */
const NOT_NOW = /^(READONLY|LOADING|MASTERDOWN)/
const NOT_THE_PRIMARY = /^(READONLY|LOADING|MASTERDOWN|NOREPLICAS)/

/** A client of a role, which connects when it is told to. */
export function makeClient(plan: RedisPlan, role: RedisRole): RedisClient {
  const scripts = {
    rescindChange: { lua: CHANGE_SCRIPT, numberOfKeys: CHANGE_KEYS.length },
    rescindShape: { lua: SHAPE_SCRIPT, numberOfKeys: 2 },
    rescindMark: { lua: MARK_SCRIPT, numberOfKeys: 1 },
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
    // Without these two `tls` is left aside, in silence: password and all would go in the clear.
    ...(plan.tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: definedOnly(plan.tls) }),
    ...(plan.sentinelUsername === undefined ? {} : { sentinelUsername: plan.sentinelUsername }),
    ...(plan.sentinelPassword === undefined ? {} : { sentinelPassword: plan.sentinelPassword }),
  }) as unknown as RedisClient
}

/** What is the same for single servers, Sentinels and clusters. */
export function clientOptions(plan: RedisPlan, role: RedisRole) {
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
    // `listen` does it. What ioredis subscribes by itself, and the socket refuses, is a rejection that nobody can catch.
    autoResubscribe: false,
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

/** The server, or every primary of a cluster. */
export function primariesOf(client: RedisClient): readonly Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client]
}
