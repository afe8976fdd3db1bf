import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openStore } from '../../src/open-store.js'

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
