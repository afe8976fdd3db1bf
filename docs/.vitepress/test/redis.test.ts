/** The settings of `docs/redis.md` are what the doctor asks for. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { RedisConnection } from '../../../packages/rescind/src/redis/connection.js'
import { inspect } from '../../../packages/rescind/src/redis/inspect.js'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import { until } from '../../../packages/rescind/test/support/until.js'

/** What is no matter of these settings: users, an empty namespace, an old version; and what the page says itself. */
const ACCEPTED = [
  'default_user_open_locally',
  'may_write',
  'may_destroy',
  'namespace_missing',
  'version_vulnerable',
  'appendfsync_everysec',
]

it('a primary with the settings of the page, and a replica, leave the doctor nothing to say', async () => {
  const page = await readFile(join(import.meta.dirname, '../../redis.md'), 'utf8')
  const [, block = ''] = /^```conf\n([^]*?)^```/m.exec(page) ?? []
  const config = Object.fromEntries(
    [...block.matchAll(/^([a-z-]+) (\S+)$/gm)].map(([, name, value]) => [name, value]),
  )
  expect(Object.keys(config).length).toBe(6)

  const primary = await RedisServer.start({
    persistence: true,
    // So that a replica is in step at once, and not after five seconds.
    config: { ...config, 'repl-diskless-sync-delay': '0' },
  })
  const replica = await RedisServer.start({ config: { replicaof: `127.0.0.1 ${primary.port}` } })
  const connection = RedisConnection.fromEnv({ REDIS_URL: primary.url })
  try {
    const others = async () => {
      const { findings } = await inspect(connection, { namespace: 'main' })
      return findings.map(({ code }) => code).filter((code) => !ACCEPTED.includes(code))
    }
    await until(async () => !(await others()).join().includes('replica'), { what: 'a replica in step' })
    expect(await others()).toEqual([])
  } finally {
    await connection.close()
    await RedisServer.stopAll([primary, replica])
  }
})
