/** A Redis Cluster of primaries on loopback, with the slots spread evenly over them. */
import { RedisServer } from './redis-server.js'
import { until } from './until.js'

const slotCount = 16_384
const nodeTimeoutMs = 1000
const formTimeoutMs = 20_000

export interface RedisClusterOptions {
  /** How many primaries. Default 3, at least 3. */
  nodes?: number
  /** Each primary has a replica. Default false. */
  isReplicated?: boolean
}

export class RedisCluster implements AsyncDisposable {
  private constructor(
    /** The primaries, as it was formed. */
    readonly servers: readonly RedisServer[],
    /** The replica of each, in the same order; none unless asked for. */
    readonly replicas: readonly RedisServer[],
  ) {}

  /** Resolves once every node sees all the others and serves. */
  static async start({ nodes = 3, isReplicated = false }: RedisClusterOptions = {}): Promise<RedisCluster> {
    const config = {
      'cluster-enabled': 'yes',
      'cluster-node-timeout': String(nodeTimeoutMs),
      'repl-diskless-sync-delay': '0',
    }
    const count = isReplicated ? 2 * nodes : nodes
    const all = await RedisServer.startAll(Array.from({ length: count }, () => ({ config })))
    const cluster = new RedisCluster(all.slice(0, nodes), all.slice(nodes))
    try {
      await cluster.#form()
      await cluster.#replicate()
      return cluster
    } catch (failure) {
      await cluster.stop()
      throw failure
    }
  }

  /** What a client is given to begin with. */
  get nodes(): { host: string; port: number }[] {
    return this.servers.map(({ host, port }) => ({ host, port }))
  }

  async stop(): Promise<void> {
    await RedisServer.stopAll([...this.servers, ...this.replicas])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #replicate(): Promise<void> {
    const [first] = this.servers
    for (const { host, port } of this.replicas) await first?.command('CLUSTER', 'MEET', host, port)
    await Promise.all(
      this.replicas.map(async (replica, index) => {
        const primary = this.servers[index] as RedisServer
        const id = await primary.command<string>('CLUSTER', 'MYID')
        const order = () => replica.command('CLUSTER', 'REPLICATE', id)
        await until(order, { what: 'a replica to know its primary', timeoutMs: formTimeoutMs })
        await until(() => follows(replica, primary), {
          what: `the replica on port ${replica.port} to follow`,
          timeoutMs: formTimeoutMs,
        })
      }),
    )
  }

  async #form(): Promise<void> {
    const count = this.servers.length
    for (const [index, server] of this.servers.entries()) {
      const first = Math.ceil((index * slotCount) / count)
      const end = Math.ceil(((index + 1) * slotCount) / count)
      // Not ADDSLOTSRANGE, which Redis 6.2 does not know.
      await server.command(
        'CLUSTER',
        'ADDSLOTS',
        ...Array.from({ length: end - first }, (_, slot) => first + slot),
      )
      await server.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    }
    const [first, ...others] = this.servers
    for (const { host, port } of others) await first?.command('CLUSTER', 'MEET', host, port)
    await Promise.all(
      this.servers.map((server) =>
        until(() => seesAll(server, count), {
          what: `the cluster node on port ${server.port} to see all ${count} nodes and every slot`,
          timeoutMs: formTimeoutMs,
        }),
      ),
    )
  }
}

/** True when the replica follows its primary, and the primary counts it. */
async function follows(replica: RedisServer, primary: RedisServer): Promise<boolean> {
  const [, , , state] = await replica.command<string[]>('ROLE')
  return (
    state === 'connected' && (await primary.command<string>('INFO', 'replication')).includes('state=online')
  )
}

/** CLUSTER NODES tells a node that has only been heard of ("handshake") from one that is known and connected. */
async function seesAll(server: RedisServer, count: number): Promise<boolean> {
  const nodes = (await server.command<string>('CLUSTER', 'NODES')).trim().split('\n')
  const info = await server.command<string>('CLUSTER', 'INFO')
  return (
    nodes.length === count &&
    nodes.every((node) => /\bmaster - .* connected \d+-\d+$/.test(node)) &&
    info.includes('cluster_state:ok')
  )
}
