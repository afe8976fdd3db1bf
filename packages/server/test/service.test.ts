import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryStore, RedisConnection, RedisStore } from 'rescind'
import { expect, it, vi } from 'vitest'
import { RedisServer } from '../../rescind/test/support/redis-server.js'
import { makeKey } from '../src/clients/secret.js'
import { configSchema } from '../src/config/schema.js'
import { makeLog } from '../src/log.js'
import { LmdbRecords } from '../src/records/lmdb.js'
import { Service } from '../src/service.js'
import { startWorld } from './support/service.js'

it('answers, is ready while it is fresh, and counts', async () => {
  await using world = await startWorld()
  expect(await (await world.ask('/healthz')).json()).toEqual({ status: 'ok' })
  expect((await world.ask('/readyz')).status).toBe(200)
  const missing = await world.ask('/nothing/here')
  expect(missing.status).toBe(404)
  expect(missing.headers.get('content-type')).toBe('application/problem+json')
  const metrics = await (await world.ask('/metrics')).text()
  expect(metrics).toMatch(/rescind_fresh 1/)
  expect(metrics).toMatch(/rescind_store_up\{kind="memory"\} 1/)
  expect(metrics).not.toContain('/nothing/here')
})

it('makes an admin at its first start, with a key that only its owner reads, and none at the next', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-first-'))
  try {
    const config = configSchema.parse({ listen: { port: 0 }, dataDir: join(folder, 'data') })
    const log = makeLog('silent')
    const first = await Service.start({
      config,
      env: { RESCIND_STORE: 'lmdb' },
      log,
    })
    const { firstAdmin } = first
    await first.stop()
    const path = join(folder, 'data', 'admin-key')
    expect(firstAdmin?.path).toBe(path)
    expect(readFileSync(path, 'utf8').trim()).toBe(firstAdmin?.key)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(existsSync(join(folder, 'data', 'signing-key.pem'))).toBe(true)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('closes what it has opened when it cannot listen, and says what to do', async () => {
  await using world = await startWorld()
  const port = Number(new URL(world.url).port)
  const config = configSchema.parse({ listen: { port } })
  const second = Service.start({ config, log: makeLog('silent'), store: new MemoryStore() })
  await expect(second).rejects.toThrow(/port \d+ is in use/)
})

it('has a store of its own, and follows no other service', async () => {
  const config = configSchema.parse({ listen: { port: 0 } })
  for (const env of [{ RESCIND_URL: 'https://rescind.example' }, { RESCIND_STORE: 'remote' }])
    await expect(Service.start({ config, env, log: makeLog('silent') })).rejects.toThrow(
      'store of another service',
    )
})

it('lets in the admin whose key the environment gives, who may see every token', async () => {
  const key = makeKey()
  await using world = await startWorld({ env: { RESCIND_ADMIN_KEY: key } })
  const answer = await world.ask('/introspect', { key, form: { token: await world.issuer.sign() } })
  expect(await answer.json()).toMatchObject({ active: true })
  // The admin of the same name in the configuration is another, and is let in no more.
  expect((await world.ask('/api/v1/nodes', { key: world.keys.admin })).status).toBe(401)
})

it('takes an empty file of an admin key for a lost one, and makes no admin in its place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-key-'))
  try {
    const path = join(folder, 'admin-key')
    const config = configSchema.parse({ listen: { port: 0 } })
    const start = (env: Record<string, string>) =>
      Service.start({ config, env, log: makeLog('silent'), store: new MemoryStore() })
    writeFileSync(path, '\n')
    await expect(start({ RESCIND_ADMIN_KEY_FILE: path })).rejects.toThrow('names an empty file')
    const key = makeKey()
    writeFileSync(path, `${key}\n`)
    await expect(start({ RESCIND_ADMIN_KEY: key, RESCIND_ADMIN_KEY_FILE: path })).rejects.toThrow('both set')
    await using service = await start({ RESCIND_ADMIN_KEY_FILE: path })
    expect(service.firstAdmin).toBeUndefined()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('warns of no issuer, and of an address that nobody can reach, and otherwise of nothing', async () => {
  const warnings = async (over: Record<string, unknown>) => {
    await using world = await startWorld({ config: over })
    return world.log.split('\n').filter((line) => line.includes('"level":40'))
  }
  expect(await warnings({})).toEqual([])
  expect(await warnings({ issuers: [] })).toEqual([expect.stringContaining('no issuer')])
  const listen = { host: '0.0.0.0', port: 0 }
  expect(await warnings({ listen })).toEqual([expect.stringContaining('RESCIND_PUBLIC_URL')])
  expect(await warnings({ listen, publicUrl: 'https://rescind.example' })).toEqual([])
})

it('on a Redis store that it is given needs to know where that is, for what else it keeps there', async () => {
  const config = configSchema.parse({ listen: { port: 0 } })
  const store = new RedisStore(new RedisConnection({ port: 1 }))
  const closed = vi.spyOn(store, 'close')
  await expect(Service.start({ config, log: makeLog('silent'), store })).rejects.toMatchObject({
    code: 'ERR_CONFIG_INVALID',
    message: expect.stringContaining('env'),
  })
  expect(closed).toHaveBeenCalled()
})

it('reads the log of a Redis store that it is given by another one, for nodes that follow through it', async () => {
  const redis = await RedisServer.start()
  try {
    const store = new RedisStore(new RedisConnection({ url: redis.url }))
    await using world = await startWorld({ store, env: { REDIS_URL: redis.url } })
    const { parts } = world.service
    expect([parts.store, parts.feed.kind]).toEqual([store, 'redis'])
    expect(parts.feed).not.toBe(store)
  } finally {
    await redis.stop()
  }
})

it('closes all that it has opened when a setting cannot be used', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-closed-'))
  try {
    const closed = vi.spyOn(LmdbRecords.prototype, 'close')
    const config = configSchema.parse({ listen: { port: 0 }, dataDir: folder })
    const env = { RESCIND_STORE: 'lmdb', RESCIND_TTL: 'nonsense' }
    await expect(Service.start({ config, env, log: makeLog('silent') })).rejects.toThrow('RESCIND_TTL')
    expect(closed).toHaveBeenCalledOnce()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('is stopped when whoever asks for it again is told so', async () => {
  const store = new MemoryStore()
  let isClosed = false
  const close = store.close.bind(store)
  vi.spyOn(store, 'close').mockImplementation(async () => {
    await close()
    isClosed = true
  })
  const { service } = await startWorld({ store })
  void service.stop()
  await service.stop()
  expect(isClosed).toBe(true)
})

it('writes down what fails in the server while it runs, and goes on', async () => {
  await using world = await startWorld()
  const { server } = (world.service as unknown as { server: { server: Server } }).server
  for (const each of ['first', 'second']) server.emit('error', new Error(`the ${each} failure`))
  expect(world.log).toContain('the first failure')
  expect(world.log).toContain('the second failure')
  expect((await world.ask('/healthz')).status).toBe(200)
})
