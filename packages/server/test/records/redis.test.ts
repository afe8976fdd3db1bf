import { RedisConnection } from 'rescind'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisCluster } from '../../../rescind/test/support/redis-cluster.js'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import { TRAIL_SLACK } from '../../src/records/records.js'
import { RedisRecords } from '../../src/records/redis.js'
import { describeRecords } from './contract.js'

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.stop())

function recordsOn(url: string, trailMax = 100, namespace = 'main'): RedisRecords {
  const connection = new RedisConnection({ url, writeTimeoutMs: 5000 })
  return new RedisRecords({ connection, namespace, trailMax })
}

describeRecords('RedisRecords', {
  open: async (trailMax) => {
    await server.command('FLUSHALL')
    const [records, other] = [recordsOn(server.url, trailMax), recordsOn(server.url, trailMax)]
    return { records, other, stop: async () => void (await Promise.all([records.close(), other.close()])) }
  },
})

describe('RedisRecords on a server', () => {
  it('keep to the keys of their namespace, which share one hash tag', async () => {
    await server.command('FLUSHALL')
    const [records, other] = [recordsOn(server.url), recordsOn(server.url, 100, 'main.other')]
    await records.write('client', 'a', 'x')
    await records.write('once', 'b', 'x', { lifeSeconds: 60 })
    await records.append('x', 'about')
    expect(await other.read('client', 'a')).toBeUndefined()
    expect((await other.trail({ limit: 1 })).entries).toEqual([])
    expect((await server.command<string[]>('KEYS', '*')).sort()).toEqual([
      'rescind:{main}:about',
      'rescind:{main}:audit',
      'rescind:{main}:client',
      'rescind:{main}:once:b',
    ])
    await Promise.all([records.close(), other.close()])
  })

  it('keep nothing of entries that are gone, where the bound was lowered too', async () => {
    await server.command('FLUSHALL')
    const [many, few] = [recordsOn(server.url, 100), recordsOn(server.url, 10)]
    for (let i = 0; i < 100; i++) await many.append('x', `about-${i % 7}`)
    for (let i = 0; i < 2 * TRAIL_SLACK; i++) await few.append('x', 'about')
    const length = await server.command('XLEN', 'rescind:{main}:audit')
    expect(length).toBeLessThanOrEqual(10 + TRAIL_SLACK)
    expect(await server.command('ZCARD', 'rescind:{main}:about')).toBe(length)
    await Promise.all([many.close(), few.close()])
  })

  it('keep their bound also when each process appends once', async () => {
    await server.command('FLUSHALL')
    for (let i = 0; i < 30; i++) {
      const records = recordsOn(server.url, 10)
      await records.append('x', 'about')
      await records.close()
    }
    expect(await server.command('XLEN', 'rescind:{main}:audit')).toBe(10)
  })

  it('ask Redis three times for an entry, and little more when the trail is full', async () => {
    await server.command('FLUSHALL')
    const records = recordsOn(server.url, 100)
    const callsOf = async (appends: number) => {
      await server.command('CONFIG', 'RESETSTAT')
      for (let i = 0; i < appends; i++) await records.append('x', `about-${i}`)
      const stats = await server.command<string>('INFO', 'commandstats')
      return [...stats.matchAll(/^cmdstat_(?!info|config)\S+?:calls=(\d+)/gm)].reduce(
        (sum, [, calls]) => sum + Number(calls),
        0,
      )
    }
    await callsOf(TRAIL_SLACK)
    expect((await callsOf(4 * TRAIL_SLACK)) / (4 * TRAIL_SLACK)).toBeLessThan(3.1)
    await callsOf(4 * TRAIL_SLACK)
    expect((await callsOf(4 * TRAIL_SLACK)) / (4 * TRAIL_SLACK)).toBeLessThan(3.3)
    await records.close()
  })

  it('fail, and answer nothing, while the server is away, and go on when it is back', async () => {
    const own = await RedisServer.start({ persistence: true })
    const records = recordsOn(own.url)
    try {
      await records.write('client', 'a', 'x')
      await own.kill()
      for (const call of [
        records.read('client', 'a'),
        records.all('client'),
        records.write('once', 'b', 'x', { isNew: true, lifeSeconds: 60 }),
        records.append('x'),
        records.trail({ limit: 1 }),
      ])
        await expect(call).rejects.toMatchObject({ code: /ERR_STORE_(UNAVAILABLE|TIMEOUT)/ })
      await own.restart()
      await until(async () => (await records.read('client', 'a')) === 'x', { what: 'the records to be back' })
    } finally {
      await records.close()
      await own.stop()
    }
  })

  it('work on a cluster', async () => {
    const cluster = await RedisCluster.start()
    const connection = new RedisConnection({ cluster: cluster.nodes })
    const records = new RedisRecords({ connection, namespace: 'main', trailMax: 100 })
    try {
      expect(await records.write('client', 'a', 'x', { isNew: true })).toBe(true)
      expect(await records.write('once', 'b', 'y', { isNew: true, lifeSeconds: 60 })).toBe(true)
      expect(await records.append('z', 'a')).toMatch(/^\d+-\d+$/)
      expect([...(await records.all('client'))]).toEqual([['a', 'x']])
      expect(await records.read('once', 'b')).toBe('y')
      expect((await records.trail({ limit: 1, about: 'a' })).entries[0]?.text).toBe('z')
    } finally {
      await records.close()
      await cluster.stop()
    }
  })
})
