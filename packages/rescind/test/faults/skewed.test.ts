/**
 * Clocks that differ: no revocation ends before the last node has stopped accepting the token. Redis keeps time by
 * itself; nodes and issuer are given clocks of their own, so a Redis whose clock is wrong is one that all others differ
 * from in the same way.
 */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import type { RevocationSettings } from '../../src/settings.js'
import { TokenManager } from '../../src/token-manager.js'
import type { VerifiedToken } from '../../src/token/verifier.js'
import { makeIssuer } from '../support/issuer.js'
import { RedisServer } from '../support/redis-server.js'
import { control, promise } from './engine/figures.js'

const MINUTE_SECONDS = 60
const SKEWS_SECONDS = [-5, -2, 0, 2, 5].map((minutes) => minutes * MINUTE_SECONDS)
/** Of any two clocks. */
const APART_MAX_SECONDS = 5 * MINUTE_SECONDS
const TOKEN_SECONDS = 600
/** The same with seconds in the place of minutes, and a margin that is as small as it may be. */
const SHORT = { skewSeconds: 1, marginSeconds: 2, tokenSeconds: 2 }
const CHECK_EVERY_MS = 25

const issuer = await makeIssuer('ES256', { clockToleranceSeconds: 1 })
let server: RedisServer
let redis: Redis
beforeAll(async () => {
  server = await RedisServer.start()
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

/** A node whose clock goes wrong by so many seconds, and by as many more as it is sent ahead. */
class SkewedNode {
  aheadMs = 0
  readonly manager: TokenManager

  constructor(
    readonly skewSeconds: number,
    options: Partial<RevocationSettings> & { replica?: boolean } = {},
  ) {
    this.manager = new TokenManager({
      ...options,
      store: new RedisStore(new RedisConnection({ url: server.url })),
      verifier: issuer.verifier,
      nodeName: `skewed by ${skewSeconds} s`,
      now: () => this.nowMs(),
    })
  }

  nowMs(): number {
    return Date.now() + this.skewSeconds * 1000 + this.aheadMs
  }
}

/** A token of an issuer with a wrong clock, as somebody had verified it who does not look at the time. */
async function tokenOf(skewSeconds: number, lifeSeconds: number): Promise<VerifiedToken> {
  const iat = Math.floor(Date.now() / 1000) + skewSeconds
  const text = await issuer.sign({ iat, exp: iat + lifeSeconds })
  const verification = await issuer.verifier.verify(text, iat)
  if (verification.status !== 'valid') throw new Error('the token has to be valid for its own issuer')
  return verification.token
}

/** Until when a node accepts the token, by the clock of this test, in milliseconds since 1970. */
function acceptedUntilMs({ claims }: VerifiedToken, node: SkewedNode): number {
  const { clockToleranceSeconds } = node.manager.settings
  return (Number(claims['exp']) + clockToleranceSeconds - node.skewSeconds) * 1000
}

/** The clocks of a token's life: who revokes it, who is asked, and who issued it. Redis is always right. */
interface Case {
  readonly writer: number
  readonly reader: number
  readonly issuedBy: number
}

function casesOf(skews: readonly number[], apartMax: number): readonly Case[] {
  return skews
    .flatMap((writer) => skews.flatMap((reader) => skews.map((issuedBy) => ({ writer, reader, issuedBy }))))
    .filter(({ writer, reader }) => Math.abs(writer - reader) <= apartMax)
}

/** Nodes for each of the clocks: one with a memory, and one that asks Redis alone. */
class Nodes implements AsyncDisposable {
  readonly #full: ReadonlyMap<number, SkewedNode>
  readonly #bare: ReadonlyMap<number, SkewedNode>

  constructor(skews: readonly number[], settings: Partial<RevocationSettings> = {}) {
    this.#full = new Map(skews.map((skew) => [skew, new SkewedNode(skew, settings)]))
    this.#bare = new Map(skews.map((skew) => [skew, new SkewedNode(skew, { ...settings, replica: false })]))
  }

  full(skew: number): SkewedNode {
    return this.#full.get(skew) as SkewedNode
  }

  both(skew: number): readonly [SkewedNode, SkewedNode] {
    return [this.full(skew), this.#bare.get(skew) as SkewedNode]
  }

  /** All memories know whatever was acknowledged. */
  async ready(): Promise<void> {
    await Promise.all([...this.#full.values()].map(({ manager }) => manager.ready()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#full.values(), ...this.#bare.values()]
    await Promise.all(all.map(({ manager }) => manager.close()))
  }
}

/** Revokes it on the node of the writer, and beside it as a naive client would: for what is left by its own clock. */
async function revoke(nodes: Nodes, { writer, issuedBy }: Case, lifeSeconds: number): Promise<Revoked> {
  const node = nodes.full(writer)
  const token = await tokenOf(issuedBy, lifeSeconds)
  const { id } = await node.manager.revokeToken(token)
  const naiveKey = `bl:${String(token.claims['jti'])}`
  const naiveSeconds = Math.max(1, Number(token.claims['exp']) - Math.floor(node.nowMs() / 1000))
  await redis.set(naiveKey, '1', 'EX', naiveSeconds)
  return { token, key: `rescind:{main.0}:r:${id}`, naiveKey }
}

interface Revoked {
  readonly token: VerifiedToken
  readonly key: string
  readonly naiveKey: string
}

const early: string[] = []
let cases = 0
let naiveLost = 0
afterAll(() => {
  promise(
    'skew',
    'clocks',
    `${early.length} of ${cases} revocations ended early`,
    early.length === 0 && cases > 0,
  )
  control('skewed', naiveLost)
})

describe('no revocation ends early with clocks', () => {
  it('that are five minutes apart', async () => {
    await using nodes = new Nodes(SKEWS_SECONDS)
    for (const one of casesOf(SKEWS_SECONDS, APART_MAX_SECONDS)) {
      cases += 1
      const { token, key, naiveKey } = await revoke(nodes, one, TOKEN_SECONDS)
      await nodes.ready()
      // The last moment at which the reader accepts it: Redis gets there by itself, the clocks are sent ahead.
      const readers = nodes.both(one.reader)
      const leftMs = acceptedUntilMs(token, readers[0]) - Date.now() - 1
      const livesMs = await redis.pttl(key)
      if ((await redis.pttl(naiveKey)) < leftMs) naiveLost += 1
      for (const node of readers) node.aheadMs = leftMs
      const asked = await Promise.all(
        readers.map(async ({ manager }) => (await manager.check(token, { consistency: 'strict' })).status),
      )
      const [{ manager }] = readers
      const remembered = manager.replica?.find(token, manager.now())
      for (const node of readers) node.aheadMs = 0
      const isKept =
        livesMs > leftMs && remembered !== undefined && asked.every((status) => status === 'revoked')
      if (!isKept) early.push(JSON.stringify({ ...one, livesMs, leftMs, asked }))
    }
    expect(early).toEqual([])
    expect(naiveLost, 'the naive client must lose some').toBeGreaterThan(0)
  })

  it('that are as far apart as the margin, waited for in real time', async () => {
    const skews = [-SHORT.skewSeconds, 0, SHORT.skewSeconds]
    const { marginSeconds: skewMarginSeconds, tokenSeconds } = SHORT
    await using nodes = new Nodes(skews, { skewMarginSeconds, clockToleranceSeconds: 1 })
    const all = await Promise.all(
      casesOf(skews, SHORT.marginSeconds).map(async (one) => ({
        ...one,
        ...(await revoke(nodes, one, tokenSeconds)),
      })),
    )
    await nodes.ready()
    cases += all.length
    const lost = new Set<string>()
    const ended = new Set<string>()
    for (;;) {
      const open = all.filter(({ token, reader }) => acceptedUntilMs(token, nodes.full(reader)) > Date.now())
      if (open.length === 0) break
      await Promise.all(
        open.map(async ({ token, naiveKey, ...one }) => {
          const [full, bare] = nodes.both(one.reader)
          const answers = await Promise.all([
            full.manager.check(token),
            full.manager.check(token, { consistency: 'strict' }),
            bare.manager.check(token),
          ])
          const isLost = (await redis.exists(naiveKey)) === 0
          // What was answered when nobody accepts the token any more is nobody's loss.
          if (Date.now() >= acceptedUntilMs(token, full)) return
          if (isLost) lost.add(naiveKey)
          if (answers.some(({ status }) => status === 'clear')) ended.add(JSON.stringify(one))
        }),
      )
      await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS))
    }
    early.push(...ended)
    naiveLost += lost.size
    expect([...ended]).toEqual([])
    expect(lost.size, 'the naive client must lose some').toBeGreaterThan(0)
  })
})
