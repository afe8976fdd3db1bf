/** The contract of a store, as tests. Every implementation runs it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ANY_TIME, type Entry, findDeadly, PRUNE_GRACE_SECONDS } from '../../src/core/revocation.js'
import { digestsOf, EVERYTHING, parseTarget, type Target } from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'
import { type Mark } from '../../src/core/mark.js'
import { readRecord, RECORD_BYTES } from '../../src/core/record.js'
import { hasReached } from '../../src/stores/position.js'
import { type Bell, NODE_LIFE_MS, SHAPES_MAX, type Store } from '../../src/stores/store.js'
import { until } from '../support/until.js'

export interface StoreUnderTest {
  readonly store: Store
  /** A second way to the same data, where there is one (another node); else the same object. */
  readonly other: Store
  stop(): Promise<void>
}

const now = Math.floor(Date.now() / 1000)

export function entry(part: Partial<Entry> = {}): Entry {
  return { at: now, end: now + 1800, issuedBefore: ANY_TIME, ...part }
}

export function describeStore(name: string, start: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of a store`, () => {
    let under: StoreUnderTest
    let store: Store
    let other: Store
    beforeAll(async () => {
      under = await start()
      ;({ store, other } = under)
      await beginToEnd()
    })
    afterAll(() => under.stop())

    const put = (target: Target, part: Partial<Entry> = {}, at = now) =>
      store.put(parseTarget(target), entry(part), { now: at })
    /** What stands under the targets that these claims match; restored ones are left out. */
    const find = async (claims: Target, through = store) => {
      const held = await through.find((shapes) => shapes.flatMap((shape) => digestsOf(shape, { claims })))
      return held.filter(({ state }) => state.entries.length > 0)
    }
    const fresh = () => ({ sub: randomUUID() })

    /** What ends by itself ends while the other tests run. */
    const ending = { target: fresh(), node: randomUUID(), endsAtMs: 0 }
    async function beginToEnd(): Promise<void> {
      await store.announce({ id: ending.node, name: 'silent', position: '', stalenessMs: 0, entries: 0 })
      await put(ending.target, { end: now + 1 })
      await store.restore(parseTarget(ending.target), { now: now + 300 })
      ending.endsAtMs = Date.now() + 1200
    }

    it('finds what was put, at once and from every node', async () => {
      const target = fresh()
      expect(await find(target)).toEqual([])
      await put(target, { reason: 'log-out', actor: 'alice' })
      for (const through of [store, other]) {
        const [held, ...rest] = await find(target, through)
        expect(rest).toEqual([])
        expect(held?.target).toEqual(target)
        expect(held?.state.entries).toEqual([entry({ reason: 'log-out', actor: 'alice' })])
      }
    })

    it('finds a target of a shape that no node knew before', async () => {
      const shape = { [`claim_${randomUUID().slice(0, 8)}`]: 'x', sub: 'y' }
      expect(await find(shape, other)).toEqual([])
      await put(shape)
      expect(await find(shape, other)).toHaveLength(1)
      expect(await find({ sub: 'y' }, other)).toEqual([])
    })

    it('finds a target of a new shape in every one of many checks at once, also on a node that asks for the first time', async () => {
      for (const target of [{ [`first_${randomUUID()}`]: 'x' }, { [`second_${randomUUID()}`]: 'x' }]) {
        await put(target)
        const found = await Promise.all(Array.from({ length: 20 }, () => find(target, other)))
        expect(found.map(({ length }) => length)).toEqual(Array(20).fill(1))
      }
    })

    it('finds the empty target for every token', async () => {
      await store.put(EVERYTHING, entry({ issuedBefore: now }), { now })
      expect(await find(fresh())).toHaveLength(1)
      expect(await store.restore(EVERYTHING, { now: now + 1 })).toMatchObject({ changed: true })
      expect(await find(fresh())).toEqual([])
    })

    it('never shortens a life', async () => {
      const target = fresh()
      await put(target, { end: now + 7200 })
      const { state } = await put(target, { at: now + 1, end: now + 60 })
      expect(findDeadly(state, now, now + 7199)).toBeDefined()
      const [held] = await find(target, other)
      expect(findDeadly(held!.state, now, now + 7199)?.end).toBe(now + 7200)
      expect(findDeadly(held!.state, now, now + 7200)).toBeUndefined()
    })

    it('does not turn a short ban and a long log-out into a long ban', async () => {
      const target = fresh()
      await put(target, { end: now + 600 })
      await put(target, { at: now + 1, end: now + 7200, issuedBefore: now + 1 })
      const [held] = await find(target)
      expect(findDeadly(held!.state, now + 100, now + 599)).toBeDefined()
      expect(findDeadly(held!.state, now + 100, now + 601)).toBeUndefined()
      expect(findDeadly(held!.state, now + 1, now + 7199)).toBeDefined()
    })

    it('restores exactly the target, once, and a later revocation holds again', async () => {
      const target = fresh()
      const both = { ...target, client_id: 'app' }
      await put(target)
      await put(both)
      expect(await store.restore(parseTarget(target), { now })).toMatchObject({ changed: true })
      expect(await store.restore(parseTarget(target), { now })).toMatchObject({ changed: false })
      const held = await find(both, other)
      expect(held.map(({ target }) => target)).toEqual([both])
      await put(target, { end: now + 60 })
      const again = (await find(target)).find(({ target: { client_id } }) => client_id === undefined)
      expect(findDeadly(again!.state, now, now + 59)).toBeDefined()
      expect(findDeadly(again!.state, now, now + 61)).toBeUndefined()
    })

    it('restores nothing where nothing was revoked, or all of it ended more than an hour ago', async () => {
      expect(await store.restore(parseTarget(fresh()), { now })).toMatchObject({ changed: false })
      const target = fresh()
      const long = now - 2 * PRUNE_GRACE_SECONDS
      await put(target, { at: long, end: long + 60 })
      expect(await store.restore(parseTarget(target), { now })).toMatchObject({ changed: false })
    })

    it('keeps any well-formed text of claims, reasons and actors as it is', async () => {
      const text = 'a"b\\c/d\né\u2028𝒳\u0000 {}\t[]'
      const target = { sub: text, [`x${text}`]: 'v' }
      await put(target, { reason: text, actor: text })
      const [held] = await find(target, other)
      expect(held?.target).toEqual(target)
      expect(held?.state.entries[0]).toMatchObject({ reason: text, actor: text })
    })

    it('lists what stands, newest first, in pages that join without a gap', async () => {
      const actor = randomUUID()
      const subs = Array.from({ length: 25 }, (_, i) => `${actor}-${i}`)
      // A second apart: several partitions are one list by the times of their records.
      for (const [i, sub] of subs.entries()) await put({ sub }, { actor, at: now - 50 + i }, now - 50 + i)
      await store.restore(parseTarget({ sub: subs[7]! }), { now })
      await put({ sub: subs[3]! }, { actor, at: now + 1, end: now + 9000 }, now + 1)
      const wanted = [subs[3], ...subs.filter((_, i) => i !== 7 && i !== 3).reverse()]
      const seen: unknown[] = []
      let cursor: string | undefined
      do {
        const page = await other.list({ now, limit: 4, cursor, filter: (row) => row.actor === actor })
        expect(page.revocations.length).toBeLessThanOrEqual(4)
        seen.push(...page.revocations.map(({ target }) => target.sub))
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(seen).toEqual(wanted)
      const ended = await store.list({ now: now + 100_000, limit: 10, filter: (row) => row.actor === actor })
      expect(ended.revocations).toEqual([])
    })

    it('tells every change after a position, in order', async () => {
      const start = await store.position()
      const target = fresh()
      await put(target, { reason: 'one' })
      await store.restore(parseTarget(target), { now })
      await put(target, { at: now + 5, reason: 'two' })
      const first = await other.changes(start, 2)
      expect(first.changes.map(({ type }) => type)).toEqual(['revoked', 'restored'])
      const rest = await other.changes(first.position, 100)
      expect(rest.changes).toMatchObject([{ type: 'revoked', revocation: { target, reason: 'two' } }])
      const none = await other.changes(rest.position, 100)
      expect(none).toEqual({ changes: [], position: rest.position })
      expect(await store.position()).toBe(rest.position)
    })

    it('refuses a position that is not of its log', async () => {
      for (const position of ['', 'nonsense', '0123456789abcdef:1:32', '../..:1:2']) {
        await expect(store.changes(position, 10)).rejects.toSatisfy((error) =>
          hasCode(error, 'ERR_LOG_CHANGED'),
        )
      }
    })

    /** Reads the packed log to its end. */
    const readOn = async (after: string | undefined, through = other, bytesMax = 96) => {
      const records = []
      let position = after
      for (;;) {
        const page = await through.readLog(position, bytesMax)
        expect(page.records.length % RECORD_BYTES).toBe(0)
        for (let at = 0; at < page.records.length; at += RECORD_BYTES)
          records.push(readRecord(page.records, at))
        position = page.position
        if (page.isEnd) return { records, position: page.position, shapes: page.shapes }
      }
    }

    it('gives replicas the packed log from a position or from its beginning, and the shapes in use', async () => {
      const start = await store.position()
      const [target, second] = [fresh(), fresh()]
      const digest = parseTarget(target).digest
      for (const one of [target, second]) await put(one, { end: now + 77 })
      await store.restore(parseTarget(target), { now: now + 1 })
      const { records, position, shapes } = await readOn(start)
      // In order for each target; several partitions may interleave otherwise.
      expect(records.filter((record) => record.digest === digest)).toEqual([
        { operation: 'revoke', digest, end: now + 77, issuedBefore: ANY_TIME, at: now },
        { operation: 'restore', digest, end: now + 77, issuedBefore: 0, at: now + 1 },
      ])
      expect(records.filter((record) => record.digest !== digest)).toMatchObject([
        { operation: 'revoke', digest: parseTarget(second).digest },
      ])
      expect(shapes).toContainEqual(['sub'])
      const again = await other.readLog(position, 96)
      expect(again).toMatchObject({ position, isEnd: true, hasGap: false })
      expect(again.records).toHaveLength(0)
      expect(again.shapes).toBe(shapes)
      const whole = await readOn(undefined, other, 1 << 20)
      expect(whole.records).toEqual(expect.arrayContaining(records))
      expect(whole.position).toBe(position)
    })

    it.each([1, 31, 100, 255])(
      'reads on to the end whatever the size of a page, %i bytes',
      async (bytesMax) => {
        const start = await store.position()
        for (let i = 0; i < 9; i++) await put(fresh())
        const { records, position } = await readOn(start, other, bytesMax)
        expect(records).toHaveLength(9)
        expect(position).toBe(await store.position())
      },
    )

    it('tells a writer the position that whoever reads so far has its write', async () => {
      const before = await other.readLog(await store.position(), 96)
      const target = fresh()
      const stored = await put(target)
      expect(hasReached(before.position, stored.position)).toBe(false)
      const { position } = await readOn(before.position)
      expect(hasReached(position, stored.position)).toBe(true)
      const again = await put(target)
      expect(hasReached(position, again.position)).toBe(true)
    })

    it('rings when the log has grown, and on request for receipts', async () => {
      const heard: Bell[] = []
      const stop = other.onBell((bell) => heard.push(bell))
      try {
        // The first rings may come before the doorbell is connected: it is a hint.
        await until(
          async () => {
            await put(fresh())
            return heard.includes('change')
          },
          { what: 'the doorbell' },
        )
        await store.ringForReceipts()
        await until(() => heard.includes('receipt'), { what: 'the ring for receipts' })
      } finally {
        stop()
      }
    })

    it('lists live nodes by name until they retire', async () => {
      const line = (name: string) => ({ id: randomUUID(), name, position: 'p', stalenessMs: 3, entries: 7 })
      const [b, a] = [line('zz-b'), line('zz-a')]
      await store.announce(b)
      await other.announce(a)
      const own = async () => (await store.nodes()).filter(({ name }) => name.startsWith('zz-'))
      expect(await own()).toEqual([
        { ...a, ageMs: expect.any(Number) as number },
        { ...b, ageMs: expect.any(Number) as number },
      ])
      expect((await own())[0]?.ageMs).toBeLessThan(NODE_LIFE_MS)
      await store.retire(a.id)
      expect((await own()).map(({ id }) => id)).toEqual([b.id])
    })

    it('says nothing to the log when nothing changed', async () => {
      const target = fresh()
      await put(target)
      const position = await store.position()
      await put(target)
      await put(target, { end: now + 60 })
      expect(await store.position()).toBe(position)
    })

    it('merges concurrent writes of many nodes without losing one', async () => {
      const target = fresh()
      await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          (i % 2 === 0 ? store : other).put(parseTarget(target), entry({ end: now + 100 + i }), { now }),
        ),
      )
      const [held] = await find(target)
      expect(held?.state.entries).toEqual([entry({ end: now + 139 })])
    })

    it('holds at most eight incomparable statements, and covers more rather than less', async () => {
      const target = fresh()
      for (let i = 0; i < 20; i++) {
        await put(target, { at: now + i, issuedBefore: now + i, end: now + 10_000 - i })
      }
      const [held] = await find(target)
      expect(held?.state.entries.length).toBeLessThanOrEqual(8)
      for (let i = 0; i < 20; i++) {
        expect(findDeadly(held!.state, now + i, now + 9_999 - i), `statement ${i}`).toBeDefined()
      }
      expect(findDeadly(held!.state, now + 20, now + 1)).toBeUndefined()
    })

    const family = () => parseTarget(fresh()).digest
    /** The mark of a token, which is told apart by a letter. */
    const mark = (generation: number, token = 'A'): Mark => {
      return { generation, token: token.repeat(22), usedAt: now + (generation % 100) }
    }
    const advance = (name: string, wanted: Mark, through = store) =>
      through.advance(name, wanted, { now, end: now + 600 })

    it('moves the mark of a family forward and never back, and keeps the first token of each generation', async () => {
      const name = family()
      expect(await advance(name, mark(0))).toEqual({ mark: mark(0), isMoved: true })
      expect(await advance(name, mark(0, 'B'), other)).toEqual({ mark: mark(0), isMoved: false })
      expect(await advance(name, mark(1), other)).toEqual({ mark: mark(1), isMoved: true })
      expect(await advance(name, mark(1, 'B'))).toEqual({ mark: mark(1), isMoved: false })
      expect(await advance(name, mark(0))).toEqual({ mark: mark(1), isMoved: false })
      // What a failover rolled back is said again by the next token.
      expect(await advance(name, mark(0xffff_ffff), other)).toMatchObject({ isMoved: true })
      expect(await advance(name, mark(0xffff_fffe))).toEqual({ mark: mark(0xffff_ffff), isMoved: false })
    })

    it('knows no family that has not begun, and takes no step for its beginning', async () => {
      const name = family()
      for (const through of [store, other])
        expect(await advance(name, mark(1), through)).toEqual({ mark: undefined, isMoved: false })
      expect(await advance(name, mark(0))).toMatchObject({ isMoved: true })
    })

    it('moves the mark once for all who take the same step at the same moment', async () => {
      const name = family()
      await advance(name, mark(0))
      const steps = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          advance(name, mark(1, String.fromCharCode(65 + (i % 20))), i % 2 === 0 ? store : other),
        ),
      )
      expect(steps.filter(({ isMoved }) => isMoved)).toHaveLength(1)
      expect(new Set(steps.map((step) => step.mark?.token)).size).toBe(1)
    })

    it('leaves revocations, their log and their list alone when a family takes a step', async () => {
      const target = fresh()
      const position = await store.position()
      await advance(parseTarget(target).digest, mark(0))
      expect(await find(target)).toEqual([])
      expect(await store.position()).toBe(position)
    })

    it('passes an error of the probe through, as it was', async () => {
      const mistake = new Error('mine')
      await expect(
        store.find(() => {
          throw mistake
        }),
      ).rejects.toBeInstanceOf(Error)
    })

    it('remembers a restore by a fast clock beyond what it ended, so that a slower one can revoke again', async () => {
      // The restored statement would have ended meanwhile.
      await sleep(Math.max(0, ending.endsAtMs - Date.now()))
      const { state } = await put(ending.target, { at: now + 2, end: now + 600 })
      expect(state.restoredAt).toBe(now + 300)
      expect(state.entries).toMatchObject([{ at: now + 301, end: now + 600 }])
    })

    it('forgets a node that is silent', async () => {
      const isForgotten = async () => (await store.nodes()).every(({ id }) => id !== ending.node)
      await until(isForgotten, { what: 'the node to vanish' })
    })

    // Last: it uses up the shapes.
    it('refuses more shapes than every check could afford', async () => {
      const attempt = async () => {
        for (let i = 0; i <= SHAPES_MAX; i++) await put({ [`shape_${i}`]: 'x' })
      }
      await expect(attempt()).rejects.toSatisfy((error) => hasCode(error, 'ERR_SHAPES_EXCEEDED'))
      await put(fresh())
    })

    it('is closed for good', async () => {
      await store.close()
      await store.close()
      await expect(store.find(() => [])).rejects.toSatisfy((error) => hasCode(error, 'ERR_CLOSED'))
      await expect(put(fresh())).rejects.toSatisfy((error) => hasCode(error, 'ERR_CLOSED'))
      await expect(advance(family(), mark(0))).rejects.toSatisfy((error) => hasCode(error, 'ERR_CLOSED'))
    })
  })
}
