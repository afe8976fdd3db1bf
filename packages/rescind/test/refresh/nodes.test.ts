/** Families of refresh tokens among several nodes, on real stores. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseTarget } from '../../src/core/target.js'
import { Gate } from '../../src/gate.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import {
  type RefreshClaims,
  RefreshFamilies,
  type RefreshFamiliesOptions,
  type Rotation,
} from '../../src/refresh/index.js'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { MemoryStore } from '../../src/stores/memory.js'
import type { Store } from '../../src/stores/store.js'
import { TokenManager, type TokenManagerOptions } from '../../src/token-manager.js'
import { AUDIENCE, ISSUER, type Issuer, makeIssuer } from '../support/issuer.js'
import { rememberToken } from '../support/canary.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const NODES = 4
const ALICE = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', client_id: 'app' }

let redis: RedisServer
let replica: RedisServer
let folder: string
let issuer: Issuer
beforeAll(async () => {
  const config = { 'repl-diskless-sync-delay': '0' }
  redis = await RedisServer.start({ config })
  replica = await RedisServer.start({ config: { ...config, replicaof: `127.0.0.1 ${redis.port}` } })
  folder = await mkdtemp(join(tmpdir(), 'rescind-refresh-'))
  issuer = await makeIssuer()
})
afterAll(async () => {
  await replica.stop()
  await redis.stop()
  await rm(folder, { recursive: true })
})

/** A busy machine shall not decide what is seen. */
const PATIENT = { checkTimeoutMs: 5000, writeTimeoutMs: 5000 }
const redisStore = (partitions = 4) =>
  new RedisStore(new RedisConnection({ url: redis.url, ...PATIENT }), {
    namespace: `n${partitions}`,
    partitions,
  })
const memory = new MemoryStore()
const STORES: Record<string, () => Store> = {
  memory: () => memory,
  'the embedded store': () => LmdbStore.open({ path: folder }),
  Redis: redisStore,
}

class Node implements AsyncDisposable {
  readonly manager: TokenManager
  readonly families: RefreshFamilies
  readonly gate: Gate

  constructor(
    store: Store,
    options: Partial<RefreshFamiliesOptions> = {},
    of: Partial<TokenManagerOptions> = {},
  ) {
    this.manager = new TokenManager({ store, verifier: issuer.verifier, ...of })
    this.families = new RefreshFamilies({ manager: this.manager, ...options })
    this.gate = new Gate({ manager: this.manager })
  }

  async admits(token: string): Promise<boolean> {
    const { allowed } = await this.gate.check({ authorization: [`Bearer ${token}`] })
    return allowed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.manager.close()
  }
}

const statuses = (rotations: readonly Rotation[]) => rotations.map(({ status }) => status).sort()
const next = (rotation: Rotation): RefreshClaims => {
  if (!('claims' in rotation)) throw new Error(`no successor: ${rotation.status}`)
  return rotation.claims
}

describe.each(Object.entries(STORES))('of 50 presentations of one token at once, on %s', (_, open) => {
  const present = async (graceSeconds: number) => {
    const nodes = Array.from({ length: NODES }, () => new Node(open(), { graceSeconds }, { replica: false }))
    const first = await nodes[0]!.families.begin(ALICE)
    const all = Array.from({ length: 50 }, (_, i) => nodes[i % NODES]!.families.rotate(first))
    const rotations = await Promise.all(all)
    const later = await nodes[1]!.families.rotate(next(rotations.find(({ status }) => status === 'rotated')!))
    // The store in memory is one for all.
    if (nodes[0]!.manager.store !== memory) await Promise.all(nodes.map((node) => node.manager.close()))
    return { rotations, later }
  }

  it('one is the first, and the others come again within the grace', async () => {
    const { rotations, later } = await present(10)
    expect(statuses(rotations)).toEqual([...Array<string>(49).fill('repeated'), 'rotated'])
    const successors = rotations.map(next)
    expect(new Set(successors.map(({ generation }) => generation))).toEqual(new Set([2]))
    expect(new Set(successors.map(({ jti }) => jti)).size).toBe(50)
    expect(later.status).toBe('rotated')
  })

  it('one is the first, and without a grace the others end the family', async () => {
    const { rotations, later } = await present(0)
    const [first, ...others] = statuses(rotations).reverse()
    expect([first, later.status]).toEqual(['rotated', 'revoked'])
    // Who asks after the first reuse is told that the family is revoked.
    expect(new Set([...others, 'revoked'])).toEqual(new Set(['reused', 'revoked']))
    expect(others).toContain('reused')
  })
})

it.each([
  ['memory', () => new MemoryStore({ entriesMax: 3 })],
  ['the embedded store', () => LmdbStore.open({ path: join(folder, 'full'), entriesMax: 3 })],
])('as many families as %s may hold go on, and another one begins when they have ended', async (_, open) => {
  const store = open()
  const now = Math.floor(Date.now() / 1000)
  const names = ['a', 'b', 'c', 'd'].map((sub) => parseTarget({ sub }).digest)
  const step = (i: number, generation: number, at = now) => {
    const mark = { generation, token: names[i]!, usedAt: at }
    return store.advance(names[i]!, mark, { now: at, end: at + 60 })
  }
  for (const i of [0, 1, 2]) await step(i, 0)
  await expect(step(3, 0)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
  expect(await step(0, 1)).toMatchObject({ isMoved: true })
  await store.put(parseTarget({ sub: 'e' }), { at: now, end: now + 60, issuedBefore: now }, { now })
  expect(await step(3, 0, now + 10_000)).toMatchObject({ isMoved: true })
  expect(await step(1, 1, now + 10_000)).toEqual({ mark: undefined, isMoved: false })
  await store.close()
})

describe('a reuse', () => {
  it('ends access tokens on the gate of another node, and every refresh token, also after a restart', async () => {
    await using here = new Node(redisStore())
    await using there = new Node(redisStore())
    await there.manager.ready()
    const first = await here.families.begin(ALICE)
    const access = await issuer.sign({ sid: first.sid })
    const other = await issuer.sign({ sid: 'other' })
    expect(await there.admits(access)).toBe(true)
    const second = next(await there.families.rotate(first))
    const third = next(await here.families.rotate(second))
    expect((await here.families.rotate(first)).status).toBe('reused')
    await until(async () => !(await there.admits(access)), { what: 'the gate of the other node' })
    expect(await there.admits(other)).toBe(true)
    await using restarted = new Node(redisStore(), {}, { replica: false })
    expect((await restarted.families.rotate(third)).status).toBe('revoked')
  })

  it('is seen whatever the clocks of the nodes say', async () => {
    const early = Date.now() - 120_000
    await using slow = new Node(redisStore(), {}, { replica: false, now: () => early })
    await using fast = new Node(redisStore(), {}, { replica: false, now: () => early + 240_000 })
    let token = await slow.families.begin(ALICE)
    const used: RefreshClaims[] = []
    for (let i = 0; i < 6; i++) {
      used.push(token)
      token = next(await (i % 2 === 0 ? fast : slow).families.rotate(token))
    }
    expect(token.generation).toBe(7)
    expect((await slow.families.rotate(used.at(-2)!)).status).toBe('reused')
    expect((await fast.families.rotate(token)).status).toBe('revoked')
  })
})

describe('on Redis a mark', () => {
  const keysOfMarks = () => redis.command<string[]>('KEYS', 'rescind:{n1.0}:f:*')

  it('lives as long as the last token that was given out, holds no token, and is never shortened', async () => {
    const lifetime = {
      lifetimeMaxSeconds: 3600,
      skewMarginSeconds: 0,
      clockToleranceSeconds: 5,
      replica: false,
    }
    await using long = new Node(redisStore(1), { idleSeconds: 3600 }, lifetime)
    await using short = new Node(redisStore(1), { idleSeconds: 60 }, lifetime)
    const first = await long.families.begin(ALICE)
    const [key] = await keysOfMarks()
    await short.families.rotate(first)
    expect(await redis.command<number>('PTTL', key!)).toBeGreaterThan(3_500_000)
    expect(await redis.command<string>('GET', key!)).toMatch(/^1 1 \d{10} [\w-]{22}$/)
    // Of another format: refused, and left as it is.
    await redis.command('SET', key!, '2 whatever')
    await expect(long.families.rotate(first)).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    expect(await redis.command<string>('GET', key!)).toBe('2 whatever')
    await redis.command('DEL', key!)
    expect((await long.families.rotate(first)).status).toBe('forgotten')
  })

  it('that a failover rolled back lets an old token pass once, and the next one tells', async () => {
    await using node = new Node(redisStore(1), {}, { replica: false })
    const first = await node.families.begin(ALICE)
    const [key] = await keysOfMarks()
    const second = next(await node.families.rotate(first))
    const before = await redis.command<string>('GET', key!)
    const third = next(await node.families.rotate(second))
    await redis.command('SET', key!, before, 'KEEPTTL')
    const thief = next(await node.families.rotate(second))
    expect(thief.generation).toBe(third.generation)
    expect((await node.families.rotate(third)).status).toBe('rotated')
    expect((await node.families.rotate(thief)).status).toBe('reused')
  })

  it('stands on a replica before its successor is given out, where that is asked for', async () => {
    await until(async () => (await redis.command<string>('INFO', 'replication')).includes('state=online'), {
      what: 'the replica',
    })
    const store = () =>
      new RedisStore(new RedisConnection({ url: redis.url, ...PATIENT, writeTimeoutMs: 2500 }))
    await using node = new Node(store(), { ack: 'replicated' }, { replica: false })
    const first = await node.families.begin(ALICE)
    const second = next(await node.families.rotate(first))
    const [key] = await replica.command<string[]>('KEYS', 'rescind:{main.0}:f:*')
    expect(await replica.command<string>('GET', key!)).toMatch(/^1 1 /)
    replica.freeze()
    await expect(node.families.rotate(second)).rejects.toMatchObject({ code: 'ERR_ACK_NOT_REACHED' })
    replica.thaw()
    // The client tries again, within the grace.
    expect((await node.families.rotate(second)).status).toBe('repeated')
  })
})

describe('kinds of tokens', () => {
  it('do not pass for each other: a refresh token at a gate, or an access token for a refresh', async () => {
    await using node = new Node(memory, {}, { replica: false })
    const claims = await node.families.begin(ALICE)
    const { verifier } = await makeIssuer('ES256', { publicKey: issuer.publicKey as never, typ: 'rt+jwt' })
    const refresh = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'rt+jwt' })
      .sign(issuer.key)
    rememberToken(refresh)
    const access = await issuer.sign({ sid: claims.sid })
    expect(await node.admits(refresh)).toBe(false)
    expect(await node.admits(access)).toBe(true)
    const now = Date.now() / 1000
    expect((await verifier.verify(access, now)).status).toBe('invalid')
    const verification = await verifier.verify(refresh, now)
    if (verification.status !== 'valid') throw new Error('the refresh token did not verify')
    expect((await node.families.rotate(verification.token)).status).toBe('rotated')
    const asAccess = await issuer.verifier.verify(access, now)
    if (asAccess.status !== 'valid') throw new Error('the access token did not verify')
    expect((await node.families.rotate(asAccess.token)).status).toBe('invalid')
  })
})
