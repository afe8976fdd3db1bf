/** A log of several segments that loses one: who has read it gives it back, and who has not does not believe the rest. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import type * as RecordModule from '../../src/core/record.js'
import { RedisStore } from '../../src/redis/store.js'
import type { ReplicaEvent } from '../../src/replica/event.js'
import { MACHINE } from '../../src/surroundings.js'
import { TokenManager } from '../../src/token-manager.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const { RECORDS_MAX } = vi.hoisted(() => ({ RECORDS_MAX: 100 }))
vi.mock('../../src/core/record.js', async (importOriginal) => ({
  ...(await importOriginal<typeof RecordModule>()),
  SEGMENT_BYTES_MAX: (RECORDS_MAX + 1) * 32,
}))

const ISS = 'https://login.example.com'
/** Nodes compare what they have read with what the store keeps every ten seconds of this clock. */
const SPEED = 20

it('a segment of long ago that is lost is noticed by those who have read it, and given back', async () => {
  const server = await RedisServer.start()
  const open: TokenManager[] = []
  onTestFinished(async () => {
    await Promise.all(open.map((manager) => manager.close()))
    await server.stop()
  })
  const node = (speed = 1) => {
    const surroundings = { ...MACHINE, monotonic: () => performance.now() * speed }
    const connection = patientConnection({ url: server.url })
    const manager = new TokenManager({ store: new RedisStore(connection, { surroundings }) })
    open.push(manager)
    return manager
  }
  const one = node(SPEED)
  await one.ready()
  const count = RECORDS_MAX + 10
  const expiresAt = Math.floor(Date.now() / 1000) + 1800
  for (let n = 0; n < count; n++) await one.revoke({ jti: `${n}`, iss: ISS }, { expiresAt })
  expect(await server.command('EXISTS', 'rescind:{main.0}:log:2')).toBe(1)
  expect(await server.command('EXISTS', 'rescind:{main.0}:log:3')).toBe(0)
  await until(() => one.replica!.size === count, { what: 'the node to know all' })
  const events: ReplicaEvent[] = []
  void (async () => {
    for await (const event of one.replica!.events()) events.push(event)
  })()
  await server.command('DEL', 'rescind:{main.0}:log:1')
  const stranger = node()
  await expect(stranger.ready({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'ERR_REPLICA_STALE' })
  await until(() => events.some(({ type }) => type === 'reseeded'), {
    what: 'the mending',
    timeoutMs: 15_000,
  })
  await stranger.ready()
  expect(stranger.replica!.size).toBe(count)
  // Once it is mended it is no news any more.
  const rereads = () => events.filter(({ type }) => type === 'reread').length
  const before = rereads()
  await sleep(1200)
  expect(rereads()).toBe(before)
  // And when nobody is left who has read it, a node that comes new does not believe a log without its last segment.
  await Promise.all(open.splice(0).map((manager) => manager.close()))
  const last = await server.command<string>('HGET', 'rescind:{main.0}:meta', 'segment')
  await server.command('DEL', `rescind:{main.0}:log:${last}`)
  const late = node()
  await expect(late.ready({ timeoutMs: 500 })).rejects.toMatchObject({ code: 'ERR_REPLICA_STALE' })
  for (let n = 0; n < count; n += 10)
    expect((await late.check({ iss: ISS, jti: `${n}`, iat: 1 })).status).toBe('revoked')
})
