/** Redis removes what has ended, by itself, and nothing earlier: lives are relative, so clocks may differ. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseTarget } from '../../src/core/target.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { makeIssuer } from '../support/issuer.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const HOUR = 3600
const MARGINS = 305
let server: RedisServer
let redis: Redis
let store: RedisStore
beforeAll(async () => {
  server = await RedisServer.start()
  redis = new Redis(server.url)
  store = new RedisStore(patientConnection({ url: server.url }))
})
afterAll(async () => {
  redis.disconnect()
  await store.close()
  await server.stop()
})

const keyOf = (id: string) => `rescind:{main.0}:r:${id}`

it('a token that ends in two hours is held for two hours and the margins; without an end, for 30 minutes and the margins', async () => {
  const issuer = await makeIssuer('ES256', { requiredClaims: [] })
  const manager = new TokenManager({ store, verifier: issuer.verifier })
  const exp = Math.floor(Date.now() / 1000) + 2 * HOUR
  const ended = await manager.revokeToken(await issuer.sign({ exp }))
  const endless = await manager.revokeToken(await issuer.sign({ exp: undefined }))
  expect(Math.abs((await redis.ttl(keyOf(ended.id))) - (2 * HOUR + MARGINS))).toBeLessThanOrEqual(2)
  expect(Math.abs((await redis.ttl(keyOf(endless.id))) - (HOUR / 2 + MARGINS))).toBeLessThanOrEqual(2)
  const fixed = new TokenManager({ store, verifier: issuer.verifier, ttl: 'fixed' })
  const exact = await fixed.revoke({ sub: 'exactly half an hour' })
  expect(Math.abs((await redis.ttl(keyOf(exact.id))) - HOUR / 2)).toBeLessThanOrEqual(1)
})

it('Redis removes the record once the end has come by the clock of the node, whatever its own clock says', async () => {
  const real = Math.floor(Date.now() / 1000)
  // A node whose clock is two hours ahead of Redis, and revokes what ends in a second by its own clock.
  const now = real + 2 * HOUR
  const target = parseTarget({ sub: 'two hours ahead' })
  await store.put(target, { at: now, end: now + 1, issuedBefore: now }, { now })
  expect(await redis.exists(keyOf(target.digest))).toBe(1)
  await until(async () => (await redis.exists(keyOf(target.digest))) === 0, { what: 'the removal' })
  expect(await store.find(() => [target.digest])).toEqual([])
})

it('clocks that are five minutes wrong, either way, shorten no life, and a second write never does', async () => {
  const real = Math.floor(Date.now() / 1000)
  for (const skew of [-300, 300]) {
    const now = real + skew
    const target = parseTarget({ sub: `skewed by ${skew}` })
    await store.put(target, { at: now, end: now + HOUR, issuedBefore: now }, { now })
    expect(await redis.ttl(keyOf(target.digest))).toBeGreaterThanOrEqual(HOUR - 2)
    await store.put(target, { at: real, end: real + 60, issuedBefore: real }, { now: real })
    expect(await redis.ttl(keyOf(target.digest))).toBeGreaterThanOrEqual(HOUR - 2)
  }
})

it('a node whose clock is days ahead takes no shape out of use that others still need', async () => {
  const real = Math.floor(Date.now() / 1000)
  const needed = parseTarget({ needed: 'x' })
  await store.put(needed, { at: real, end: real + HOUR, issuedBefore: real }, { now: real })
  const fast = real + 72 * HOUR
  await store.put(
    parseTarget({ fast: 'x' }),
    { at: fast, end: fast + HOUR, issuedBefore: fast },
    { now: fast },
  )
  const fresh = new RedisStore(patientConnection({ url: server.url }))
  const held = await fresh.find((shapes) =>
    shapes.some(([name]) => name === 'needed') ? [needed.digest] : [],
  )
  expect(held).toHaveLength(1)
  await fresh.close()
})
