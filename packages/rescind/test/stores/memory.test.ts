import { describe, expect, it } from 'vitest'
import { readRecord, RECORD_BYTES } from '../../src/core/record.js'
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

  it('keeps no line of its log for a long ban but its own', async () => {
    const store = new MemoryStore({ entriesMax: 100 })
    const put = (sub: string, at: number, end: number) =>
      store.put(parseTarget({ sub }), entry({ at, end }), { now: at })
    await put('banned', now, now + 315_360_000)
    for (let i = 1; i <= 5000; i++) await put(`person-${i}`, now + i * 10_000, now + i * 10_000 + 60)
    const { records, isEnd } = await store.readLog(undefined, 1 << 20)
    expect(isEnd).toBe(true)
    const lines = Array.from({ length: records.length / RECORD_BYTES }, (_, i) =>
      readRecord(records, i * RECORD_BYTES),
    )
    expect(lines.length).toBeLessThan(10)
    expect(lines[0]?.digest).toBe(parseTarget({ sub: 'banned' }).digest)
    expect(lines.at(-1)?.digest).toBe(parseTarget({ sub: 'person-5000' }).digest)
  })

  it('refuses a revocation when its log is full, and still restores', async () => {
    const store = new MemoryStore({ entriesMax: 50 })
    const target = parseTarget({ sub: 'a' })
    const turns = async () => {
      for (let i = 0; i < 1000; i++) {
        await store.put(target, entry({ at: now + i, end: now + 5000 }), { now: now + i })
        expect(await store.restore(target, { now: now + i })).toMatchObject({ changed: true })
      }
    }
    await expect(turns()).rejects.toSatisfy((error) => hasCode(error, 'ERR_STORE_FULL'))
    const { records } = await store.readLog(undefined, 1 << 20)
    expect(records.length / RECORD_BYTES).toBeLessThanOrEqual(250)
    // When what was said has ended there is room again.
    const later = now + 20_000
    await store.put(target, entry({ at: later, end: later + 60 }), { now: later })
    expect((await store.list({ now: later, limit: 10 })).revocations).toHaveLength(1)
  })

  it('refuses a bound that is none', () => {
    for (const entriesMax of [NaN, Infinity, 0, -1, 1.5, '5' as unknown as number])
      expect(() => new MemoryStore({ entriesMax })).toThrow(
        'entriesMax must be a whole number from 1 to 8000000',
      )
  })

  it('refuses to promise replicas', async () => {
    const store = new MemoryStore()
    await expect(store.put(parseTarget({ sub: 'a' }), entry(), { now, ack: 'replicated' })).rejects.toSatisfy(
      (error) => hasCode(error, 'ERR_ACK_UNSUPPORTED'),
    )
  })
})
