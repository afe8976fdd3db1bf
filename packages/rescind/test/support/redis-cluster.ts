/** A Redis Cluster of primaries on loopback, with the slots spread evenly over them. */
import { RedisServer } from './redis-server.js'
import { until } from './until.js'

const slotCount = 16_384
const nodeTimeoutMs = 1000
const formTimeoutMs = 20_000

export class RedisCluster implements AsyncDisposable {
  private constructor(readonly servers: readonly RedisServer[]) {}

  /** Resolves once every node sees all the others and serves. `nodes`: how many; default 3, at least 3. */
  static async start({ nodes = 3 }: { nodes?: number } = {}): Promise<RedisCluster> {
    const config = { 'cluster-enabled': 'yes', 'cluster-node-timeout': String(nodeTimeoutMs) }
    const cluster = new RedisCluster(
      await RedisServer.startAll(Array.from({ length: nodes }, () => ({ config }))),
    )
    try {
      await cluster.#form()
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
    await RedisServer.stopAll(this.servers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
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
