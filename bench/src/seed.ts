/** Fills a Redis with revocations, ours and those of hand-made lists. */
import { randomBytes, randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { RedisConnection, RedisStore, type Target, TokenManager } from 'rescind'
import { ISSUER, revokedJti, secondsNow, unsignedToken } from './tokens.js'

/** Longer than any run takes. */
const LIFETIME_SECONDS = 7200
const IN_FLIGHT = 50

/** Revokes so many tokens, by `{ iss, jti }`. */
export async function seedTokens(url: string, namespace: string, count: number): Promise<void> {
  await seed(url, namespace, count, (i) => ({ iss: ISSUER, jti: revokedJti(i) }))
}

/** Revokes by four shapes, as many of each. */
export async function seedFourShapes(url: string, namespace: string, count: number): Promise<void> {
  await seed(url, namespace, count, (i) => {
    switch (i % 4) {
      case 0:
        return { iss: ISSUER, jti: revokedJti(i) }
      case 1:
        return { sub: randomUUID() }
      case 2:
        return { sid: randomBytes(16).toString('base64url') }
      default:
        return { client_id: `revoked-${randomBytes(6).toString('hex')}` }
    }
  })
}

/** Sets so many raw tokens as keys. */
export async function seedRawTokens(url: string, count: number): Promise<void> {
  const redis = new Redis(url, { enableAutoPipelining: true })
  try {
    await inLanes(count, IN_FLIGHT, () => redis.set(unsignedToken(secondsNow()), 1, 'EX', LIFETIME_SECONDS))
  } finally {
    redis.disconnect()
  }
}

/** Runs the work for 0 to `count` − 1, so many at a time. */
export async function inLanes(
  count: number,
  inFlight: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

async function seed(
  url: string,
  namespace: string,
  count: number,
  target: (index: number) => Target,
): Promise<void> {
  const connection = new RedisConnection({ url, writeTimeoutMs: 10_000, connectTimeoutMs: 10_000 })
  const manager = new TokenManager({ store: new RedisStore(connection, { namespace }) })
  const expiresAt = secondsNow() + LIFETIME_SECONDS
  try {
    await inLanes(count, IN_FLIGHT, (i) => manager.revoke(target(i), { expiresAt }))
  } finally {
    await manager.close()
  }
}
