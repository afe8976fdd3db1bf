/**
 * The systems of the benchmark `check`: is this token revoked?
 *
 * Each loads by itself what it measures, so that no process holds, or waits for, the libraries of the others.
 */
import type { Systems } from '../system.js'
import { bareProbe } from './check/bare-probe.js'
import { ioredis } from './check/ioredis.js'
import { nodeRedis } from './check/node-redis.js'
import { postgres } from './check/postgres.js'
import { replica, strict } from './check/rescind.js'
import { stringSet } from './check/string-set.js'

export const systems: Systems = {
  rescind: replica({ of: 'claims' }),
  'rescind-hit': replica({ of: 'claims', expected: 'revoked' }),
  'rescind-known': replica({ of: 'token' }),
  'rescind-known-hit': replica({ of: 'token', expected: 'revoked' }),
  'rescind-4-shapes': replica({ of: 'claims', log: 'fourShapes' }),
  'rescind-10m': replica({ of: 'claims', log: 'large' }),
  'rescind-hit-10m': replica({ of: 'claims', log: 'large', expected: 'revoked' }),
  'rescind-known-10m': replica({ of: 'token', log: 'large' }),
  'rescind-known-hit-10m': replica({ of: 'token', log: 'large', expected: 'revoked' }),
  'rescind-strict-1': strict({ inFlight: 1 }),
  'rescind-strict-50': strict({ inFlight: 50 }),
  'rescind-strict-hit-50': strict({ inFlight: 50, expected: 'revoked' }),
  ...Object.fromEntries(
    [1, 50, 500].flatMap((inFlight) => [
      [`ioredis-${inFlight}`, ioredis({ inFlight })],
      [`ioredis-autopipeline-${inFlight}`, ioredis({ inFlight, autoPipelining: true })],
    ]),
  ),
  'ioredis-raw-token-autopipeline-50': ioredis({ inFlight: 50, autoPipelining: true, key: 'raw-token' }),
  'node-redis-50': nodeRedis({ inFlight: 50 }),
  'node-redis-cache-miss-50': nodeRedis({ inFlight: 50, cache: 'misses' }),
  'node-redis-cache-hit': nodeRedis({ inFlight: 50, cache: 'hits' }),
  'pg-50': postgres({ inFlight: 50 }),
  'string-set': stringSet,
  'bare-probe': bareProbe({ log: 'normal' }),
  'bare-probe-dependent': bareProbe({ log: 'normal', isDependent: true }),
  'bare-probe-10m': bareProbe({ log: 'large' }),
  'bare-probe-dependent-10m': bareProbe({ log: 'large', isDependent: true }),
}
