/** How many nodes a client may have in the list that everybody's receipts wait for. */
import { expect, it } from 'vitest'
import { ClientNodes } from '../../src/events/client-nodes.js'
import { startWorld } from '../support/service.js'

it('a client has so many nodes and no more, until some are silent for a minute or retire', () => {
  let now = 0
  const nodes = new ClientNodes({ nodesMax: 3, now: () => now })
  for (const id of ['a', 'b', 'c']) expect(nodes.announce('edge', id)).toBe(0)
  expect(nodes.announce('edge', 'd')).toBe(60)
  expect(nodes.announce('other', 'd')).toBe(0)
  now = 30_000
  for (const id of ['a', 'b']) expect(nodes.announce('edge', id)).toBe(0)
  expect(nodes.announce('edge', 'd')).toBe(30)
  nodes.retire('edge', 'a')
  expect(nodes.announce('edge', 'd')).toBe(0)
  expect(nodes.announce('edge', 'e')).toBe(30)
  now = 60_000
  expect(nodes.announce('edge', 'e')).toBe(0)
  expect(nodes.announce('edge', 'f')).toBe(30)
})

it('who may read cannot fill the list of nodes, so that receipts go on to count all of them', async () => {
  await using world = await startWorld()
  const { manager } = world.service.parts
  const announce = async (id: string) => {
    const json = { id, name: id, position: '', stalenessMs: 0, entries: 0 }
    return (await world.ask('/store/v1/nodes', { key: world.keys.viewer, json })).status
  }
  const statuses: number[] = []
  for (let n = 0; n < 5100; n += 100)
    statuses.push(...(await Promise.all(Array.from({ length: 100 }, (_, i) => announce(`n${n + i}`)))))
  expect(statuses.filter((status) => status === 204)).toHaveLength(5000)
  expect(statuses.filter((status) => status === 429)).toHaveLength(100)
  const receipt = await manager.revoke({ sub: 'a' }, { ack: 'everywhere', timeoutMs: 20_000 })
  expect(receipt.nodes?.length).toBeGreaterThan(0)
  const last = await world.ask('/store/v1/nodes/n0', { key: world.keys.viewer, method: 'DELETE' })
  expect([last.status, await announce('another')]).toEqual([204, 204])
}, 120_000)
