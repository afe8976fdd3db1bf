/** What a node gives back to its store, gift by gift. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { RECORD_BYTES } from '../../src/core/record.js'
import { ANY_TIME } from '../../src/core/revocation.js'
import { reseed } from '../../src/replica/reseed.js'
import { Table } from '../../src/replica/table.js'
import { CLOCK_OFF_MAX_SECONDS } from '../../src/stores/given-records.js'
import type { ReseedOptions, Store } from '../../src/stores/store.js'
import { MACHINE } from '../../src/surroundings.js'

const NOW = 1_700_000_000
const COUNT = 3000

/** What a store is given that takes all. */
async function giftsOf(table: Table) {
  const gifts: { ends: number[]; options: ReseedOptions }[] = []
  const store: Partial<Store> = {
    reseed: async (records, options) => {
      const count = records.length / RECORD_BYTES
      gifts.push({
        ends: Array.from({ length: count }, (_, i) => records.readUInt32LE(i * RECORD_BYTES + 16)),
        options,
      })
      return count
    },
  }
  const given = await reseed({
    store: store as Store,
    giver: 'one',
    table,
    log: new Table(),
    catchUp: async () => undefined,
    shapes: [['sub']],
    isWhole: true,
    now: () => NOW,
    onGiven: () => undefined,
    signal: new AbortController().signal,
    surroundings: MACHINE,
  })
  return { given, gifts }
}

function tableOf(count: number): Table {
  const table = new Table()
  const digests = new Int32Array(randomBytes(count * 16).buffer.slice(0, count * 16))
  for (let n = 0; n < count; n++) table.revoke(digests, n * 4, NOW + 100 + n, ANY_TIME, NOW)
  return table
}

it('can be found as long as it lives after each gift, though the giver dies then', async () => {
  const { given, gifts } = await giftsOf(tableOf(COUNT))
  expect(given).toBe(COUNT)
  expect(gifts.length).toBeGreaterThan(5)
  let inUseUntil = 0
  for (const { ends, options } of gifts) {
    if (options.shapes.length > 0) inUseUntil = Math.max(inUseUntil, options.end)
    expect(inUseUntil).toBeGreaterThanOrEqual(Math.max(...ends))
  }
  // Not with each: a shape is a command of its own.
  expect(gifts.filter(({ options }) => options.shapes.length > 0).length).toBeLessThan(gifts.length)
})

it('is said to be whole at its end, and only there', async () => {
  const { gifts } = await giftsOf(tableOf(COUNT))
  expect(gifts.map(({ options }) => options.isLast)).toEqual([...gifts.slice(1).map(() => false), true])
})

it('is not said to be whole where a store leaves out a line in any gift, for its time', async () => {
  const table = tableOf(COUNT)
  const ahead = NOW + CLOCK_OFF_MAX_SECONDS + 1
  // By their order among the others, some come early.
  for (let n = 0; n < 4; n++)
    table.revoke(new Int32Array([n << 30, 1, 2, 3]), 0, ahead + 100, ANY_TIME, ahead)
  const { gifts } = await giftsOf(table)
  expect(gifts.length).toBeGreaterThan(5)
  expect(gifts.filter(({ options }) => options.isLast)).toEqual([])
})
