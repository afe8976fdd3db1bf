/**
 * A Redis that evicts, with nodes that were told to accept that (`allowEviction`): it drops records and parts of the log
 * in silence, and what the nodes' memories know is refused all the same.
 */
import { expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { times } from './engine/figures.js'
import { oneNaive } from './engine/plans.js'
import { expectKept, runScenario } from './engine/scenario.js'

const ROUNDS = times(10, 2)
const FILLER = 'x'.repeat(10_000)
const FILLERS_PER_TURN = 50
const ANSWERS = 300

it(
  'evicted revocations go on being refused by every node with a memory',
  async () => {
    const outcome = await runScenario({
      servers: () =>
        RedisServer.start({ config: { maxmemory: '6mb', 'maxmemory-policy': 'allkeys-random' } }),
      ours: ({ url }) =>
        ['a', 'b'].map((name) => ({
          ...{ kind: 'rescind', name, connection: { url }, store: { allowEviction: true } },
        })),
      naive: ({ host, port }) => oneNaive({ connection: { host, port } }),
      // A node that comes new knows what Redis has left, and no more.
      stranger: null,
      rounds: ROUNDS,
      writesPerRound: 100,
      kind: { loses: true, silences: false },
      harm: async ({ servers, round }) => {
        const before = await evictedKeys(servers)
        let filled = 0
        await until(
          async () => {
            const names = Array.from({ length: FILLERS_PER_TURN }, () => `filler:${round}:${filled++}`)
            await servers.command('MSET', ...names.flatMap((name) => [name, FILLER]))
            return (await evictedKeys(servers)) - before > 1000
          },
          { what: 'a thousand keys to be evicted', timeoutMs: 20_000 },
        )
      },
      hold: ({ answers }) => answers(ANSWERS),
      heal: async ({ servers }) => {
        await servers.command('CONFIG', 'SET', 'maxmemory', '0')
        await until(async () => (await fillers(servers)) === 0, { what: 'room' })
        await servers.command('CONFIG', 'SET', 'maxmemory', '6mb')
      },
    })
    expectKept('evicting', outcome)
    expect(outcome.naive.figures.lost, 'the naive client loses what is evicted').toBeGreaterThan(0)
  },
  times(200_000, 60_000),
)

async function evictedKeys(server: RedisServer): Promise<number> {
  return Number(/evicted_keys:(\d+)/.exec(await server.command<string>('INFO', 'stats'))?.[1])
}

/** Deletes what is left of them, and tells how many there were. */
async function fillers(server: RedisServer): Promise<number> {
  const [, names] = await server.command<[string, string[]]>('SCAN', 0, 'MATCH', 'filler:*', 'COUNT', 100_000)
  if (names.length > 0) await server.command('DEL', ...names)
  return names.length
}
