/** What a program gives and no store takes: told at once, and never overlooked. */
import { expect, it } from 'vitest'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { RemoteStore } from '../../src/stores/remote.js'

const wrong = { minReplica: 1 }
const connection = () => new RedisConnection({ host: 'localhost' })

it.each<[string, () => unknown]>([
  ['RedisStore', () => new RedisStore(connection(), wrong as object)],
  ['RedisConnection', () => new RedisConnection(wrong as object)],
  ['RemoteStore', () => new RemoteStore({ url: 'https://a', key: 'k', ...wrong })],
  ['LmdbStore', () => LmdbStore.open({ path: '/nowhere/at/all', ...wrong })],
  ['MemoryStore', () => new MemoryStore(wrong as object)],
])('%s refuses an option that it does not know', (_, make) => {
  expect(make).toThrow('"minReplica" is not an option')
})

it('an option that is undefined is none', async () => {
  const stores = [
    new RedisStore(connection(), { namespace: undefined, replicas: undefined, surroundings: undefined }),
    new RemoteStore({ url: 'https://a', key: 'k', timeoutMs: undefined, fetch: undefined }),
    new MemoryStore({ entriesMax: undefined }),
  ]
  for (const store of stores) await store.close()
})
