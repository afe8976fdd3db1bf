/** `check`: one look-up in the store for every token, ours against the usual hand-made lists. */
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark } from '../benchmark.js'
import { PostgresServer } from '../postgres-server.js'
import { RedisCpu } from '../redis-cpu.js'
import { seedFourShapes, seedRawTokens, seedTokens } from '../seed.js'
import type { Shared } from '../system.js'
import { NAMESPACE_FOUR_SHAPES, NAMESPACE_ONE_SHAPE, systems } from '../systems/check.js'
import { workerSystem } from '../worker-process.js'

export const check: Benchmark = {
  name: 'check',
  summary: 'is a token revoked? A strict check in the store, 10,000 revocations stored',
  unit: 'microseconds per check',
  better: 'lower',
  comparisons: [
    ['ioredis-1', 'rescind-1'],
    ['ioredis-50', 'rescind'],
    ['ioredis-autopipeline-50', 'rescind'],
    ['ioredis-jti-autopipeline-50', 'rescind'],
    ['pg-50', 'rescind'],
    // 1 in flight against 50: what a service gains that asked one after another. Not like for like.
    ['ioredis-1', 'rescind'],
  ],
  systems: async ({ scope, quick }) => {
    const revocations = quick ? 500 : 10_000
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const redisCpu = new RedisCpu(scope, redis.url)
    await seedTokens(redis.url, NAMESPACE_ONE_SHAPE, revocations)
    await seedFourShapes(redis.url, NAMESPACE_FOUR_SHAPES, revocations)
    await seedRawTokens(redis.url, revocations)
    const ofRedis = (): Shared => ({ redisUrl: redis.url, revocations })
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
      const module = new URL('../systems/check.ts', import.meta.url)
      const isPostgres = system.startsWith('pg')
      return workerSystem({
        scope,
        system,
        module,
        quick,
        shared: isPostgres ? ofPostgres : ofRedis,
        redisCpu: isPostgres ? undefined : redisCpu,
      })
    })
  },
}
