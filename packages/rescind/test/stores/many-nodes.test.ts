/** A receipt must count every node: where a store cannot tell of all that live, it tells of none. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { RedisStore } from '../../src/redis/store.js'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { NODE_LIFE_MS, NODES_MAX } from '../../src/stores/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'

const line = (id: string) => ({ id, name: id, position: '', stalenessMs: 0, entries: 0 })
const isOverloaded = { code: 'ERR_STORE_OVERLOADED' }

describe('more nodes than can be counted', () => {
  it('in memory: those that are known stay, another is refused, and no receipt says that all have it', async () => {
    const store = new MemoryStore()
    for (let i = 0; i < NODES_MAX; i++) await store.announce(line(`n${i}`))
    await expect(store.announce(line('another'))).rejects.toMatchObject(isOverloaded)
    await store.announce(line('n0'))
    await expect(store.nodes()).rejects.toMatchObject(isOverloaded)
    const manager = new TokenManager({ store, replica: false })
    await expect(manager.revoke({ sub: 'a' }, { ack: 'everywhere', timeoutMs: 50 })).rejects.toMatchObject({
      code: 'ERR_ACK_NOT_REACHED',
    })
    expect((await manager.check({ sub: 'a' })).status).toBe('revoked')
    await store.retire('n1')
    await store.retire('n2')
    await store.announce(line('another'))
    expect(await store.nodes()).toHaveLength(NODES_MAX - 1)
    await manager.close()
  })

  it('in memory: the lines of nodes that died make room', async () => {
    const store = new MemoryStore()
    for (let i = 0; i < NODES_MAX; i++) await store.announce(line(`n${i}`))
    const later = performance.now() + NODE_LIFE_MS + 1
    const clock = vi.spyOn(performance, 'now').mockReturnValue(later)
    try {
      await store.announce(line('another'))
      expect((await store.nodes()).map(({ id }) => id)).toEqual(['another'])
    } finally {
      clock.mockRestore()
    }
  })

  it('in a folder: lines of nodes that died go, however many, and then those that live are told of', async () => {
    const path = mkdtempSync(join(tmpdir(), 'rescind-nodes-'))
    const store = LmdbStore.open({ path })
    try {
      const lines = join(path, 'nodes')
      mkdirSync(lines, { recursive: true })
      // From before the machine was started.
      const dead = JSON.stringify({ ...line('dead'), seenMs: Number.MAX_SAFE_INTEGER })
      for (let i = 0; i < NODES_MAX + 100; i++)
        writeFileSync(join(lines, i.toString(16).padStart(32, '0')), dead)
      for (let i = 0; i < 20; i++) await store.announce(line(`n${i}`))
      await expect(store.nodes()).rejects.toMatchObject(isOverloaded)
      for (let i = 0; i < 20; i++) await store.announce(line(`n${i}`))
      expect(await store.nodes()).toHaveLength(20)
    } finally {
      await store.close()
      rmSync(path, { recursive: true, force: true })
    }
  })

  it('on Redis: lines of nodes that died are none of them', async () => {
    const server = await RedisServer.start()
    const store = new RedisStore(patientConnection({ url: server.url }))
    const announce = (agoMs: number) =>
      server.command(
        'HSET',
        'rescind:{main.0}:nodes',
        ...Array.from({ length: NODES_MAX }, (_, i) => [
          `n${i}`,
          `${Date.now() - agoMs} {"name":"x"}`,
        ]).flat(),
      )
    try {
      await announce(0)
      await expect(store.nodes()).rejects.toMatchObject(isOverloaded)
      await announce(10_000)
      await store.announce(line('me'))
      expect((await store.nodes()).map(({ id }) => id)).toEqual(['me'])
    } finally {
      await store.close()
      await server.stop()
    }
  })
})
