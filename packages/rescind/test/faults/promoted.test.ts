/**
 * Sentinel promotes a replica that lacks the last writes, because the primary was killed or stands still. Just before,
 * the replicas had lost their link to it.
 */
import { afterEach, describe, expect, it } from 'vitest'
import type { RedisServer } from '../support/redis-server.js'
import { RedisSentinelSet } from '../support/redis-sentinel.js'
import { until } from '../support/until.js'
import { allowedMs, promise, promiseDeadline, times } from './engine/figures.js'
import { oneNaive, twoAndBare } from './engine/plans.js'
import { expectKept, type Round, runScenario } from './engine/scenario.js'

const DOWN_AFTER_MS = 500
/** Sentinels that elect nobody vote again only after four seconds (twice `failoverTimeoutMs`): then it is their time. */
const ELECTED_MAX_MS = DOWN_AFTER_MS + 2000
/** After such a promotion. */
const FOLLOWED_MAX_MS = 1000
const HEAL_TIMEOUT_MS = 30_000
/** Revocations that only the primary has. */
const AHEAD = 10

/** The primary that was harmed last. */
let former: RedisServer | undefined
afterEach(() => (former = undefined))

describe('a primary that is', () => {
  it.each([
    { harm: 'killed', rounds: times(40, 2), recoveryMaxMs: DOWN_AFTER_MS + 2000 },
    { harm: 'frozen', rounds: times(10, 1), recoveryMaxMs: DOWN_AFTER_MS + 5000 },
  ] as const)(
    '$harm: nothing that was acknowledged as replicated is lost',
    async ({ harm, rounds, recoveryMaxMs }) => {
      const outcome = await runScenario({
        // No Sentinel is ever cut off here: they may undo what a thawed primary does as soon as they can. Until then it is
        // one of two, and nodes without `minReplicas` believe it (docs/reliability.md, "Not promised").
        servers: () =>
          RedisSentinelSet.start({ replicas: 2, downAfterMs: DOWN_AFTER_MS, publishPeriodMs: 100 }),
        ours: ({ sentinels, name }) =>
          twoAndBare({ connection: { sentinels, sentinelName: name }, ack: 'replicated' }),
        naive: ({ sentinels, name }) => oneNaive({ connection: { sentinels, name } }),
        rounds,
        kind: { loses: true, silences: false },
        prepare: ({ servers }) => complete(servers),
        harm: async (round) => {
          former = await round.servers.primary()
          await cutReplicasOff(round, former)
          if (harm === 'killed') await former.kill()
          else former.freeze()
          for (const replica of round.servers.servers) if (replica !== former) replica.thaw()
        },
        heal: async ({ servers }) => {
          if (former !== undefined) await servers.promotedAfter(former)
          if (harm === 'frozen') former?.thaw()
        },
        // A frozen primary goes on as one, for whoever is connected to it, until a Sentinel tells it.
        settle: complete,
        healTimeoutMs: HEAL_TIMEOUT_MS,
      })
      const { lost, acknowledged } = outcome.ours.figures
      const { inTime, afterVotes } = byElection(outcome.ours.figures)
      const { naive } = outcome
      if (harm === 'killed') {
        promise(
          'replicated-never-lost',
          'killed primaries',
          `${lost} of ${acknowledged.replicated} revocations lost over ${rounds} killed primaries; ` +
            `the naive client lost ${naive.figures.lost} of ${naive.figures.acknowledged.accepted}`,
          lost === 0 && naive.figures.lost > 0,
        )
      }
      promiseDeadline('promoted', outcome.ours)
      const outageMs = Math.max(...inTime)
      const followedMs = Math.max(0, ...afterVotes)
      const voted = `; ${afterVotes.length} times the Sentinels had to vote again, and it took ${Math.round(followedMs)} ms from then on`
      promise(
        'recovery',
        `promoted: ${harm}`,
        `fresh again in ${Math.round(outageMs)} ms at the most of ${inTime.length} times` +
          (afterVotes.length > 0 ? voted : ''),
        inTime.length > 0 && outageMs <= recoveryMaxMs && followedMs <= FOLLOWED_MAX_MS,
      )
      expectKept(`promoted: ${harm}`, outcome)
      expect(naive.figures.lost, 'the naive client loses what only the primary had').toBeGreaterThan(0)
      expect(outageMs).toBeLessThanOrEqual(allowedMs(recoveryMaxMs))
      expect(followedMs).toBeLessThanOrEqual(allowedMs(FOLLOWED_MAX_MS))
    },
    times(900_000, 90_000),
  )
})

/** From the harm on where the first vote elected somebody, otherwise from the promotion on. */
function byElection({
  outagesMs,
  recoveriesMs,
}: {
  outagesMs: readonly number[]
  recoveriesMs: readonly number[]
}) {
  const inTime: number[] = []
  const afterVotes: number[] = []
  for (const [i, recoveryMs] of recoveriesMs.entries()) {
    const outageMs = outagesMs[i] as number
    if (outageMs - recoveryMs <= ELECTED_MAX_MS) inTime.push(outageMs)
    else afterVotes.push(recoveryMs)
  }
  return { inTime, afterVotes }
}

/** The primary of the round before comes back as a replica, all replicas follow, and the Sentinels know of it. */
async function complete(set: RedisSentinelSet): Promise<void> {
  if (former !== undefined && !former.isRunning) await former.restart()
  await until(
    async () => {
      const primary = await set.primary()
      const info = await primary.command<string>('INFO', 'replication')
      return (info.match(/state=online/g) ?? []).length === set.servers.length - 1
    },
    { what: 'all replicas to follow', timeoutMs: HEAL_TIMEOUT_MS },
  )
  // Those who disagree would change the primary in the middle of the harm.
  await set.settled()
}

/** The replicas stand still without a link, until the primary has acknowledged what they do not have. */
async function cutReplicasOff(
  { servers, naive }: Round<RedisSentinelSet>,
  primary: RedisServer,
): Promise<void> {
  for (const replica of servers.servers) if (replica !== primary) replica.freeze()
  await primary.command('CLIENT', 'KILL', 'TYPE', 'replica')
  const { acknowledged } = await naive.counts()
  const isAhead = async () => (await naive.counts()).acknowledged >= acknowledged + AHEAD
  await until(isAhead, { what: `${AHEAD} revocations that only the primary has` })
}
