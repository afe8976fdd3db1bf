/** For tests that measure no deadline: a machine that is busy with other tests is no outage. */
import { RedisConnection } from '../../src/redis/connection.js'
import type { RedisConnectionOptions } from '../../src/redis/plan.js'

export const PATIENCE_MS = 10_000

/** The same for a process that reads its environment. */
export const PATIENT_ENV = {
  REDIS_CONNECT_TIMEOUT_MS: String(PATIENCE_MS),
  RESCIND_CHECK_TIMEOUT_MS: String(PATIENCE_MS),
  RESCIND_WRITE_TIMEOUT_MS: String(PATIENCE_MS),
}

/** @example patientConnection({ url: server.url }) */
export function patientConnection(options: RedisConnectionOptions): RedisConnection {
  return new RedisConnection({
    connectTimeoutMs: PATIENCE_MS,
    checkTimeoutMs: PATIENCE_MS,
    writeTimeoutMs: PATIENCE_MS,
    ...options,
  })
}
