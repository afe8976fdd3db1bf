import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Revocation } from '../../src/core/revocation.js'
import type { ListOrder } from '../../src/list-query.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'

const NOW = 1_800_000_000
const ORDERS = ['oldest', 'ending-first', 'ending-last'] as const
const TIMES: Readonly<Record<(typeof ORDERS)[number], (revocation: Revocation) => number>> = {
  oldest: ({ revokedAt }) => revokedAt,
  'ending-first': ({ expiresAt }) => expiresAt,
  'ending-last': ({ expiresAt }) => -expiresAt,
}

/** Few people and few times, so that many are equal, and several statements stand for one person. */
const change = fc.record({
  person: fc.nat(12),
  afterSeconds: fc.nat(1),
  lifeSeconds: fc.integer({ min: 1, max: 5 }).map((steps) => steps * 100),
  isBan: fc.boolean(),
  isRestore: fc.nat(9).map((chance) => chance === 0),
})
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

function setUp() {
  const clock = { seconds: NOW }
  const manager = new TokenManager({ store: new MemoryStore(), now: () => clock.seconds * 1000 })
  const make = async ({ person, afterSeconds, lifeSeconds, isBan, isRestore }: Change) => {
    clock.seconds += afterSeconds
    const target = { sub: `person-${person}` }
    if (isRestore) await manager.restore(target)
    else
      await manager.revoke(target, {
        expiresAt: clock.seconds + lifeSeconds,
        ...(isBan ? { issuedBefore: null } : {}),
      })
  }
  const readAll = async (order: ListOrder, limit: number, betweenPages = async () => {}) => {
    const read: Revocation[] = []
    for (let cursor: string | undefined; ; await betweenPages()) {
      const page = await manager.list({ order, limit, cursor })
      expect(page.revocations.length).toBeLessThanOrEqual(limit)
      read.push(...page.revocations)
      cursor = page.cursor
      if (cursor === undefined) return read
    }
  }
  return { manager, make, readAll }
}

const nameOf = ({ id, revokedAt, expiresAt, issuedBefore }: Revocation) =>
  [id, revokedAt, expiresAt, issuedBefore].join()

it('every order holds over all pages, and all that stands is in it once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      async (changes, limit) => {
        const { manager, make, readAll } = setUp()
        for (const each of changes) await make(each)
        const standing = (await readAll('newest', 1000)).map(nameOf).sort()
        for (const order of ORDERS) {
          const read = await readAll(order, limit)
          expect(read.map(nameOf).sort()).toEqual(standing)
          const times = read.map(TIMES[order])
          expect(times).toEqual(times.toSorted((a, b) => a - b))
        }
        await manager.close()
      },
    ),
    { numRuns: 20 },
  )
})

it('what stands all the while is listed once, whatever is revoked and restored between two pages', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 10, maxLength: 40 }),
      fc.array(change, { minLength: 10, maxLength: 40 }),
      fc.constantFrom(...ORDERS),
      async (before, meanwhile, order) => {
        const { manager, make, readAll } = setUp()
        for (const each of before) await make(each)
        const atFirst = (await readAll('newest', 1000)).map(nameOf)
        const left = [...meanwhile]
        const read = await readAll(order, 2, async () => {
          const next = left.shift()
          if (next !== undefined) await make(next)
        })
        const atLast = new Set((await readAll('newest', 1000)).map(nameOf))
        const names = read.map(nameOf)
        expect(new Set(names).size).toBe(names.length)
        for (const name of atFirst) if (atLast.has(name)) expect(names).toContain(name)
        await manager.close()
      },
    ),
    { numRuns: 20 },
  )
})

it('an order goes together with a search, and a page may be short', async () => {
  const { manager, readAll } = setUp()
  for (let i = 0; i < 300; i++)
    await manager.revoke({ sub: `person-${i}` }, { expiresAt: NOW + 1000 - i, reason: `ticket ${i % 100}` })
  const { revocations } = await manager.list({ order: 'ending-first', search: 'ticket 42', limit: 2 })
  expect(revocations.map(({ target }) => target.sub)).toEqual(['person-242', 'person-142'])
  expect((await manager.list({ order: 'oldest', search: 'nobody' })).revocations).toEqual([])
  expect((await readAll('ending-last', 7))[0]?.target).toEqual({ sub: 'person-0' })
  await manager.close()
})

it('refuses an order that is none, a cursor of another one, and orders without a replica', async () => {
  const { manager } = setUp()
  const refused = { code: 'ERR_OPTION_INVALID' }
  for (let i = 0; i < 3; i++) await manager.revoke({ sub: `person-${i}` })
  const { cursor } = await manager.list({ order: 'oldest', limit: 1 })
  expect(cursor).toBeDefined()
  for (const query of [
    { order: 'ending-first', cursor },
    { order: 'oldest', cursor: `${cursor}x` },
    { order: 'oldest', cursor: '' },
    { order: 'by name' as ListOrder },
  ] as const)
    await expect(manager.list(query)).rejects.toMatchObject(refused)
  const blind = new TokenManager({ store: manager.store, replica: false })
  await expect(blind.list({ order: 'oldest' })).rejects.toMatchObject(refused)
  expect((await blind.list()).revocations).toHaveLength(3)
  await manager.close()
})
