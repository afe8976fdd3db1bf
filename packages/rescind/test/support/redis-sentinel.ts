/** A primary, its replicas, and the Sentinels that put a replica in its place when it fails. */
import { RedisServer, type RedisServerOptions } from './redis-server.js'
import { until } from './until.js'

const formTimeoutMs = 20_000
/** Above two rounds of votes that elect nobody. */
const promotionTimeoutMs = 20_000

/**
 * How often a Sentinel does what it does every second, or every ten, by itself, and how long it does nothing
 * after its process was held up, 30 seconds by itself. Redis 6.2 cannot be told; there it all takes longer.
 *
 * `ping-period` is also how long it waits before it connects again. With the second that this is by itself, a
 * Sentinel may not have reached the new primary `downAfterMs` after the switch, and then takes it for down.
 * Five times it is how old the news from a replica may be, which comes every second: hence not less.
 *
 * Four times `publish-period` a Sentinel waits, once it sees that its replica has become a primary, for others to tell
 * it so; then it makes a replica of it again, and what was written there is lost. So long it also takes until a former
 * primary that comes back is made a replica.
 */
const periodsMs = {
  'publish-period': 200,
  'info-period': 200,
  'ask-period': 100,
  'ping-period': 250,
  'tilt-period': 1000,
}

export interface RedisSentinelOptions {
  /** Default: 1. */
  replicas?: number
  /** Default: 3. The majority of them must agree that the primary is down, and on who replaces it. */
  sentinels?: number
  /** How long the primary must be silent to count as down. Default: 500. */
  downAfterMs?: number
  /** How long one attempt may take; twice this passes before the next. Default: 2000. */
  failoverTimeoutMs?: number
  /** How often a Sentinel tells others of itself and of the primary. Default: 200. */
  publishPeriodMs?: number
  /** Lines of redis.conf for the primary and the replicas. Default: none. */
  config?: Record<string, string>
  /**
   * Where they run: the primary and the first Sentinel at the first place, the first replica and the second Sentinel
   * at the second, and so on. Default: all on loopback.
   */
  places?: readonly Pick<RedisServerOptions, 'host' | 'place'>[]
}

export class RedisSentinelSet implements AsyncDisposable {
  /** What the Sentinels call the primary. */
  readonly name = 'rescind'

  private constructor(
    /** The primary, wherever it is now, and the replicas. */
    readonly servers: readonly RedisServer[],
    /** The processes of the Sentinels. */
    readonly sentinelServers: readonly RedisServer[],
  ) {}

  /** Resolves once the replicas follow, the Sentinels know them and each other, and could fail over. */
  static async start({
    replicas = 1,
    sentinels = 3,
    downAfterMs = 500,
    failoverTimeoutMs = 2000,
    publishPeriodMs = periodsMs['publish-period'],
    config = {},
    places = [],
  }: RedisSentinelOptions = {}): Promise<RedisSentinelSet> {
    const servers: RedisServer[] = []
    const sentinelServers: RedisServer[] = []
    const set = new RedisSentinelSet(servers, sentinelServers)
    try {
      const primary = await RedisServer.start({ ...places[0], config: { ...following(), ...config } })
      servers.push(primary)
      const replica = { config: { ...following(primary), ...config } }
      servers.push(...(await startMany(replicas, replica, places.slice(1))))
      const quorum = Math.floor(sentinels / 2) + 1
      const watch = {
        'sentinel monitor': `${set.name} ${primary.host} ${primary.port} ${quorum}`,
        'sentinel down-after-milliseconds': `${set.name} ${downAfterMs}`,
        'sentinel failover-timeout': `${set.name} ${failoverTimeoutMs}`,
      }
      sentinelServers.push(...(await startMany(sentinels, { args: ['--sentinel'], config: watch }, places)))
      await set.#hasten({ ...periodsMs, 'publish-period': publishPeriodMs })
      await set.settled()
      return set
    } catch (failure) {
      await set.stop()
      throw failure
    }
  }

  /** What a client is given, with `name`. */
  get sentinels(): { host: string; port: number }[] {
    return this.sentinelServers.map(({ host, port }) => ({ host, port }))
  }

  /** The primary, as the first Sentinel to answer has it. It may be dead and not yet replaced. */
  async primary(): Promise<RedisServer> {
    return Promise.any(this.sentinelServers.map((sentinel) => this.#primaryOf(sentinel)))
  }

  /**
   * Kills the primary and resolves with the server that took its place. With `crash: false` both stay alive:
   * a Sentinel is told to make them change places. The former primary can then be `restart()`ed, and becomes
   * a replica.
   */
  async failover({ crash = true }: { crash?: boolean } = {}): Promise<RedisServer> {
    const former = await this.primary()
    if (crash) await former.kill()
    else await this.#order('SENTINEL', 'FAILOVER', this.name)
    return this.promotedAfter(former)
  }

  /**
   * Waits until a server other than `former` is primary, by its own account and that of every live Sentinel among
   * these. Default: all.
   */
  async promotedAfter(former: RedisServer, among = this.sentinelServers): Promise<RedisServer> {
    return until(
      async () => {
        const live = among.filter(({ isRunning }) => isRunning)
        const [primary, ...rest] = await Promise.all(live.map((sentinel) => this.#primaryOf(sentinel)))
        if (!primary || primary === former || rest.some((other) => other !== primary)) return undefined
        const [role] = await primary.command<string[]>('ROLE')
        return role === 'master' && primary
      },
      { what: `another primary than port ${former.port}`, timeoutMs: promotionTimeoutMs },
    )
  }

  async stop(): Promise<void> {
    await RedisServer.stopAll([...this.sentinelServers, ...this.servers])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #primaryOf(sentinel: RedisServer): Promise<RedisServer> {
    const [, port] = await sentinel.command<string[]>('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)
    const primary = this.servers.find((server) => server.port === Number(port))
    if (!primary) throw new Error(`The Sentinel on port ${sentinel.port} names a primary on port ${port}`)
    return primary
  }

  /** Repeated while no replica is fit, which after a change takes the Sentinel a moment to see. */
  async #order(...command: [string, ...string[]]): Promise<void> {
    await until(() => Promise.any(this.sentinelServers.map((sentinel) => sentinel.command(...command))), {
      what: `a Sentinel to do ${command.join(' ')}`,
      timeoutMs: promotionTimeoutMs,
    })
  }

  async #hasten(periods: typeof periodsMs): Promise<void> {
    for (const sentinel of this.sentinelServers) {
      const settings = Object.entries(periods).flat()
      await sentinel.command('SENTINEL', 'DEBUG', ...settings).catch(() => undefined)
    }
  }

  /**
   * Resolves with the primary once all replicas follow it, by the account of every Sentinel in the same moment, and it
   * could fail over. One by one they will not do: one that was cut off has the former primary, and finds all well, until
   * another tells it.
   */
  async settled(): Promise<RedisServer> {
    return until(
      async () => {
        const named = await Promise.all(
          this.sentinelServers.map(async (sentinel) => {
            return (await this.#isReady(sentinel)) ? this.#primaryOf(sentinel) : undefined
          }),
        )
        const [primary] = named
        return named.every((other) => other === primary) && primary
      },
      {
        what: 'the Sentinels to know the same primary, its replicas and each other',
        timeoutMs: formTimeoutMs,
      },
    )
  }

  async #isReady(sentinel: RedisServer): Promise<boolean> {
    const primary = fields(await sentinel.command<string[]>('SENTINEL', 'MASTER', this.name))
    const replicas = (await sentinel.command<string[][]>('SENTINEL', 'REPLICAS', this.name)).map(fields)
    await sentinel.command('SENTINEL', 'CKQUORUM', this.name) // Fails while there is none.
    return (
      primary.get('flags') === 'master' &&
      Number(primary.get('num-other-sentinels')) === this.sentinelServers.length - 1 &&
      replicas.length === this.servers.length - 1 &&
      replicas.every(
        (replica) => replica.get('flags') === 'slave' && replica.get('master-link-status') === 'ok',
      )
    )
  }
}

/** The delay, 5 s by default, is for other replicas to share in one copy of the data. */
function following(primary?: RedisServer): Record<string, string> {
  const atOnce = { 'repl-diskless-sync-delay': '0' }
  return primary ? { ...atOnce, replicaof: `${primary.host} ${primary.port}` } : atOnce
}

async function startMany(
  count: number,
  options: RedisServerOptions,
  places: readonly Pick<RedisServerOptions, 'host' | 'place'>[],
): Promise<RedisServer[]> {
  return RedisServer.startAll(Array.from({ length: count }, (_, n) => ({ ...options, ...places[n] })))
}

/** Of a reply that alternates names and values. */
function fields(reply: string[]): Map<string, string> {
  return new Map(reply.flatMap((name, index) => (index % 2 === 0 ? [[name, reply[index + 1] ?? '']] : [])))
}
