/** The process that asks: `autocannon` over connections that stay open, with requests of a pool in turn. */
import autocannon, { type Request } from 'autocannon'
import { quantile } from '../../statistics.js'

export interface LoadRequest {
  readonly url: string
  /** Each connection sends its own part of them, again and again: at least one for each. */
  readonly requests: readonly Request[]
  readonly connections: number
  readonly durationMs: number
}

export interface LoadAnswer {
  readonly requests: number
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Rejects when any answer is not a 200: a server that refuses is not fast. */
export async function run({ url, requests, connections, durationMs }: LoadRequest): Promise<LoadAnswer> {
  const times: number[] = []
  let refused = 0
  let connected = 0
  const startedAt = performance.now()
  await new Promise<void>((resolve, reject) => {
    const instance = autocannon(
      {
        url,
        connections,
        duration: durationMs / 1000,
        setupClient: (client) => {
          const own = connected++ % connections
          client.setRequests(requests.filter((_, i) => i % connections === own))
        },
      },
      (error: Error | null) => (error === null ? resolve() : reject(error)),
    )
    // Its own histogram holds whole milliseconds.
    instance.on('response', (_client, status, _bytes, responseTimeMs) => {
      times.push(responseTimeMs)
      if (status !== 200) refused += 1
    })
    instance.on('reqError', () => (refused += 1))
  })
  const elapsedMs = performance.now() - startedAt
  if (refused > 0) throw new Error(`${refused} of ${times.length} requests were not answered with 200`)
  return {
    requests: times.length,
    elapsedMs,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
  }
}
