/** Servers that the doctor is sent to, and what it found there. Whatever was started ends after each test. */
import { afterEach } from 'vitest'
import { RedisConnection } from '../../src/redis/connection.js'
import type { FindingCode } from '../../src/redis/findings.js'
import { inspect, type Inspection, type InspectOptions } from '../../src/redis/inspect.js'
import type { RedisConnectionOptions } from '../../src/redis/plan.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { RedisServer, type RedisServerOptions } from '../support/redis-server.js'

export const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

export async function start(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await RedisServer.start(options)
  open.push({ close: () => server.stop() })
  return server
}

export async function inspectAt(
  at: RedisServer | RedisConnectionOptions,
  options: InspectOptions = {},
  login: RedisConnectionOptions = {},
): Promise<Inspection> {
  const connection = new RedisConnection(at instanceof RedisServer ? { url: at.url, ...login } : at)
  try {
    return await inspect(connection, options)
  } finally {
    await connection.close()
  }
}

export async function revokeSome(server: RedisServer, count = 3): Promise<void> {
  const manager = new TokenManager({
    store: new RedisStore(new RedisConnection({ url: server.url }), { allowEviction: true }),
    replica: false,
  })
  for (let i = 0; i < count; i++) await manager.revoke({ sub: `user-${i}` })
  await manager.close()
}

export const codes = ({ findings }: Inspection): FindingCode[] => findings.map(({ code }) => code)
export const figures = ({ findings }: Inspection, code: FindingCode) =>
  findings.find((each) => each.code === code)?.figures
