/** Keys that somebody wrote over on a real Redis: nobody who was revoked is clear, and a node that follows says so. */
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseTarget } from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'
import type { Replica } from '../../src/replica/replica.js'
import { until } from '../support/until.js'
import { Hostile } from './inputs.js'
import { LOG, META, PERSONS, RECORD_KEYS, SHAPES, WrittenOver } from './written-over.js'
import { flipped } from './texts.js'

const hostile = new Hostile('log')
let scene: WrittenOver

beforeAll(async () => {
  scene = await WrittenOver.start()
})
beforeEach(() => scene.restore())
afterAll(() => scene.stop())

describe('meta', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['of a future version', () => scene.redis.hset(META, 'version', '2')],
    ['without a version', () => scene.redis.hdel(META, 'version')],
    ['of another epoch', () => scene.redis.hset(META, 'epoch', 'f'.repeat(16))],
    ['of an epoch that is none', () => scene.redis.hset(META, 'epoch', 'no epoch')],
    ['of an empty epoch', () => scene.redis.hset(META, 'epoch', '')],
    ['without an epoch', () => scene.redis.hdel(META, 'epoch')],
    [
      'of a segment that is none',
      () => scene.redis.hset(META, 'segment', 'x', 's:x', 'y', 's:-1', '1', 's:', ''),
    ],
    ['of a segment that is not there', () => scene.redis.hset(META, 'segment', '2', 's:2', '4000000000')],
    [
      'of a name of every object',
      () => scene.redis.hset(META, '__proto__', '1', 'constructor', '2', 's:__proto__', '3'),
    ],
    [
      'of two thousand segments that are not there',
      () =>
        scene.redis.hset(
          META,
          Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`s:${i + 2}`, '4000000000'])),
        ),
    ],
    ['that is a text', async () => [await scene.redis.del(META), await scene.redis.set(META, 'x')]],
    ['that is a list', async () => [await scene.redis.del(META), await scene.redis.rpush(META, 'x')]],
    ['that is gone', () => scene.redis.del(META)],
  ])('%s: nobody who was revoked is clear', async (_, damage) => {
    await damage()
    await scene.expectNoneClear()
  })
})

describe('shapes and segments', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['shapes that are text', () => scene.redis.set(SHAPES, 'x')],
    ['shapes that are empty', () => scene.redis.set(SHAPES, '')],
    [
      'shapes of a future format',
      () => scene.redis.set(SHAPES, `2 ${scene.end.epoch} 1\n4000000000 ["sub"]`),
    ],
    ['shapes of other partitions', () => scene.redis.set(SHAPES, `${scene.end.epoch} 2\n4000000000 ["sub"]`)],
    ['a segment that is a list', async () => [await scene.redis.del(LOG), await scene.redis.rpush(LOG, 'x')]],
    ['a segment that is gone', () => scene.redis.del(LOG)],
    ['a segment that is empty', () => scene.redis.set(LOG, '')],
  ])('%s: nobody who was revoked is clear', async (_, damage) => {
    await damage()
    await scene.expectNoneClear()
  })
})

describe('without shapes', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['that are gone', () => scene.redis.del(SHAPES)],
    [
      'that are a list, which MGET does not tell from nothing',
      async () => [await scene.redis.del(SHAPES), await scene.redis.rpush(SHAPES, 'x')],
    ],
  ])('%s: nobody who was revoked is clear on a node that comes new', async (_, damage) => {
    await damage()
    await scene.expectNoneClear()
  })
})

describe('a record', () => {
  it('that was cut, or written by others, is never clear', { timeout: hostile.timeoutMs }, async () => {
    const manager = scene.open({ replica: false })
    const key = scene.partition.recordKey(parseTarget({ sub: 'person-0' }).digest)
    const whole = (await scene.redis.getBuffer(key)) as Buffer
    const other = fc.oneof(
      fc.nat({ max: whole.length - 1 }).map((length) => whole.subarray(0, length)),
      fc
        .uint8Array({ maxLength: 60 })
        .map((bytes) =>
          Buffer.concat([
            Buffer.from([bytes[0] === undefined ? 0 : (bytes[0] & 0x1f) + 0x40]),
            Buffer.from(bytes),
          ]),
        ),
      fc.string({ maxLength: 40 }).map((text) => Buffer.from(`{"revoked":false,"${text}":1}`)),
    )
    try {
      await fc.assert(
        fc.asyncProperty(other, async (bytes) => {
          await scene.redis.set(key, bytes)
          const result = await hostile.later(() => manager.check({ sub: 'person-0' }))
          expect(result).toMatchObject({ status: 'unknown', cause: { code: 'ERR_STORE_CORRUPT' } })
        }),
        hostile.runs(0.15),
      )
      await scene.redis.del(key)
      await scene.redis.rpush(key, 'x')
      // MGET answers nil for what is no text: a key of another type cannot be told from none.
      expect(await manager.check({ sub: 'person-0' })).toEqual({ status: 'clear' })
    } finally {
      await manager.close()
    }
  })

  it('that a writer of a future version left is not written over', async () => {
    const manager = scene.open({ replica: false })
    try {
      const [key] = await scene.redis.keys(RECORD_KEYS)
      const whole = (await scene.redis.getBuffer(key as string)) as Buffer
      for (const sub of PERSONS) {
        await scene.redis.set(key as string, Buffer.concat([Buffer.from([0x41]), whole.subarray(1)]))
        const outcome: unknown = await manager.revoke({ sub }).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(hasCode(outcome, 'ERR_STORE_CORRUPT')).toBe(true)
      }
      expect((await scene.redis.getBuffer(key as string))?.[0]).toBe(0x41)
    } finally {
      await manager.close()
    }
  })
})

describe('a node that follows', () => {
  // Another history is told at once; of what cannot be read at all it only does not become fresh again.
  it.each<[string, boolean, () => Promise<unknown>]>([
    [
      'that was changed where it is read on',
      true,
      () => scene.redis.set(LOG, flipped(scene.log, scene.log.length - 1)),
    ],
    ['that was cut', true, () => scene.redis.set(LOG, scene.log.subarray(0, 400))],
    ['of another format', true, () => scene.redis.set(LOG, Buffer.alloc(scene.log.length, 'RSL2'))],
    ['that is a list', false, async () => [await scene.redis.del(LOG), await scene.redis.rpush(LOG, 'x')]],
  ])('a log %s: it says so, and what it knew is revoked all the time', async (_, isOther, damage) => {
    const manager = scene.open()
    const ended = new AbortController()
    try {
      await manager.ready()
      const replica = manager.replica as Replica
      const told: string[] = []
      const withdrawn: number[] = []
      const listening = (async () => {
        for await (const { type } of replica.events({ signal: ended.signal })) {
          told.push(type)
          // Until all of the log was read again, it is not fresh.
          if (type === 'reread') withdrawn.push(replica.stalenessMs)
        }
      })()
      await damage()
      await until(() => told.some((type) => type === 'reread' || type === 'stale'), {
        what: 'the node to notice',
      })
      expect(withdrawn.every((staleness) => staleness === Infinity)).toBe(true)
      expect(withdrawn.length > 0).toBe(isOther)
      for (const sub of PERSONS) expect(await manager.isRevoked({ sub })).toBe(true)
      ended.abort()
      await listening
    } finally {
      ended.abort()
      await manager.close()
    }
  })
})
