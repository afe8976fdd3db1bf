/** A service on a real Redis, for tests; and its like on an embedded file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aclRules } from 'rescind'
import { whenThisProcessEnds } from '../../../rescind/test/support/leash.js'
import { PATIENT_ENV } from '../../../rescind/test/support/patient.js'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import { startWorld, type World, type WorldOptions } from '../support/service.js'

const USER = 'rescind'
const PASSWORD = 'password-of-a-test'

/** A Redis that lets the service do what `docs/redis-acl.md` says, and nothing more. */
export async function startRedis(): Promise<RedisServer> {
  const server = await RedisServer.start()
  await allowService(server)
  return server
}

/** Again after a restart: the server does not keep its users. */
export async function allowService(server: RedisServer): Promise<void> {
  await server.command('ACL', 'SETUSER', USER, 'on', `>${PASSWORD}`, ...aclRules().service)
}

/** Resolves when it may write: a connection that is slow to open refuses what it is asked first. */
export async function startOnRedis(server: RedisServer, options: WorldOptions = {}): Promise<World> {
  const login = { REDIS_URL: server.url, REDIS_USERNAME: USER, REDIS_PASSWORD: PASSWORD }
  const env = { ...PATIENT_ENV, ...options.env, ...login }
  const world = await inFolder((dataDir) =>
    startWorld({ ...options, store: null, env, config: { dataDir, ...options.config } }),
  )
  const { store, records } = world.service.parts
  await until(() => Promise.all([store.ringForReceipts(), records.read('client', 'none')]), {
    what: 'connections to write on',
  })
  return world
}

export function startOnLmdb(options: WorldOptions = {}): Promise<World> {
  const env = { RESCIND_STORE: 'lmdb' }
  return inFolder((dataDir) =>
    startWorld({ ...options, store: null, env, config: { dataDir, ...options.config } }),
  )
}

/** The folder goes when the test process does. */
function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-api-'))
  whenThisProcessEnds(() => rmSync(folder, { recursive: true, force: true }))
  return work(folder)
}
