/**
 * Three hosts, each a network namespace with a redis-server and a Sentinel: one primary and two replicas. The network
 * between them can be cut; where it cannot be on this machine, `canSplit()` of `net-namespaces.ts` says why.
 *
 * Clients run in the namespaces too, each in an `Agent`; this process reaches servers by their Unix sockets only.
 *
 * @example
 * await using split = await SplitSentinelSet.start()
 * await using beside = await Agent.start(module, { place: split.places[split.primaryIndex] })
 * await split.split()       // the primary, and who is beside it, from the rest
 * await split.promoted()    // there
 * await split.heal()
 * await split.settled()     // the former primary follows the new one
 */
import type { NetNamespace } from './net-namespaces.js'
import { NetNamespaces } from './net-namespaces.js'
import { type RedisSentinelOptions, RedisSentinelSet } from './redis-sentinel.js'
import type { RedisServer } from './redis-server.js'

const HOSTS = 3
/** Four of them, two seconds, are enough for a Sentinel that was cut off to connect again and be told, on any machine. */
export const PUBLISH_PERIOD_MS = 500

export type SplitSentinelOptions = Pick<RedisSentinelOptions, 'downAfterMs' | 'failoverTimeoutMs'> & {
  /** `min-replicas-to-write` of every server: with fewer good replicas it takes no writes. Default 0: it does. */
  minReplicasToWrite?: number
  /** `min-replicas-max-lag`: a replica that was silent for so many seconds is not good. Default 1. */
  minReplicasMaxLagSeconds?: number
}

export class SplitSentinelSet implements AsyncDisposable {
  #cutOff: number | undefined
  #primaryIndex = 0

  private constructor(
    private readonly net: NetNamespaces,
    readonly set: RedisSentinelSet,
  ) {}

  static async start({
    minReplicasToWrite = 0,
    minReplicasMaxLagSeconds = 1,
    ...options
  }: SplitSentinelOptions = {}): Promise<SplitSentinelSet> {
    const net = await NetNamespaces.start(HOSTS)
    try {
      const set = await RedisSentinelSet.start({
        ...options,
        publishPeriodMs: PUBLISH_PERIOD_MS,
        replicas: HOSTS - 1,
        sentinels: HOSTS,
        places: net.members.map((place) => ({ place, host: place.address })),
        config: {
          'min-replicas-to-write': String(minReplicasToWrite),
          'min-replicas-max-lag': String(minReplicasMaxLagSeconds),
        },
      })
      return new SplitSentinelSet(net, set)
    } catch (failure) {
      await net.stop()
      throw failure
    }
  }

  /** Where clients run: the server and the Sentinel of the same index are there as well. */
  get places(): readonly NetNamespace[] {
    return this.net.members
  }

  /** The host of the primary; of the new one once `promoted()` resolved. */
  get primaryIndex(): number {
    return this.#primaryIndex
  }

  /** What a client is given. In a split it reaches those of its own side. */
  get address(): { sentinels: { host: string; port: number }[]; name: string } {
    return { sentinels: this.set.sentinels, name: this.set.name }
  }

  /** Cuts one host from the two others; by default that of the primary. Resolves when nothing gets through. */
  async split(minority = this.#primaryIndex): Promise<void> {
    this.#cutOff = minority
    await this.net.cut([minority])
  }

  /** Waits for the majority to have a primary of its own, by the account of both of its Sentinels. */
  async promoted(): Promise<RedisServer> {
    const former = this.set.servers[this.#primaryIndex] as RedisServer
    const majority = this.set.sentinelServers.filter((_, host) => host !== this.#cutOff)
    const primary = await this.set.promotedAfter(former, majority)
    this.#primaryIndex = this.set.servers.indexOf(primary)
    return primary
  }

  /** Joins them again. What the minority's primary took meanwhile is lost a little later. */
  async heal(): Promise<void> {
    this.#cutOff = undefined
    await this.net.heal()
  }

  /** After `heal()`: resolves once all follow the one primary, so that there can be another split. */
  async settled(): Promise<void> {
    this.#primaryIndex = this.set.servers.indexOf(await this.set.settled())
  }

  async stop(): Promise<void> {
    await this.set.stop()
    await this.net.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
