/**
 * What all records have in common, run on every implementation: `open` makes two of them on one place, as two processes
 * of the service would have.
 */
import { RescindError } from 'rescind'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  ID_LENGTH_MAX,
  type Records,
  RECORDS_MAX,
  TEXT_LENGTH_MAX,
  TRAIL_SLACK,
} from '../../src/records/records.js'
import { until } from '../../../rescind/test/support/until.js'

export interface OpenedRecords {
  readonly records: Records
  /** The same from another process; with memory, the same object. */
  readonly other: Records
  /** Closes both. */
  stop(): Promise<void>
}

export interface RecordsFactory {
  open(trailMax: number): Promise<OpenedRecords>
}

const TRAIL_MAX = 250

export function describeRecords(name: string, { open }: RecordsFactory): void {
  describe(name, () => {
    let records: Records
    let other: Records
    let stop: () => Promise<void>
    beforeEach(async () => {
      ;({ records, other, stop } = await open(TRAIL_MAX))
    })
    afterEach(() => stop())

    describe('a record', () => {
      it('is read as it was written, by others too, until it is removed', async () => {
        const text = JSON.stringify({ name: 'Łódź 🗝', nul: '\0', lines: 'a\r\nb' })
        expect(await records.read('client', 'app')).toBeUndefined()
        expect(await records.write('client', 'app', text)).toBe(true)
        expect(await other.read('client', 'app')).toBe(text)
        expect(await records.read('once', 'app')).toBeUndefined()
        expect(await other.write('client', 'app', '')).toBe(true)
        expect(await records.read('client', 'app')).toBe('')
        expect(await other.remove('client', 'app')).toBe(true)
        expect(await records.remove('client', 'app')).toBe(false)
        expect(await other.read('client', 'app')).toBeUndefined()
      })

      it('may have any id and the longest text', async () => {
        const text = 'ä'.repeat(TEXT_LENGTH_MAX)
        const ids = ['a b', 'a:b', 'a\nb', '{x}', '__proto__', 'é'.repeat(ID_LENGTH_MAX)]
        for (const id of ids) {
          await records.write('client', id, id)
          await records.write('once', id, `once ${id}`, { lifeSeconds: 60 })
        }
        await records.write('client', 'long', text)
        for (const id of ids) {
          expect(await other.read('client', id)).toBe(id)
          expect(await other.read('once', id)).toBe(`once ${id}`)
        }
        expect(await other.read('client', 'long')).toBe(text)
        expect([...(await other.all('client')).keys()].sort()).toEqual([...ids, 'long'].sort())
      })

      it('is listed with those of its kind, by id', async () => {
        for (const id of ['b', 'c', 'a']) await records.write('client', id, `is ${id}`)
        await records.write('once', 'e', 'is e', { lifeSeconds: 60 })
        expect([...(await other.all('client'))]).toEqual([
          ['a', 'is a'],
          ['b', 'is b'],
          ['c', 'is c'],
        ])
      })

      it('that is new is written by one of many who try at the same time', async () => {
        for (const options of [{ isNew: true }, { isNew: true, lifeSeconds: 60 }]) {
          const kind = 'lifeSeconds' in options ? 'once' : 'client'
          const writers = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? records : other))
          const written = await Promise.all(
            writers.map((writer, i) => writer.write(kind, 'one', String(i), options)),
          )
          expect(written.filter(Boolean)).toHaveLength(1)
          expect(await records.read(kind, 'one')).toBe(String(written.indexOf(true)))
        }
      })

      it('is replaced by one of many who have read the same', async () => {
        await records.write('client', 'one', 'first')
        const written = await Promise.all(
          Array.from({ length: 40 }, (_, i) =>
            (i % 2 === 0 ? records : other).write('client', 'one', String(i), { replaces: 'first' }),
          ),
        )
        expect(written.filter(Boolean)).toHaveLength(1)
        expect(await other.read('client', 'one')).toBe(String(written.indexOf(true)))
        await records.remove('client', 'one')
        expect(await other.write('client', 'one', 'x', { replaces: '' })).toBe(false)
        expect(await other.read('client', 'one')).toBeUndefined()
      })

      it('with a life is gone when that has ended, and may be written anew', async () => {
        await records.write('once', 'short', 'first', { lifeSeconds: 0.2, isNew: true })
        await records.write('once', 'long', 'stays', { lifeSeconds: 60 })
        expect(await other.write('once', 'short', 'second', { lifeSeconds: 60, isNew: true })).toBe(false)
        await until(async () => (await other.read('once', 'short')) === undefined, { what: 'its end' })
        expect(await records.remove('once', 'short')).toBe(false)
        expect(await other.write('once', 'short', 'second', { lifeSeconds: 60, isNew: true })).toBe(true)
        expect(await records.read('once', 'short')).toBe('second')
        expect(await records.read('once', 'long')).toBe('stays')
      })

      it('that is written again has the life of the last time', async () => {
        await records.write('once', 'a', 'first', { lifeSeconds: 0.2 })
        await other.write('once', 'a', 'second', { lifeSeconds: 60 })
        await records.write('once', 'b', 'ends', { lifeSeconds: 0.2 })
        await until(async () => (await other.read('once', 'b')) === undefined, { what: 'the end of another' })
        // What is swept when something is written must not be taken away before its time.
        await records.write('once', 'c', 'x', { lifeSeconds: 60 })
        expect(await other.read('once', 'a')).toBe('second')
      })

      it('is refused where it cannot be kept', async () => {
        const refused = { code: 'ERR_OPTION_INVALID' }
        await expect(records.write('client', '', 'x')).rejects.toMatchObject(refused)
        await expect(records.write('client', 'x'.repeat(ID_LENGTH_MAX + 1), 'x')).rejects.toMatchObject(
          refused,
        )
        await expect(records.write('client', 'x', 'x'.repeat(TEXT_LENGTH_MAX + 1))).rejects.toMatchObject(
          refused,
        )
        await expect(records.write('once', 'x', 'x')).rejects.toMatchObject(refused)
        await expect(records.write('client', 'x', 'x', { lifeSeconds: 1 })).rejects.toMatchObject(refused)
        await expect(records.write('once', 'x', 'x', { lifeSeconds: NaN })).rejects.toMatchObject(refused)
        await expect(records.append('x'.repeat(TEXT_LENGTH_MAX + 1))).rejects.toMatchObject(refused)
        expect((await records.all('client')).size).toBe(0)
      })

      it(`is one of at most ${RECORDS_MAX} of its kind`, { timeout: 120_000 }, async () => {
        for (let begin = 0; begin < RECORDS_MAX; begin += 500) {
          const ids = Array.from({ length: 500 }, (_, i) => String(begin + i))
          await Promise.all(ids.map((id) => records.write('client', id, 'x')))
        }
        const full = { code: 'ERR_STORE_FULL' }
        await expect(other.write('client', 'one more', 'x')).rejects.toMatchObject(full)
        expect(await other.write('client', '7', 'changed')).toBe(true)
        expect(await other.write('once', 'of another kind', 'x', { lifeSeconds: 60 })).toBe(true)
        await records.remove('client', '8')
        expect(await other.write('client', 'one more', 'x')).toBe(true)
        expect((await other.all('client')).size).toBe(RECORDS_MAX)
      })
    })

    describe('the trail', () => {
      it('is read backwards in pages, whoever appends meanwhile', async () => {
        for (let i = 0; i < 10; i++) await (i % 2 === 0 ? records : other).append(`entry ${i}`)
        const first = await records.trail({ limit: 4 })
        expect(first.entries.map(({ text }) => text)).toEqual(['entry 9', 'entry 8', 'entry 7', 'entry 6'])
        expect(first.cursor).toBeDefined()
        await other.append('newer')
        const second = await other.trail({ limit: 4, before: first.cursor })
        expect(second.entries.map(({ text }) => text)).toEqual(['entry 5', 'entry 4', 'entry 3', 'entry 2'])
        const last = await records.trail({ limit: 2, before: second.cursor })
        expect(last.entries.map(({ text }) => text)).toEqual(['entry 1', 'entry 0'])
        expect(last.cursor).toBeUndefined()
        expect((await other.trail({ limit: 1 })).entries[0]?.text).toBe('newer')
      })

      it('keeps the order in which appends were answered, and tells of each once', async () => {
        const appended: string[] = []
        for (let round = 0; round < 10; round++) {
          const both = [records.append(`${round} a`), other.append(`${round} b`)]
          appended.push(...(await Promise.all(both)))
        }
        const { entries } = await records.trail({ limit: 1000 })
        const ids = entries.map(({ id }) => id).reverse()
        expect(new Set(ids)).toEqual(new Set(appended))
        expect(ids).toHaveLength(20)
        const rounds = entries.map(({ text }) => Number(text.split(' ')[0])).reverse()
        expect(rounds).toEqual([...rounds].sort((a, b) => a - b))
      })

      it('is bounded: the oldest entries go, also from what they are about', async () => {
        const subjects = [undefined, 'a', 'b'] as const
        for (let i = 0; i < 500; i++) await records.append(String(i), subjects[i % subjects.length])
        const { entries } = await other.trail({ limit: 1000 })
        const { length } = entries
        expect(entries.map(({ text }) => Number(text))).toEqual(Array.from({ length }, (_, i) => 499 - i))
        expect(length).toBeGreaterThanOrEqual(TRAIL_MAX)
        expect(length).toBeLessThanOrEqual(TRAIL_MAX + TRAIL_SLACK)
        for (const [of, about] of subjects.entries()) {
          if (about === undefined) continue
          const found = await other.trail({ limit: 1000, about })
          expect(found.entries).toEqual(entries.filter(({ text }) => Number(text) % subjects.length === of))
        }
      })

      it('is read by what its entries are about, in pages, however many others stand between', async () => {
        const long = '-'.repeat(64)
        for (let i = 0; i < 60; i++) {
          await (i % 2 === 0 ? records : other).append(`entry ${i}`, ['a', 'a-', 'b', long][i % 4])
          await records.append('about nothing')
        }
        const textsOf = async (about: string, limit: number) => {
          const texts: string[] = []
          for (let before: string | undefined; ;) {
            const page = await other.trail({ about, limit, before })
            expect(page.entries.length).toBeLessThanOrEqual(limit)
            texts.push(...page.entries.map(({ text }) => text))
            if (page.cursor === undefined) return texts
            before = page.cursor
          }
        }
        for (const [of, about] of ['a', 'a-', 'b', long].entries())
          for (const limit of [1, 4, 15, 1000])
            expect(await textsOf(about, limit)).toEqual(
              Array.from({ length: 15 }, (_, i) => `entry ${4 * (14 - i) + of}`),
            )
        expect(await other.trail({ about: 'nobody', limit: 10 })).toEqual({ entries: [] })
        const all = await records.trail({ limit: 1000 })
        expect(all.entries).toHaveLength(120)
        const last = all.entries.at(-3)
        expect((await records.trail({ about: 'a', limit: 9, before: last?.id })).entries).toMatchObject([
          { text: 'entry 0' },
        ])
      })

      it('refuses a cursor that is none, and limits out of range', async () => {
        const refused = { code: 'ERR_OPTION_INVALID' }
        await expect(records.trail({ limit: 1, before: 'x' })).rejects.toMatchObject(refused)
        await expect(records.trail({ limit: 1, before: '' })).rejects.toMatchObject(refused)
        for (const limit of [0, 1001, 1.5])
          await expect(records.trail({ limit })).rejects.toMatchObject(refused)
        for (const about of ['', 'a b', 'x'.repeat(65)]) {
          await expect(records.trail({ limit: 1, about })).rejects.toMatchObject(refused)
          await expect(records.append('x', about)).rejects.toMatchObject(refused)
        }
        expect(await records.trail({ limit: 1 })).toEqual({ entries: [] })
      })
    })

    it('tells that it was closed, and may be closed again', async () => {
      await records.close()
      await records.close()
      for (const call of [
        () => records.read('client', 'x'),
        () => records.all('client'),
        () => records.write('client', 'x', 'x'),
        () => records.remove('client', 'x'),
        () => records.append('x'),
        () => records.trail({ limit: 1 }),
      ]) {
        const failure: unknown = await call().catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(RescindError)
        expect(failure).toMatchObject({ code: 'ERR_CLOSED' })
      }
    })
  })
}
