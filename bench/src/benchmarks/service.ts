/**
 * `service`: what the service answers a second: `/verify` of a token that it has seen, beside the HTTP server that it
 * stands on; `/introspect` and `/revoke`, beside the introspection of opaque tokens by `oidc-provider` on Redis.
 */
import { createPublicKey } from 'node:crypto'
import type { Request } from 'autocannon'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import type { Benchmark, Measured, Sample, Setting } from '../benchmark.js'
import { Child } from '../child.js'
import { callsBetween, RedisStats, totalOf } from '../redis-stats.js'
import type * as load from '../systems/http/load.js'
import type * as server from '../systems/service/server.js'
import type { Opened, ServerRequest } from '../systems/service/server.js'
import { newSigningKey, tokenMaker, verifyingKey } from '../tokens.js'

const CONNECTIONS = 20
const ACTIVE = '"active":true'
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

interface Parts {
  readonly redis: RedisServer
  readonly stats: RedisStats
  readonly loader: Child<typeof load>
  readonly request: Omit<ServerRequest, 'kind'>
}

interface Kind {
  readonly system: string
  readonly kind: ServerRequest['kind']
  /** What is asked, of tokens of ours or of the server's own. */
  readonly requests: (opened: Opened) => readonly Request[]
  /** What the text of an answer must have: a 200 says little of an introspection. */
  readonly says?: string
}

export const service: Benchmark = {
  name: 'service',
  summary: 'the service: /verify, /introspect and /revoke, beside a bare server and oidc-provider',
  unit: 'requests per second',
  better: 'higher',
  comparisons: [
    ['bare', 'verify'],
    ['oidc-provider introspect', 'introspect'],
    ['oidc-provider introspect', 'verify'],
    ['oidc-provider introspect', 'revoke'],
  ],
  systems: async (setting) => {
    const { scope, quick } = setting
    const redis = await RedisServer.start()
    scope.defer(() => redis.stop())
    const loader = new Child<typeof load>(new URL('../systems/http/load.ts', import.meta.url))
    scope.defer(() => loader.stop())
    const signingKey = newSigningKey('ES256')
    const key = createPublicKey(verifyingKey('ES256', signingKey)).export({ format: 'jwk' })
    const parts: Parts = {
      redis,
      stats: new RedisStats(scope, redis.url),
      loader,
      request: { redisUrl: redis.url, key: key },
    }
    const make = tokenMaker('ES256', signingKey)
    const seen = Array.from({ length: quick ? 20 : 300 }, make)
    const revoked = Array.from({ length: quick ? 200 : 5000 }, make)
    const bearers = seen.map((token) => ({ path: '/verify', headers: { authorization: `Bearer ${token}` } }))
    const kinds: readonly Kind[] = [
      { system: 'bare', kind: 'bare', requests: () => bearers },
      { system: 'verify', kind: 'service', requests: () => bearers },
      {
        system: 'introspect',
        kind: 'service',
        requests: (opened) => forms('/introspect', seen, opened),
        says: ACTIVE,
      },
      { system: 'revoke', kind: 'service', requests: (opened) => forms('/revoke', revoked, opened) },
      {
        system: 'oidc-provider introspect',
        kind: 'oidc-provider',
        requests: (opened) => forms('/token/introspection', opened.tokens, opened),
        says: ACTIVE,
      },
    ]
    return kinds.map((kind) => serverSystem(parts, kind, setting))
  },
}

function forms(path: string, tokens: readonly string[], { authorization }: Opened): readonly Request[] {
  const headers = { ...FORM, authorization }
  return tokens.map((token) => ({ method: 'POST', path, headers, body: `token=${token}` }))
}

function serverSystem(
  parts: Parts,
  { system, kind, requests, says = '' }: Kind,
  { scope, quick }: Setting,
): Measured {
  const { stats, loader, request } = parts
  let process: Child<typeof server> | undefined
  let target: { url: string; requests: readonly Request[] } | undefined
  const ask = async (durationMs: number) => {
    if (process === undefined || target === undefined) throw new Error('the server was not opened')
    const beforeUs = await process.call('cpuUs')
    const answer = await loader.call('run', { ...target, connections: CONNECTIONS, durationMs })
    return { ...answer, cpuUs: (await process.call('cpuUs')) - beforeUs }
  }
  return {
    system,
    open: async () => {
      const started = (process = new Child<typeof server>(
        new URL('../systems/service/server.ts', import.meta.url),
      ))
      scope.defer(() => started.stop())
      const opened = await started.call('open', { ...request, kind })
      target = { url: opened.url, requests: requests(opened) }
      await proveAnswer(target, says)
    },
    warmUp: async () => {
      await ask(quick ? 300 : 3000)
    },
    measure: async () => {
      const before = { redisUs: await stats.cpuUs(), calls: await stats.calls() }
      const { requests: count, elapsedMs, p50Ms, p99Ms, cpuUs } = await ask(quick ? 300 : 3000)
      const redisUs = (await stats.cpuUs()) - before.redisUs
      const calls = totalOf(callsBetween(before.calls, await stats.calls()))
      const sample: Sample = {
        value: (count / elapsedMs) * 1000,
        cpu: cpuUs / count,
        serverCpu: redisUs / count,
        figures: { p50Ms, p99Ms, redisCallsPerRequest: calls / count },
      }
      return { [system]: sample }
    },
  }
}

async function proveAnswer(
  target: { url: string; requests: readonly Request[] },
  says: string,
): Promise<void> {
  const [first] = target.requests
  if (first?.path === undefined) throw new Error('there is nothing to ask')
  const { path, method = 'GET', headers, body = null } = first
  const answer = await fetch(target.url + path, { method, headers: headers as Record<string, string>, body })
  const text = await answer.text()
  if (answer.status !== 200 || !text.includes(says))
    throw new Error(`it answers ${answer.status}, without ${JSON.stringify(says)}`)
}
