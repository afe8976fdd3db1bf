/**
 * What is given back to a store comes from whoever may write. Nothing of it makes the store unreadable for the others, or
 * a revocation impossible; and what a node could really have read is taken as ever.
 */
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { KIND_RESTORE, KIND_REVOKE, RECORD_BYTES, writeRecord } from '../../src/core/record.js'
import { ANY_TIME } from '../../src/core/revocation.js'
import { EVERYTHING, parseTarget, type ParsedTarget, type Shape } from '../../src/core/target.js'
import { RedisStore } from '../../src/redis/store.js'
import type { ReseedOptions } from '../../src/stores/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'

const NEVER = 0xffff_ffff
const now = Math.floor(Date.now() / 1000)
let server: RedisServer
let redis: Redis
let namespaces = 0
let namespace: string
let store: RedisStore
let open: TokenManager[]

beforeAll(async () => {
  server = await RedisServer.start()
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})
beforeEach(() => {
  namespace = `given${++namespaces}`
  store = newStore()
  open = []
})
afterEach(async () => {
  await Promise.all(open.map((manager) => manager.close()))
  await store.close()
})

function newStore(): RedisStore {
  return new RedisStore(patientConnection({ url: server.url }), { namespace })
}

/** A node that has read all that stands. */
async function newNode(): Promise<TokenManager> {
  const manager = new TokenManager({ store: newStore() })
  open.push(manager)
  await manager.ready()
  return manager
}

interface Line {
  target: ParsedTarget
  kind?: number
  at?: number
  end?: number
}

function lines(...all: Line[]): Buffer {
  const bytes = Buffer.alloc(all.length * RECORD_BYTES)
  for (const [i, { target, kind = KIND_REVOKE, at = now - 60, end = now + 600 }] of all.entries()) {
    const { digest } = target
    writeRecord(bytes, i * RECORD_BYTES, { operation: 1, digest, end, issuedBefore: ANY_TIME, at })
    bytes[i * RECORD_BYTES + 28] = kind
  }
  return bytes
}

function give(records: Buffer, over: Partial<ReseedOptions> = {}): Promise<number | undefined> {
  return store.reseed(records, {
    ...{ giver: 'a node', now, shapes: [['sub']], end: now + 600, isLast: false },
    ...over,
  })
}

const target = (sub: string) => parseTarget({ sub })
const isRevoked = async (claims: Record<string, unknown>) => {
  const manager = await newNode()
  const [known, asked] = await Promise.all([
    manager.check(claims),
    manager.check(claims, { consistency: 'strict' }),
  ])
  return [known.status, asked.status]
}

describe('what is given back', () => {
  it('is taken where a node can have read it: statements, restores, and their shapes', async () => {
    await give(lines({ target: target('a') }, { target: target('b') }))
    await give(lines({ target: target('b'), kind: KIND_RESTORE, at: now }))
    expect(await isRevoked({ sub: 'a' })).toEqual(['revoked', 'revoked'])
    expect(await isRevoked({ sub: 'b' })).toEqual(['clear', 'clear'])
  })

  const IMPOSSIBLE: [string, unknown][] = [
    ['in another order', ['sub', 'iss']],
    ['with a name twice', ['sub', 'sub']],
    ['with an empty name', ['']],
    ['with a name that is too long', ['x'.repeat(129)]],
    ['with half a character', ['\ud800']],
    ['with a name that is reserved', ['#digest']],
    ['with too many names', Array.from({ length: 9 }, (_, i) => `claim${i}`)],
    ['that is none', 'sub'],
    ['with a name that is no text', [1]],
  ]
  for (const [what, shape] of IMPOSSIBLE)
    it(`brings no shape into use ${what}`, async () => {
      const manager = await newNode()
      await manager.revoke({ sub: 'a' })
      const shapes = [shape as Shape]
      await expect(give(lines(), { shapes, end: NEVER - 1 })).rejects.toMatchObject({
        code: 'ERR_OPTION_INVALID',
      })
      expect(await isRevoked({ sub: 'a' })).toEqual(['revoked', 'revoked'])
    })

  it('brings no more shapes than a node can know', async () => {
    const shapes = Array.from({ length: 65 }, (_, i) => [`claim${i}`])
    await expect(give(lines(), { shapes })).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })

  for (const kind of [0, 0x13, 0x15, 0x11 + 0x10, 0xff])
    it(`brings no record of kind ${kind}, which no reader knows, and none beside it`, async () => {
      await (await newNode()).revoke({ sub: 'a' })
      const records = lines({ target: target('b') }, { target: target('a'), kind })
      await expect(give(records)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
      expect(await isRevoked({ sub: 'a' })).toEqual(['revoked', 'revoked'])
      expect(await isRevoked({ sub: 'b' })).toEqual(['clear', 'clear'])
    })

  it('brings no half of a record, and no more than a node gives at once', async () => {
    for (const records of [Buffer.alloc(RECORD_BYTES - 1), Buffer.alloc(16_641 * RECORD_BYTES, 0x11)])
      await expect(give(records)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })

  it('brings no time that is none', async () => {
    for (const over of [{ now: NaN }, { now: -1 }, { end: 2 ** 32 }, { end: 1.5 }])
      await expect(give(lines(), over)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })

  it('makes nobody immune by a time that no clock can be ahead by: not one, and not all', async () => {
    for (const [revoke, given] of [
      [(manager: TokenManager) => manager.revoke({ sub: 'mallory' }), target('mallory')],
      [(manager: TokenManager) => manager.revokeAll({ issuedBefore: null }), EVERYTHING],
    ] as const) {
      for (const kind of [KIND_RESTORE, KIND_REVOKE])
        for (const at of [now + 4000, NEVER - 1, NEVER])
          expect(await give(lines({ target: given, kind, at, end: NEVER - 1 }))).toBe(0)
      const manager = await newNode()
      await revoke(manager)
      expect(await isRevoked({ sub: 'mallory' })).toEqual(['revoked', 'revoked'])
    }
  })

  it('leaves out what is of such a time, and takes what stands beside it', async () => {
    const records = lines(
      { target: target('a') },
      { target: target('b'), at: NEVER },
      { target: target('c') },
    )
    expect(await give(records)).toBe(2)
    expect(await isRevoked({ sub: 'c' })).toEqual(['revoked', 'revoked'])
  })

  it('hides no loss: where a revocation was left out, the part that was lost is still missed', async () => {
    const torn = () => redis.hget(`rescind:{${namespace}.0}:meta`, 'torn')
    await give(lines({ target: target('a') }))
    await redis.hset(`rescind:{${namespace}.0}:meta`, 'torn', String(now + 600))
    await give(lines({ target: target('b'), at: NEVER }), { isLast: true })
    expect(await torn()).toBe(String(now + 600))
    // A restore that is left out lets nobody in.
    await give(lines({ target: target('b'), kind: KIND_RESTORE, at: NEVER }), { isLast: true })
    expect(await torn()).toBeNull()
  })
})

describe('a store that was poisoned before', () => {
  it('is read by its other shapes, where one is in use that no target can have', async () => {
    const manager = await newNode()
    await manager.revoke({ sub: 'a' })
    const key = `rescind:{${namespace}.0}:shapes`
    for (const shape of ['["sub","iss"]', '["sub","sub"]', '[""]'])
      await redis.append(key, `\n${NEVER - 1} ${shape}`)
    expect(await isRevoked({ sub: 'a' })).toEqual(['revoked', 'revoked'])
    await manager.revoke({ sid: 's' })
    expect(await isRevoked({ sid: 's' })).toEqual(['revoked', 'revoked'])
  })

  it('refuses a revocation after a restore at the end of all times, and says so, rather than keep a void one', async () => {
    const manager = await newNode()
    await manager.revoke({ sub: 'a' })
    await manager.revoke({ sub: 'b' })
    // The record as a restore at the last second leaves it: version 1 and a restore, its time, the target.
    const { digest } = target('a')
    const record = Buffer.from([
      0x30,
      0xff,
      0xff,
      0xff,
      0xff,
      1,
      3,
      ...Buffer.from('sub'),
      1,
      ...Buffer.from('a'),
    ])
    const key = `rescind:{${namespace}.0}:r:${digest}`
    await redis.set(key, record)
    const position = await store.position()
    await expect(manager.revoke({ sub: 'a' })).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    expect(await redis.getBuffer(key)).toEqual(record)
    expect(await store.position()).toBe(position)
    expect(await isRevoked({ sub: 'b' })).toEqual(['revoked', 'revoked'])
  })
})
