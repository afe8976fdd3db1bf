/** `verify`: from the head of a request to its verdict, signature and look-up included. */
import { generateKeyPairSync } from 'node:crypto'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark } from '../benchmark.js'
import { RedisCpu } from '../redis-cpu.js'
import { seedRawTokens, seedTokens } from '../seed.js'
import { systems } from '../systems/verify.js'
import { workerSystem } from '../worker-process.js'

export const verify: Benchmark = {
  name: 'verify',
  summary: 'from a request to its verdict: verify an ES256 token, then look it up',
  unit: 'microseconds per request verdict',
  better: 'lower',
  comparisons: ['express-jwt+ioredis', '@fastify/jwt+ioredis', 'jose'].flatMap((peer) => [
    [peer, 'rescind'] as const,
    [`${peer}-1`, 'rescind-1'] as const,
  ]),
  systems: async ({ scope, quick }) => {
    const revocations = quick ? 500 : 10_000
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const redisCpu = new RedisCpu(scope, redis.url)
    await seedTokens(redis.url, 'main', revocations)
    await seedRawTokens(redis.url, revocations)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const shared = {
      redisUrl: redis.url,
      privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      tokens: quick ? 200 : 4000,
    }
    return Object.keys(systems).map((system) =>
      workerSystem({
        scope,
        system,
        module: new URL('../systems/verify.ts', import.meta.url),
        quick,
        shared: () => shared,
        redisCpu: system.startsWith('jose') ? undefined : redisCpu,
      }),
    )
  },
}
