/** What a node gives back to its store, gift by gift. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { RECORD_BYTES } from '../../src/core/record.js'
import { ANY_TIME } from '../../src/core/revocation.js'
import { reseed } from '../../src/replica/reseed.js'
import { Table } from '../../src/replica/table.js'
import type { ReseedOptions, Store } from '../../src/stores/store.js'
import { MACHINE } from '../../src/surroundings.js'

const NOW = 1_700_000_000
const COUNT = 3000

it('can be found as long as it lives after each gift, though the giver dies then', async () => {
  const table = new Table()
  const digests = new Int32Array(randomBytes(COUNT * 16).buffer.slice(0, COUNT * 16))
  for (let n = 0; n < COUNT; n++) table.revoke(digests, n * 4, NOW + 100 + n, ANY_TIME, NOW)
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
