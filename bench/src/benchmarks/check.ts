/** `check`: is this token revoked? From our replica, from the store, and from the usual hand-made lists. */
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark } from '../benchmark.js'
import { fillJtiKeys, fillLog, FOUR_SHAPES } from '../fill.js'
import { PostgresServer } from '../postgres-server.js'
import { RedisStats } from '../redis-stats.js'
import { seedRawTokens, seedTokens } from '../seed.js'
import type { Shared } from '../system.js'
import { systems } from '../systems/check.js'
import { NAMESPACES, RECORDED_COUNT_FIELD } from '../systems/check/shared.js'
import { workerSystem } from '../worker-system.js'

const IN_PROCESS = ['string-set', 'bare-probe', 'bare-probe-dependent'] as const

export const check: Benchmark = {
  name: 'check',
  summary: 'is a token revoked? A million revocations in use, and ten million',
  unit: 'microseconds per check',
  better: 'lower',
  comparisons: [
    ...Object.keys(systems)
      .filter(
        (name) => /^(ioredis|node-redis|pg)-/.test(name) || (IN_PROCESS as readonly string[]).includes(name),
      )
      .map((peer) => [peer, 'rescind'] as const),
    ['string-set', 'rescind-known'],
    ['bare-probe', 'rescind-known'],
    ['bare-probe-dependent', 'rescind-known'],
    ['bare-probe-10m', 'rescind-known-10m'],
    ['bare-probe-dependent-10m', 'rescind-known-10m'],
    ['ioredis-1', 'rescind-strict-1'],
    ['ioredis-50', 'rescind-strict-50'],
    ['ioredis-autopipeline-50', 'rescind-strict-50'],
    ['pg-50', 'rescind-strict-50'],
  ],
  systems: async ({ scope, quick }) => {
    const revocations = quick ? 5000 : 1_000_000
    const revocationsLarge = quick ? 20_000 : 10_000_000
    const recorded = quick ? 200 : 10_000
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const redisStats = new RedisStats(scope, redis.url)
    const { url } = redis
    await fillLog({ url, namespace: NAMESPACES.normal, count: revocations })
    await fillLog({ url, namespace: NAMESPACES.fourShapes, count: revocations, shapes: FOUR_SHAPES })
    await fillLog({ url, namespace: NAMESPACES.large, count: revocationsLarge })
    await fillJtiKeys(url, revocations)
    await seedTokens(url, NAMESPACES.normal, recorded)
    await seedRawTokens(url, recorded)
    const ofRedis = (): Shared => ({
      redisUrl: url,
      revocations,
      revocationsLarge,
      known: quick ? 500 : 40_000,
      [RECORDED_COUNT_FIELD]: recorded,
    })
    const ofPostgres = async (): Promise<Shared> => {
      const postgres = await PostgresServer.start(scope)
      await postgres.run(`
        CREATE TABLE revoked_tokens (jti uuid PRIMARY KEY, expires_at timestamptz NOT NULL);
        INSERT INTO revoked_tokens
          SELECT gen_random_uuid(), now() + interval '2 hours' FROM generate_series(1, ${revocations});
      `)
      await postgres.run('VACUUM ANALYZE revoked_tokens')
      return { postgresUrl: postgres.url }
    }
    return Object.keys(systems).map((system) => {
      const isPostgres = system.startsWith('pg')
      return workerSystem({
        scope,
        system,
        module: new URL('../systems/check.ts', import.meta.url),
        quick,
        shared: isPostgres ? ofPostgres : ofRedis,
        redisStats: /^(ioredis|node-redis|rescind)/.test(system) ? redisStats : undefined,
      })
    })
  },
}
