import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { describeStore } from './contract.js'

describeStore('LmdbStore', async () => {
  const path = await mkdtemp(join(tmpdir(), 'rescind-lmdb-'))
  const [store, other] = [LmdbStore.open({ path }), LmdbStore.open({ path })]
  return {
    store,
    other,
    stop: async () => {
      await store.close()
      await other.close()
      await rm(path, { recursive: true })
    },
  }
})
