/** `gate`: from the head of a request to its verdict, signature and revocation included. */
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark } from '../benchmark.js'
import { RedisStats } from '../redis-stats.js'
import { seedRawTokens, seedTokens } from '../seed.js'
import { systems } from '../systems/gate.js'
import { ALGORITHMS, newSigningKey } from '../tokens.js'
import { workerSystem } from '../worker-system.js'

/** All but ours: each is compared with ours at the same work. */
const PEERS = Object.keys(systems).filter((name) => !name.startsWith('rescind'))

export const gate: Benchmark = {
  name: 'gate',
  summary:
    'from a request to its verdict: verify a token, seen first or again, and look whether it is revoked',
  unit: 'microseconds per verdict',
  better: 'lower',
  comparisons: PEERS.map((peer) => [peer, `rescind ${peer.slice(peer.indexOf(' ') + 1)}`] as const),
  systems: async ({ scope, quick }) => {
    const revocations = quick ? 200 : 10_000
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const redisStats = new RedisStats(scope, redis.url)
    await seedTokens(redis.url, 'main', revocations)
    await seedRawTokens(redis.url, revocations)
    const shared = {
      redisUrl: redis.url,
      tokensFirst: quick ? 100 : 4000,
      tokensCached: quick ? 50 : 1000,
      ...Object.fromEntries(ALGORITHMS.map((algorithm) => [`key${algorithm}`, newSigningKey(algorithm)])),
    }
    return Object.keys(systems).map((system) =>
      workerSystem({
        scope,
        system,
        module: new URL('../systems/gate.ts', import.meta.url),
        quick,
        shared: () => shared,
        redisStats: /^(jose|fast-jwt)/.test(system) ? undefined : redisStats,
      }),
    )
  },
}
