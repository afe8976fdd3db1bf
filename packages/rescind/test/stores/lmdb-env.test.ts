import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseTarget } from '../../src/core/target.js'
import { openStore } from '../../src/open-store.js'
import type { Store } from '../../src/stores/store.js'

it('the environment chooses the store: by what is set, or by name', async () => {
  const path = await mkdtemp(join(tmpdir(), 'rescind-env-'))
  const kindOf = async (env: Record<string, string>) => {
    const store = openStore(env)
    await store.close()
    return store.kind
  }
  expect(await kindOf({ RESCIND_DATA_DIR: path })).toBe('lmdb')
  expect(await kindOf({ RESCIND_DATA_DIR: path, REDIS_HOST: 'localhost' })).toBe('redis')
  expect(await kindOf({ RESCIND_DATA_DIR: path, REDIS_HOST: 'localhost', RESCIND_STORE: 'lmdb' })).toBe(
    'lmdb',
  )
  expect(await kindOf({ RESCIND_DATA_DIR: path, RESCIND_STORE: 'memory' })).toBe('memory')
  expect(await kindOf({ RESCIND_STORE: 'redis' })).toBe('redis')
  expect(() => openStore({ RESCIND_STORE: 'lmdb' })).toThrow('RESCIND_DATA_DIR is missing')
  expect(() => openStore({ RESCIND_STORE: 'canary' })).toThrow(
    'RESCIND_STORE must be one of: redis, lmdb, memory',
  )
  await rm(path, { recursive: true })
})

it.each([
  ['REDIS_PASSWORD', 's3cret'],
  ['REDIS_PORT', '6380'],
  ['REDIS_TLS', 'true'],
  ['REDIS_TLS_CA_FILE', '/etc/ca.pem'],
  ['REDIS_SENTINEL_NAME', 'mymaster'],
])('%s alone is a mistake, and no memory that forgets', async (name, value) => {
  const open = () => openStore({ [name]: value })
  expect(open).toThrow(`${name.replace('_FILE', '')} set, and nothing that says where Redis is`)
  expect(open).not.toThrow('s3cret')
  expect(() => openStore({ [name]: value, RESCIND_DATA_DIR: '/nowhere' })).toThrow('where Redis is')
  const chosen = openStore({ [name]: value, RESCIND_STORE: 'memory' })
  expect(chosen.kind).toBe('memory')
  await chosen.close()
})

it('what Kubernetes says of a Service named redis is no port of Redis', async () => {
  const link = {
    REDIS_PORT: 'tcp://10.0.0.1:6379',
    REDIS_SERVICE_HOST: '10.0.0.1',
    REDIS_SERVICE_PORT: '6379',
  }
  for (const [env, kind] of [
    [link, 'memory'],
    [{ ...link, REDIS_URL: 'redis://redis:6379' }, 'redis'],
    [{ ...link, REDIS_HOST: 'redis' }, 'redis'],
  ] as const) {
    const store = openStore(env)
    expect(store.kind).toBe(kind)
    await store.close()
  }
  expect(() => openStore({ REDIS_HOST: 'redis', REDIS_PORT: 'tcp' })).toThrow('REDIS_PORT must be')
})

it('the bounds of the embedded store are in the environment too', async () => {
  const path = await mkdtemp(join(tmpdir(), 'rescind-env-'))
  const put = (store: Store, sub: string) =>
    store.put(parseTarget({ sub }), { at: 1000, end: 2000, issuedBefore: 1 }, { now: 1000 })
  for (const where of [{ RESCIND_DATA_DIR: path }, {}]) {
    const store = openStore({ ...where, RESCIND_ENTRIES_MAX: '1', RESCIND_BYTES_MAX: '2000000' })
    await put(store, 'a')
    await expect(put(store, 'b')).rejects.toThrow('RESCIND_ENTRIES_MAX')
    await store.close()
  }
  expect(() =>
    openStore({ RESCIND_STORE: 'lmdb', RESCIND_ENTRIES_MAX: '0', RESCIND_BYTES_MAX: '9' }),
  ).toThrow(/RESCIND_DATA_DIR is missing[^]*RESCIND_ENTRIES_MAX must be[^]*RESCIND_BYTES_MAX must be/)
  expect(() => openStore({ RESCIND_ENTRIES_MAX: '9000000' })).toThrow('RESCIND_ENTRIES_MAX must be')
  await rm(path, { recursive: true })
})
