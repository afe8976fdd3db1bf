/** Families of refresh tokens, by a clock that the test moves. */
import { describe, expect, it } from 'vitest'
import { textDigest } from '../../src/core/digest.js'
import type { Claims } from '../../src/core/target.js'
import type { Store } from '../../src/stores/store.js'
import { RescindError } from '../../src/errors.js'
import {
  RefreshFamilies,
  type RefreshFamiliesOptions,
  type Reuse,
  type Rotation,
} from '../../src/refresh/index.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager, type TokenManagerOptions } from '../../src/token-manager.js'
import { OpaqueVerifier } from '../../src/token/opaque-verifier.js'
import { VerifiedToken, type Verifier } from '../../src/token/verifier.js'

const ALICE = { iss: 'https://as.example', aud: 'as', sub: 'alice', client_id: 'app', scope: 'read' }
const DAY = 86_400

function setUp(options: Partial<RefreshFamiliesOptions> = {}, of: Partial<TokenManagerOptions> = {}) {
  const clock = { seconds: Math.floor(Date.now() / 1000) }
  const manager = new TokenManager({
    store: new MemoryStore(),
    now: () => clock.seconds * 1000 + 400,
    replica: false,
    lifetimeMaxSeconds: 7 * DAY,
    ...of,
  })
  const families = new RefreshFamilies({ manager, ...options })
  return { clock, manager, families }
}

/** A verifier of somebody else, which names tokens by nothing but their digest. */
function digestNamed(claims: Claims): Verifier {
  return {
    clockToleranceSeconds: 0,
    verify: async (text) => ({
      status: 'valid',
      token: new VerifiedToken(claims, text, { '#sha256': textDigest(text) }),
    }),
  }
}

/** The claims of the successor. */
function claimsOf(rotation: Rotation) {
  if (!('claims' in rotation)) throw new Error(`no successor: ${rotation.status}`)
  return rotation.claims
}

describe('a family', () => {
  it('begins with all that its first token must say, and gives each successor the rest unchanged', async () => {
    const { clock, families } = setUp()
    const begun = clock.seconds
    const first = await families.begin(ALICE)
    expect(first).toEqual({
      ...ALICE,
      ...{ sid: expect.any(String), jti: expect.any(String), generation: 1 },
      ...{ iat: begun, exp: begun + 7 * DAY, begun },
    })
    clock.seconds += 3600
    const second = claimsOf(await families.rotate({ ...first, nbf: begun }))
    expect(second).toEqual({
      ...first,
      ...{ jti: expect.any(String), generation: 2, iat: begun + 3600, exp: begun + 3600 + 7 * DAY },
    })
    expect(second.jti).not.toBe(first.jti)
    expect(families.targetOf(second)).toEqual({ iss: ALICE.iss, sid: first.sid })
  })

  it('is one of the log-in alone: others of the same person live on', async () => {
    const { families } = setUp({ graceSeconds: 0 })
    const [one, other] = [await families.begin(ALICE), await families.begin(ALICE)]
    await families.rotate(one)
    expect((await families.rotate(one)).status).toBe('reused')
    expect((await families.rotate(other)).status).toBe('rotated')
  })

  it('may be named by claims of the application, each log-in by values of its own', async () => {
    const { clock, families } = setUp({ claims: ['client_id', 'device'] })
    await expect(families.begin(ALICE)).rejects.toMatchObject({ code: 'ERR_TARGET_INVALID' })
    const first = await families.begin({ ...ALICE, device: 'd1' })
    expect(first).not.toHaveProperty('sid')
    await expect(families.begin({ ...ALICE, device: 'd1' })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
    // The same name again after a log-out: a new family, in which no token of the old one counts.
    await families.manager.revoke(families.targetOf(first))
    clock.seconds += 1
    const again = await families.begin({ ...ALICE, device: 'd1' })
    expect((await families.rotate(first)).status).toBe('revoked')
    expect((await families.rotate(again)).status).toBe('rotated')
  })

  it('takes no claims that it makes itself', async () => {
    const { families } = setUp()
    for (const name of ['iat', 'exp', 'nbf', 'jti', 'begun', 'generation'])
      await expect(families.begin({ ...ALICE, [name]: 1 })).rejects.toThrow(name)
  })
})

describe('a token that was used', () => {
  it('may be presented again within the grace, and after it ends the family', async () => {
    const reuses: Reuse[] = []
    const { clock, manager, families } = setUp({ onReuse: (reuse) => reuses.push(reuse) })
    const first = await families.begin(ALICE)
    const access = { iss: ALICE.iss, sub: 'alice', sid: first.sid, jti: 'access', iat: first.iat }
    const second = claimsOf(await families.rotate(first))
    clock.seconds += 9
    const repeated = await families.rotate(first)
    expect(repeated).toMatchObject({ status: 'repeated', claims: { generation: 2 } })
    expect(claimsOf(repeated).jti).not.toBe(second.jti)
    expect(await manager.isRevoked(access)).toBe(false)
    clock.seconds += 1
    expect(await families.rotate(first)).toMatchObject({
      status: 'reused',
      revocation: { target: { iss: ALICE.iss, sid: first.sid }, issuedBefore: null },
    })
    expect(reuses).toEqual([{ target: { iss: ALICE.iss, sid: first.sid }, claims: first }])
    for (const token of [first, second, claimsOf(repeated)])
      expect((await families.rotate(token)).status).toBe('revoked')
    expect(await manager.isRevoked(access)).toBe(true)
  })

  it('ends the family at once when another of its generation was used, or a later one', async () => {
    const begin = async () => {
      const { families } = setUp()
      const first = await families.begin(ALICE)
      const siblings = [
        claimsOf(await families.rotate(first)),
        claimsOf(await families.rotate(first)),
      ] as const
      expect((await families.rotate(siblings[0])).status).toBe('rotated')
      return { families, first, siblings }
    }
    const one = await begin()
    expect((await one.families.rotate(one.siblings[1])).status).toBe('reused')
    const other = await begin()
    expect((await other.families.rotate(other.first)).status).toBe('reused')
    expect((await other.families.rotate(other.siblings[0])).status).toBe('revoked')
  })

  it('gets no longer grace by a node whose clock is behind', async () => {
    const { clock, families } = setUp()
    const first = await families.begin(ALICE)
    clock.seconds += 60
    await families.rotate(first)
    clock.seconds -= 20
    expect((await families.rotate(first)).status).toBe('reused')
  })

  it('keeps the family ended until its last token has, whatever the alarm throws', async () => {
    const { clock, families } = setUp({
      graceSeconds: 0,
      onReuse: () => {
        throw new Error('no alarm')
      },
    })
    const first = await families.begin(ALICE)
    const second = claimsOf(await families.rotate(first))
    const rotation = await families.rotate(first)
    expect(rotation).toMatchObject({ status: 'reused' })
    clock.seconds = second.exp - 1
    expect((await families.rotate(second)).status).toBe('revoked')
    const end = 'revocation' in rotation ? rotation.revocation.expiresAt : 0
    expect(end).toBeGreaterThanOrEqual(first.begun + 30 * DAY)
  })
})

describe('a token that was never used', () => {
  it('expires when it is idle, and the family at its end however often it is used', async () => {
    const { clock, families } = setUp({ idleSeconds: 3 * DAY, lifetimeSeconds: 7 * DAY })
    const idle = await families.begin(ALICE)
    let token = await families.begin(ALICE)
    for (let days = 2; days <= 6; days += 2) {
      clock.seconds += 2 * DAY
      token = claimsOf(await families.rotate(token))
    }
    expect((await families.rotate(idle)).status).toBe('expired')
    expect(token.exp).toBe(token.begun + 7 * DAY)
    clock.seconds = token.exp - 1
    const last = claimsOf(await families.rotate(token))
    clock.seconds += 1
    expect((await families.rotate(last)).status).toBe('expired')
  })

  it('is dead after a log-out, a log-out everywhere and a ban, also one that a faster clock gave out later', async () => {
    const { clock, manager, families } = setUp()
    const tokens = await Promise.all(Array.from({ length: 3 }, () => families.begin(ALICE)))
    await manager.revoke({ sid: tokens[0]!.sid as string })
    expect((await families.rotate(tokens[0]!)).status).toBe('revoked')
    clock.seconds += 30
    const early = claimsOf(await families.rotate(tokens[1]!))
    clock.seconds -= 20
    await manager.revoke({ sub: 'alice' })
    expect(early.iat).toBeGreaterThan(clock.seconds)
    expect((await families.rotate(early)).status).toBe('revoked')
    expect((await families.rotate(tokens[2]!)).status).toBe('revoked')
    clock.seconds += 1
    const later = await families.begin(ALICE)
    expect((await families.rotate(later)).status).toBe('rotated')
    await manager.revoke({ client_id: 'app' }, { issuedBefore: null })
    expect((await families.rotate(later)).status).toBe('revoked')
  })

  it('goes on from a log-in in the very second of a log-out everywhere, where that log-in says so', async () => {
    const { manager, families } = setUp()
    const { issuedBefore } = await manager.revoke({ sub: 'alice' })
    const dead = await families.begin(ALICE)
    expect((await families.rotate(dead)).status).toBe('revoked')
    const issuedAt = Number(issuedBefore) + 1
    const first = await families.begin(ALICE, { issuedAt })
    expect(first).toMatchObject({ iat: issuedAt, begun: issuedAt })
    expect(claimsOf(await families.rotate(first)).iat).toBe(issuedAt)
    for (const wrong of [issuedAt + 1, 0.5, -1, NaN, '1' as never])
      await expect(families.begin(ALICE, { issuedAt: wrong })).rejects.toThrow('issuedAt')
  })

  it('is not used up by a presentation while it was revoked, when that is restored', async () => {
    const { manager, families } = setUp()
    const first = await families.begin(ALICE)
    await manager.revoke({ sub: 'alice' })
    expect((await families.rotate(first)).status).toBe('revoked')
    await manager.restore({ sub: 'alice' })
    expect((await families.rotate(first)).status).toBe('rotated')
  })

  it('is dead past the longest life of a revocation, for that is as long as it can be idle', async () => {
    const { clock, manager, families } = setUp({}, { lifetimeMaxSeconds: 600, skewMarginSeconds: 0 })
    const first = await families.begin(ALICE)
    await manager.revoke({ sub: 'alice' })
    for (const seconds of [1, 598, 10, 1000]) {
      clock.seconds += seconds
      expect(['revoked', 'expired']).toContain((await families.rotate(first)).status)
    }
  })

  it.each<[string, (claims: Claims) => Verifier]>([
    ['opaque', (claims) => new OpaqueVerifier({ verify: () => claims })],
    ['one whose verifier names it by its digest', (claims) => digestNamed(claims)],
  ])('is dead when it was revoked by itself: %s', async (_, makeVerifier) => {
    const { manager, families } = setUp()
    const first = await families.begin(ALICE)
    const verifier = makeVerifier(first)
    const issuing = new TokenManager({
      store: manager.store,
      verifier,
      replica: false,
      now: () => manager.now() * 1000,
    })
    const { target } = await issuing.revokeToken('refresh-1')
    const verified = await verifier.verify('refresh-1', manager.now())
    if (verified.status !== 'valid') throw new Error(verified.status)
    expect(await families.rotate(verified.token)).toMatchObject({ status: 'revoked', revocation: { target } })
    await issuing.restore(target)
    expect((await families.rotate(verified.token)).status).toBe('rotated')
  })

  it('of a family that the store has lost is refused, and does not begin one', async () => {
    const { families } = setUp()
    const emptied = setUp().families
    const first = await families.begin(ALICE)
    const second = claimsOf(await families.rotate(first))
    for (const token of [first, second, second])
      expect(await emptied.rotate(token)).toEqual({ status: 'forgotten' })
    // A later log-in under the same name is another family.
    const again = await emptied.begin({ ...ALICE, sid: first.sid })
    expect((await emptied.rotate({ ...second, begun: first.begun - 1 })).status).toBe('forgotten')
    expect((await emptied.rotate(again)).status).toBe('rotated')
  })
})

describe('claims that are none of a refresh token', () => {
  it('are refused as data, and move nothing', async () => {
    const { families } = setUp()
    const first = await families.begin(ALICE)
    const wrong: Record<string, unknown[]> = {
      generation: [undefined, null, 0, -1, 0.5, NaN, Infinity, '1', [1], 2 ** 32, 2 ** 53, 2n],
      begun: [undefined, null, -1, 0.5, '1', 2 ** 32, 1e300, {}],
      exp: [undefined, null, -1, '9999999999', 1e300],
      jti: [undefined, null, '', 7, ['x'], 'x'.repeat(2000), '\ud800'],
      sid: [undefined, null, '', ['x'], {}, 1e300, NaN, 'x'.repeat(2000)],
      iss: [null, '', ['x'], {}, NaN],
    }
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        const rotation = await families.rotate({ ...first, [name]: value })
        expect(rotation, `${name} ${String(value).slice(0, 20)}`).toMatchObject({ status: 'invalid' })
      }
    }
    for (const claims of [{}, null, undefined, 'token', 7])
      expect((await families.rotate(claims as never)).status).toBe('invalid')
    expect((await families.rotate(Object.create(first) as never)).status).toBe('invalid')
    const [one, none] = [{ ...first, iss: undefined }, Object.fromEntries(Object.entries(first).slice(1))]
    expect((await families.rotate(one)).status).toBe('invalid')
    expect((await families.rotate(none)).status).toBe('forgotten')
    expect((await families.rotate(first)).status).toBe('rotated')
  })
})

describe('a store that fails', () => {
  it('makes a rotation fail, whatever step it fails in, and never forget a use', async () => {
    const { manager, families } = setUp({ graceSeconds: 0 })
    const { store } = manager
    const away = () => Promise.reject(new RescindError('ERR_STORE_UNAVAILABLE', 'away'))
    const without = async (name: 'find' | 'advance' | 'put', work: () => Promise<unknown>) => {
      const kept = store[name]
      ;(store as { -readonly [K in keyof Store]: Store[K] })[name] = away
      await expect(work()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
      delete (store as Partial<Store>)[name]
      expect(store[name]).toBe(kept)
    }
    await without('advance', () => families.begin(ALICE))
    const first = await families.begin(ALICE)
    await without('find', () => families.rotate(first))
    await without('advance', () => families.rotate(first))
    expect((await families.rotate(first)).status).toBe('rotated')
    await without('put', () => families.rotate(first))
    // The reuse was not forgotten either.
    expect((await families.rotate(first)).status).toBe('reused')
  })

  it('that has no replicas cannot promise them', async () => {
    const { families } = setUp({ ack: 'replicated' })
    await expect(families.begin(ALICE)).rejects.toMatchObject({ code: 'ERR_ACK_UNSUPPORTED' })
  })
})

it('options are checked, with one error for all that is wrong', () => {
  const wrong = () =>
    setUp({
      claims: ['jti', 'iss'],
      graceSeconds: 61,
      idleSeconds: 8 * DAY,
      lifetimeSeconds: 0.5,
      ack: 'x' as never,
    })
  expect(wrong).toThrow(
    /claims must[^]*graceSeconds must[^]*lifetimeSeconds must[^]*idleSeconds must not exceed[^]*RESCIND_LIFETIME_MAX_SECONDS[^]*ack must/,
  )
  for (const claims of [[], ['a', 'a'], [''], ['__proto__'], [7], Array(7).fill('a')])
    expect(() => setUp({ claims: claims as string[] })).toThrow('claims must list')
})
