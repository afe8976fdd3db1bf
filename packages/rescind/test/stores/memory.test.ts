import { describe, expect, it } from 'vitest'
import { parseTarget } from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { describeStore, entry } from './contract.js'

describeStore('MemoryStore', async () => {
  const store = new MemoryStore()
  return { store, other: store, stop: () => store.close() }
})

describe('MemoryStore has a bound', () => {
  const now = Math.floor(Date.now() / 1000)

  it('refuses a revocation when it is full, keeps all others, and takes new ones when old ones have ended', async () => {
    const store = new MemoryStore({ entriesMax: 3 })
    const put = (sub: string, at: number) =>
      store.put(parseTarget({ sub }), entry({ at, end: at + 60 }), { now: at })
    for (const sub of ['a', 'b', 'c']) await put(sub, now)
    await expect(put('d', now)).rejects.toSatisfy((error) => hasCode(error, 'ERR_STORE_FULL'))
    await put('a', now + 1)
    expect((await store.list({ now, limit: 10 })).revocations.map(({ target }) => target.sub).sort()).toEqual(
      ['a', 'b', 'c'],
    )
    await put('d', now + 10_000)
    expect(
      (await store.list({ now: now + 10_000, limit: 10 })).revocations.map(({ target }) => target.sub),
    ).toEqual(['d'])
  })

  it('refuses to promise replicas', async () => {
    const store = new MemoryStore()
    await expect(store.put(parseTarget({ sub: 'a' }), entry(), { now, ack: 'replicated' })).rejects.toSatisfy(
      (error) => hasCode(error, 'ERR_ACK_UNSUPPORTED'),
    )
  })
})
