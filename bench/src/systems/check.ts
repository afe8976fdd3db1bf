/**
 * The systems of the benchmark `check`: is this token revoked? Each asks its store for every token.
 *
 * Each loads by itself what it measures, so that no process holds, or waits for, the libraries of the others.
 */
import { randomInt, randomUUID } from 'node:crypto'
import type { VerifiedToken } from 'rescind'
import { sharedNumber, sharedText, type Shared, type System, type Systems } from '../system.js'
import { flat, freshClaims, parsedClaims, revokedJti, secondsNow, unsignedToken } from '../tokens.js'

/** Revoked by `{ iss, jti }` only: what the peers can do as well. */
export const NAMESPACE_ONE_SHAPE = 'one-shape'
/** Revoked by token, person, session and application: what the peers cannot. */
export const NAMESPACE_FOUR_SHAPES = 'four-shapes'
export const POOL_SIZE = 10

export const systems: Systems = {
  rescind: (shared) => rescind({ ...redisOf(shared), inFlight: 50 }),
  'rescind-1': (shared) => rescind({ ...redisOf(shared), inFlight: 1 }),
  'rescind-hit': (shared) => rescind({ ...redisOf(shared), inFlight: 50, expected: 'revoked' }),
  'rescind-4-shapes': (shared) =>
    rescind({ ...redisOf(shared), inFlight: 50, namespace: NAMESPACE_FOUR_SHAPES }),
  'ioredis-1': (shared) => ioredis({ ...redisOf(shared), inFlight: 1 }),
  'ioredis-50': (shared) => ioredis({ ...redisOf(shared), inFlight: 50 }),
  'ioredis-autopipeline-50': (shared) => ioredis({ ...redisOf(shared), inFlight: 50, autoPipelining: true }),
  'ioredis-jti-autopipeline-50': (shared) =>
    ioredis({ ...redisOf(shared), inFlight: 50, autoPipelining: true, key: 'jti' }),
  'pg-50': (shared) => postgres(sharedText(shared, 'postgresUrl'), 50),
}

interface RescindOptions {
  readonly url: string
  readonly revocations: number
  readonly inFlight: number
  readonly namespace?: string
  readonly expected?: 'clear' | 'revoked'
}

/** A strict check by the claims of a token that a verifier has parsed. */
async function rescind(options: RescindOptions): Promise<System> {
  const { url, revocations, inFlight, namespace = NAMESPACE_ONE_SHAPE, expected = 'clear' } = options
  const { RedisConnection, RedisStore, TokenManager, VerifiedToken } = await import('rescind')
  // The peers wait without limit; a check that was given up would be no measurement.
  const connection = new RedisConnection({ url, checkTimeoutMs: 10_000, connectTimeoutMs: 10_000 })
  const manager = new TokenManager({ store: new RedisStore(connection, { namespace }) })
  let tokens: VerifiedToken[] = []
  const claimsOf = {
    clear: () => freshClaims(secondsNow()),
    revoked: () => ({ ...freshClaims(secondsNow()), jti: revokedJti(randomInt(revocations)) }),
  }[expected]
  // Connects, and learns which shapes are in use.
  await manager.check(new VerifiedToken(claimsOf(), 'header.payload'))
  return {
    inFlight,
    prepare: (count) => {
      tokens = Array.from(
        { length: count },
        () => new VerifiedToken(parsedClaims(claimsOf()), 'header.payload'),
      )
    },
    run: async (index) => {
      const result = await manager.check(tokens[index] as VerifiedToken)
      if (result.status === expected) return
      const cause = result.status === 'unknown' ? result.cause : undefined
      throw new Error(`a check answered ${result.status} for a token that is ${expected}`, { cause })
    },
    close: () => manager.close(),
  }
}

interface IoredisOptions {
  readonly url: string
  readonly inFlight: number
  readonly autoPipelining?: boolean
  /** What stands in the list. */
  readonly key?: 'raw-token' | 'jti'
}

/** The usual hand-made list: the raw token is the key, and EXISTS asks for it. */
async function ioredis(options: IoredisOptions): Promise<System> {
  const { url, inFlight, autoPipelining = false, key = 'raw-token' } = options
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, { enableAutoPipelining: autoPipelining, lazyConnect: true })
  await redis.connect()
  const newKey = key === 'jti' ? () => flat(`bl:${randomUUID()}`) : () => unsignedToken(secondsNow())
  let keys: string[] = []
  return {
    inFlight,
    prepare: (count) => (keys = Array.from({ length: count }, newKey)),
    run: async (index) => {
      const found = await redis.exists(keys[index] as string)
      if (found !== 0) throw new Error('EXISTS found what was never stored')
    },
    close: () => redis.quit(),
  }
}

/** A table with the jti as its primary key, and a statement that every connection prepares once. */
async function postgres(url: string, inFlight: number): Promise<System> {
  const { Pool } = (await import('pg')).default
  const pool = new Pool({ connectionString: url, max: POOL_SIZE, min: POOL_SIZE })
  let ids: string[] = []
  const isRevoked = {
    name: 'is-revoked',
    text: 'SELECT 1 FROM revoked_tokens WHERE jti = $1 AND expires_at > now()',
  }
  await pool.query({ ...isRevoked, values: [randomUUID()] })
  return {
    inFlight,
    prepare: (count) => (ids = Array.from({ length: count }, () => flat(randomUUID()))),
    run: async (index) => {
      const { rowCount } = await pool.query({ ...isRevoked, values: [ids[index] as string] })
      if (rowCount !== 0) throw new Error('the table has a token that was never stored')
    },
    close: () => pool.end(),
  }
}

function redisOf(shared: Shared): { url: string; revocations: number } {
  return { url: sharedText(shared, 'redisUrl'), revocations: sharedNumber(shared, 'revocations') }
}
