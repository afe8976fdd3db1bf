/** All stores of the library agree with a list of everything that was ever said (`model.ts`). */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, it } from 'vitest'
import type { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'
import { expectAgreement, type Run } from './model.js'

let server: RedisServer
let connection: RedisConnection
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rescind-model-'))
  server = await RedisServer.start()
  connection = patientConnection({ url: server.url })
})
afterAll(async () => {
  await connection.close()
  await server.stop()
  await rm(folder, { recursive: true })
})

/** A namespace of its own in place of an emptied server: nothing of one run is seen by the next. */
async function open(): Promise<Run> {
  const onDisk = LmdbStore.open({ path: join(folder, randomBytes(8).toString('hex')) })
  const namespace = () => randomBytes(8).toString('hex')
  const spread = new RedisStore(connection, { namespace: namespace(), partitions: 4 })
  const single = new RedisStore(connection, { namespace: namespace() })
  return {
    stores: [new MemoryStore(), single, spread, onDisk],
    unordered: [spread],
    close: () => onDisk.close(),
  }
}

it('random operations on every store agree with a list of everything ever said', async () => {
  await expectAgreement(open, Number(process.env.RESCIND_MODEL_RUNS ?? 150))
})
