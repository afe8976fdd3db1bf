/** `http`: a whole route of Express and of Fastify: open, behind our gate, and behind a hand-made one. */
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark, Measured, Sample, Setting } from '../benchmark.js'
import { Child } from '../child.js'
import { callsBetween, checksIn, RedisStats, totalOf } from '../redis-stats.js'
import { seedRawTokens, seedTokens } from '../seed.js'
import type * as load from '../systems/http/load.js'
import { PATH, type ServerRequest } from '../systems/http/server.js'
import type * as server from '../systems/http/server.js'
import { newSigningKey, tokenMaker } from '../tokens.js'

const CONNECTIONS = 20
const FRAMEWORKS = ['express', 'fastify'] as const
const PROTECTIONS = ['open', 'rescind', 'naive'] as const

interface Parts {
  readonly redis: RedisServer
  readonly stats: RedisStats
  readonly loader: Child<typeof load>
  readonly tokens: readonly string[]
  readonly request: Omit<ServerRequest, 'framework' | 'protection'>
}

export const http: Benchmark = {
  name: 'http',
  summary: 'a route of Express and of Fastify: open, behind our gate, behind a hand-made one',
  unit: 'requests per second',
  better: 'higher',
  comparisons: FRAMEWORKS.flatMap((framework) =>
    ['open', 'naive'].map((peer) => [`${framework} ${peer}`, `${framework} rescind`] as const),
  ),
  systems: async (setting) => {
    const { scope, quick } = setting
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const signingKey = newSigningKey('ES256')
    await seedTokens(redis.url, 'main', quick ? 200 : 10_000)
    await seedRawTokens(redis.url, quick ? 200 : 10_000)
    const loader = new Child<typeof load>(new URL('../systems/http/load.ts', import.meta.url))
    scope.defer(() => loader.stop())
    const parts: Parts = {
      redis,
      stats: new RedisStats(scope, redis.url),
      loader,
      tokens: Array.from({ length: quick ? 20 : 300 }, tokenMaker('ES256', signingKey)),
      request: { redisUrl: redis.url, signingKey },
    }
    return FRAMEWORKS.flatMap((framework) =>
      PROTECTIONS.map((protection) => serverSystem(parts, { framework, protection }, setting)),
    )
  },
}

function serverSystem(
  parts: Parts,
  kind: Pick<ServerRequest, 'framework' | 'protection'>,
  { scope, quick }: Setting,
): Measured {
  const { stats, loader, tokens, request } = parts
  const system = `${kind.framework} ${kind.protection}`
  const child = () => new Child<typeof server>(new URL('../systems/http/server.ts', import.meta.url))
  let process: Child<typeof server> | undefined
  let url = ''
  const opened = () => {
    if (process === undefined) throw new Error('the server was not opened')
    return process
  }
  const requests = tokens.map((token) => ({ headers: { authorization: `Bearer ${token}` } }))
  const ask = (durationMs: number) =>
    loader.call('run', { url, requests, connections: CONNECTIONS, durationMs })
  return {
    system,
    open: async () => {
      const started = (process = child())
      scope.defer(() => started.stop())
      url = `http://127.0.0.1:${await started.call('open', { ...request, ...kind })}${PATH}`
    },
    warmUp: async () => {
      await ask(quick ? 300 : 2000)
    },
    measure: async () => {
      const before = {
        cpuUs: await opened().call('cpuUs'),
        redisUs: await stats.cpuUs(),
        calls: await stats.calls(),
      }
      const { requests, elapsedMs, p50Ms, p99Ms } = await ask(quick ? 300 : 3000)
      const cpuUs = (await opened().call('cpuUs')) - before.cpuUs
      const redisUs = (await stats.cpuUs()) - before.redisUs
      const calls = callsBetween(before.calls, await stats.calls())
      const checks = checksIn(calls)
      const sample: Sample = {
        value: (requests / elapsedMs) * 1000,
        cpu: cpuUs / requests,
        serverCpu: redisUs / requests,
        figures: {
          p50Ms,
          p99Ms,
          redisChecksPerRequest: checks / requests,
          redisPollsPerSecond: ((totalOf(calls) - checks) / elapsedMs) * 1000,
        },
      }
      return { [system]: sample }
    },
  }
}
