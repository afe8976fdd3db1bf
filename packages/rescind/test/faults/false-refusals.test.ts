/**
 * Nobody is refused who was never revoked: millions of checks of bystanders, over memories full of revocations and in
 * the midst of every harm that a single server can come to.
 */
import { expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { promise, times } from './engine/figures.js'
import { oneNaive, twoAndBare } from './engine/plans.js'
import type { RescindNode } from './engine/rescind-node.js'
import { expectKept, type Round, runScenario } from './engine/scenario.js'
import { targetOf } from './engine/subjects.js'

const CHECKS = times(10_000_000, 300_000)
const REVOCATIONS = times(100_000, 10_000)
const ROUNDS = 3
/** Subjects that the clients of the scenario never reach: revoked beforehand, and never. */
const REVOKED_FROM = 10_000_000
const BYSTANDERS_FROM = 20_000_000
const WRITES_AT_ONCE = 200
/** Of each memory before others have their turn: about five milliseconds. */
const CHECKS_PER_TURN = 1000
const TURN_MS = 1
/** So many turns in which no memory has answered: the harm has been felt. */
const IDLE_TURNS_MAX = 50

it(
  `nobody is refused who was never revoked, in ${CHECKS.toLocaleString('en')} checks`,
  async () => {
    const told: Told = { checks: 0, refused: 0 }
    const outcome = await runScenario({
      servers: () => RedisServer.start({ persistence: true, config: { appendfsync: 'no' } }),
      ours: ({ url }) => twoAndBare({ connection: { url } }),
      naive: ({ host, port }) => oneNaive({ connection: { host, port } }),
      rounds: ROUNDS,
      prepare: async ({ round, ours }) => {
        if (round === 0) await revokeMany(ours.nodes as readonly RescindNode[])
      },
      kind: (round) => ({ loses: round === 0, silences: round > 0 }),
      harm: async ({ round, servers }) => {
        if (round === 0) await servers.command('FLUSHALL')
        if (round === 1) servers.freeze()
        if (round === 2) await servers.kill()
      },
      // Half of the checks of a round while harm is done, and half while it heals.
      hold: (round) => checkMany(round, CHECKS / ROUNDS / 2, told, true),
      heal: async (round) => {
        if (round.round === 1) round.servers.thaw()
        if (round.round === 2) await round.servers.restart()
        const missing = (CHECKS * (round.round + 1)) / ROUNDS - told.checks
        await checkMany(round, missing, told, false)
      },
      healTimeoutMs: 60_000,
    })
    const others = outcome.ours.counts['false-refusal'] ?? 0
    const figure = `${told.refused + others} of ${told.checks.toLocaleString('en')} checks refused a bystander, beside ${REVOCATIONS.toLocaleString('en')} revocations`
    promise('no-false-refusals', 'checks', figure, told.refused + others === 0 && told.checks >= CHECKS)
    expect(told.refused).toBe(0)
    expect(told.checks).toBeGreaterThanOrEqual(CHECKS)
    expectKept('false refusals', outcome)
  },
  times(600_000, 60_000),
)

/** As many memories as there are have them all. */
async function revokeMany(nodes: readonly RescindNode[]): Promise<void> {
  const [writer] = nodes as [RescindNode]
  for (let from = 0; from < REVOCATIONS; from += WRITES_AT_ONCE) {
    const batch = Array.from({ length: WRITES_AT_ONCE }, (_, n) => targetOf(REVOKED_FROM + from + n))
    await Promise.all(batch.map((target) => writer.manager.revoke(target)))
  }
  const replicas = nodes.flatMap(({ manager: { replica } }) => (replica === undefined ? [] : [replica]))
  await until(() => replicas.every(({ size }) => size >= REVOCATIONS), {
    what: 'all memories to be full',
    timeoutMs: 30_000,
  })
}

/** Memories that are not fresh say nothing of a bystander: then it goes on until they are, or, `isBounded`, for some turns. */
async function checkMany(
  { ours }: Round<RedisServer>,
  count: number,
  told: Told,
  isBounded: boolean,
): Promise<void> {
  const until = told.checks + count
  for (let subject = BYSTANDERS_FROM, idle = 0; told.checks < until;) {
    const before = told.checks
    for (const node of ours.nodes) {
      for (let n = 0; node.hasReplica && n < CHECKS_PER_TURN; n++)
        tell(node.checkNow(subject++)?.status, told)
      void node.check(subject).then((status) => tell(status, told))
    }
    idle = told.checks === before ? idle + 1 : 0
    if (isBounded && idle > IDLE_TURNS_MAX) return
    await new Promise((resolve) => setTimeout(resolve, TURN_MS))
  }
}

interface Told {
  checks: number
  refused: number
}

/** Only answers count. */
function tell(status: string | undefined, told: Told): void {
  if (status === 'clear' || status === 'revoked') told.checks += 1
  if (status === 'revoked') told.refused += 1
}
