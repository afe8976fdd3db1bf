/** What the systems of `gate` are told, and the requests that they decide about. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Redis } from 'ioredis'
import { type Shared, sharedNumber, sharedText, type System } from '../../system.js'
import { type Algorithm, flat, tokenMaker, verifyingKey } from '../../tokens.js'

export interface GateSetting {
  readonly algorithm: Algorithm
  readonly inFlight: number
  /** Seen for the first time, or again and again. */
  readonly tokens: 'first' | 'cached'
}

export type Open = (shared: Shared, setting: GateSetting) => Promise<System>

/** More than there are tokens that are seen again. */
export const CACHE_ENTRIES_MAX = 10_000

export interface Requests {
  /** Room for so many requests, at most, is made at a time: then every token is new to a fresh cache. */
  readonly batchMax: number
  /** `Authorization` fields. The text is new each time, as it is when it arrives from a socket. */
  next(count: number): string[]
}

/** Tokens are signed once, and come in the same order in every batch. */
export function requestsOf(shared: Shared, { algorithm, tokens }: GateSetting): Requests {
  const make = tokenMaker(algorithm, sharedText(shared, `key${algorithm}`))
  const batchMax = sharedNumber(shared, 'tokensFirst')
  const size = tokens === 'first' ? batchMax : sharedNumber(shared, 'tokensCached')
  const pool = Array.from({ length: size }, make)
  return {
    batchMax,
    next: (count) => Array.from({ length: count }, (_, i) => flat(`Bearer ${pool[i % size]}`)),
  }
}

export function verifyingKeyOf(shared: Shared, { algorithm }: GateSetting): string {
  return verifyingKey(algorithm, sharedText(shared, `key${algorithm}`))
}

export async function connected(shared: Shared): Promise<Redis> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(sharedText(shared, 'redisUrl'), { enableAutoPipelining: true, lazyConnect: true })
  await redis.connect()
  return redis
}

/** The head of a request as Node parses it: what a browser sends to an API. */
export function requestHead(authorization: string) {
  return {
    method: 'GET',
    url: '/orders/42',
    headers: {
      host: 'api.example.com',
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      accept: 'application/json',
      'accept-encoding': 'gzip, deflate, br',
      origin: 'https://shop.example.com',
      authorization,
    } satisfies IncomingHttpHeaders,
  }
}

export function rawToken(headers: IncomingHttpHeaders): string {
  return (headers.authorization as string).slice('Bearer '.length)
}
