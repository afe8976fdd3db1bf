/**
 * Slots of a cluster change their owner while clients run: as they should, with their keys, and by force, as somebody
 * does who "fixes" a cluster, which leaves the keys behind.
 */
import { expect, it } from 'vitest'
import { RedisCluster } from '../support/redis-cluster.js'
import type { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { promiseDeadline, times } from './engine/figures.js'
import { oneNaive, twoAndBare } from './engine/plans.js'
import { expectKept, type Round, runScenario } from './engine/scenario.js'

const ROUNDS = times(10, 2)
const PARTITIONS = 4
const ANSWERS = 100
const MIGRATE_AT_ONCE = 20
const MIGRATE_TIMEOUT_MS = 5000
/** Slots that are taken away beside those of our partitions: where the naive client has its keys. */
const NAIVE_SLOTS = 20

it(
  'no revocation is lost with slots that move, nor with slots that are taken away without their keys',
  async () => {
    const outcome = await runScenario({
      servers: () => RedisCluster.start(),
      ours: ({ nodes }) => twoAndBare({ connection: { cluster: nodes }, store: { partitions: PARTITIONS } }),
      naive: ({ nodes }) => oneNaive({ connection: { cluster: nodes } }),
      rounds: ROUNDS,
      writesPerRound: 60,
      kind: (round) => ({ loses: isForced(round), silences: false }),
      harm: async (round) => {
        const slots = await slotsInUse(round)
        for (const slot of slots) {
          if (isForced(round.round)) await force(round.servers, slot)
          else await migrate(round.servers, slot)
        }
        await until(() => isWhole(round.servers), {
          what: 'the cluster to agree on its slots',
          timeoutMs: 20_000,
        })
      },
      hold: ({ answers }) => answers(ANSWERS),
      healTimeoutMs: 20_000,
    })
    promiseDeadline('resharded', outcome.ours)
    expectKept('resharded', outcome)
    expect(outcome.naive.figures.lost, 'the naive client loses what was left behind').toBeGreaterThan(0)
  },
  times(300_000, 60_000),
)

function isForced(round: number): boolean {
  return round % 2 === 1
}

/** Those of our partitions, and some that hold keys of the naive client. */
async function slotsInUse({ servers, naive }: Round<RedisCluster>): Promise<readonly number[]> {
  const [any] = servers.servers as [RedisServer]
  const names = [
    ...Array.from({ length: PARTITIONS }, (_, partition) => `rescind:{main.${partition}}:meta`),
    ...(await naive.touched()).slice(-NAIVE_SLOTS).map((subject) => `bl:token-${subject}`),
  ]
  return Promise.all([...new Set(names)].map((name) => any.command<number>('CLUSTER', 'KEYSLOT', name)))
}

/** With its keys, as `redis-cli --cluster reshard` does it. */
async function migrate({ servers }: RedisCluster, slot: number): Promise<void> {
  const { from, to } = await places(servers, slot)
  await to.server.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
  await from.server.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
  for (;;) {
    const keys = await from.server.command<string[]>('CLUSTER', 'GETKEYSINSLOT', slot, MIGRATE_AT_ONCE)
    if (keys.length === 0) break
    const { host, port } = to.server
    await from.server.command('MIGRATE', host, port, '', 0, MIGRATE_TIMEOUT_MS, 'KEYS', ...keys)
  }
  // The new owner first, so that the slot is never nobody's.
  const others = servers.filter((server) => server !== to.server)
  for (const server of [to.server, ...others]) await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
}

/** Without them. */
async function force({ servers }: RedisCluster, slot: number): Promise<void> {
  const { from, to } = await places(servers, slot)
  await from.server.command('CLUSTER', 'DELSLOTS', slot)
  await to.server.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
  const others = servers.filter((server) => server !== to.server)
  for (const server of [to.server, ...others]) await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
}

interface Place {
  readonly server: RedisServer
  readonly id: string
}

/** Who has the slot, and the next server, which is to have it. */
async function places(servers: readonly RedisServer[], slot: number): Promise<{ from: Place; to: Place }> {
  const all = await Promise.all(
    servers.map(async (server) => ({ server, id: await server.command<string>('CLUSTER', 'MYID') })),
  )
  const slots = await (servers[0] as RedisServer).command<[number, number, [string, number]][]>(
    'CLUSTER',
    'SLOTS',
  )
  const range = slots.find(([first, last]) => slot >= first && slot <= last)
  const at = all.findIndex(({ server }) => server.port === range?.[2][1])
  const [from, to] = [all[at], all[(at + 1) % all.length]]
  if (from === undefined || to === undefined) throw new Error(`nobody has slot ${slot}`)
  return { from, to }
}

async function isWhole({ servers }: RedisCluster): Promise<boolean> {
  const infos = await Promise.all(servers.map((server) => server.command<string>('CLUSTER', 'INFO')))
  return infos.every((info) => info.includes('cluster_state:ok'))
}
