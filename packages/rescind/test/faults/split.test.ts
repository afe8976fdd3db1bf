/**
 * A network that is split, with the primary and some clients on the smaller side: what was acknowledged as replicated
 * is not lost, the smaller side stops believing its primary, and all are one again soon after the heal.
 *
 * Three hosts, each a network namespace with a server, a Sentinel, nodes of ours and a naive client.
 */
import { describe, expect, it } from 'vitest'
import { canSplit, namedBy, skipUnlessAble } from '../support/net-namespaces.js'
import type { RedisServer } from '../support/redis-server.js'
import { PUBLISH_PERIOD_MS, SplitSentinelSet } from '../support/split-sentinel.js'
import { until } from '../support/until.js'
import { allowedMs, promise, times } from './engine/figures.js'
import type { NodePlan } from './engine/node.js'
import type { RemoteCrewOptions } from './engine/remote-crew.js'
import { expectKept, type Outcome, type Round, runScenario } from './engine/scenario.js'

const ROUNDS = times(20, 2)
const BOUND_MS = 500
const LATE_MAX_MS = 50
const DOWN_AFTER_MS = 500
/** A replica that was silent for longer does not count; Redis counts whole seconds, and so adds up to one. */
const REPLICA_LAG_MAX_SECONDS = 1
/** How long a node believes a primary that was cut off: by that lag, and by an answer about it that is kept. */
const BELIEVED_MS = (REPLICA_LAG_MAX_SECONDS + 1) * 1000 + 250
/** So long after the heal Sentinels let a former primary be one, which the nodes there may find first. */
const SENTINELS_MS = 4 * PUBLISH_PERIOD_MS
const RECOVERY_MAX_MS = SENTINELS_MS + 2000
/** On each side, before and in each split. */
const WRITES = 15
const TIMEOUT_MS = 20_000
const CREW = { writesPerSecond: 20, checksPerSecond: 40 }

const OURS = 'rescind:*:r:*'
/** Of the subjects, a power of ten: above those of our crews. */
const NAIVE_STRETCH = 100_000_000

const able = await canSplit()

type Split = SplitSentinelSet

function nodeAt(host: number): string {
  return `node-${host}`
}

/** So that the keys tell whose they are. */
function firstNaive(host: number): number {
  return (host + 1) * NAIVE_STRETCH
}

/** The keys of the naive client on this host. */
function naiveOf(host: number): string {
  return `bl:token-${host + 1}${'?'.repeat(String(NAIVE_STRETCH).length - 1)}`
}

function oursAt(split: Split, host: number): NodePlan[] {
  const plan = {
    kind: 'rescind',
    connection: { sentinels: split.address.sentinels, sentinelName: split.address.name },
    store: { replicas: 1, minReplicas: 1, replicaLagMaxSeconds: REPLICA_LAG_MAX_SECONDS },
    ack: 'replicated',
  } as const
  return [
    { ...plan, name: nodeAt(host), manager: { stalenessMaxMs: BOUND_MS } },
    { ...plan, name: `bare-${host}`, manager: { replica: false }, isWriter: false },
  ]
}

function crewsOf(split: Split): (RemoteCrewOptions & { isNaive?: boolean })[] {
  return split.places.flatMap((place, host) => {
    const naive: NodePlan = { kind: 'naive', name: `naive-${host}`, connection: split.address }
    return [
      { ...CREW, seed: host + 1, place, nodes: oursAt(split, host) },
      { ...CREW, seed: host + 1, firstSubject: firstNaive(host), place, nodes: [naive], isNaive: true },
    ]
  })
}

/** Resolves when the server holds so many more revocations of this kind than now. */
async function taken(server: RedisServer, pattern: string, what: string): Promise<void> {
  const count = async () => (await server.command<string[]>('KEYS', pattern)).length
  const before = await count()
  await until(async () => (await count()) >= before + WRITES, { what, timeoutMs: TIMEOUT_MS, intervalMs: 50 })
}

async function harm({ servers: split }: Round<Split>, cutOff: string[]): Promise<void> {
  // Busy machines make Sentinels change the primary once more.
  await split.settled()
  const { primaryIndex } = split
  cutOff.push(nodeAt(primaryIndex))
  const primary = split.set.servers[primaryIndex] as RedisServer
  await Promise.all([
    taken(primary, OURS, 'our revocations before the split'),
    // It may wait for long on a connection that the split before has left dead.
    taken(primary, naiveOf(primaryIndex), 'naive ones before the split'),
  ])
  await split.split()
}

/** Until both sides have written on their own, and the smaller one has had the time to see that it is alone. */
async function hold({ servers: split }: Round<Split>): Promise<void> {
  const { primaryIndex } = split
  const former = split.set.servers[primaryIndex] as RedisServer
  const larger = async () => {
    const primary = await split.promoted()
    await taken(primary, OURS, 'our revocations on the larger side')
  }
  const smaller = taken(former, naiveOf(primaryIndex), 'naive revocations on the smaller side')
  await Promise.all([larger(), smaller])
  // Longer than it may be believed, so that it shows.
  await until(async () => (await replicaLagSeconds(former)) > REPLICA_LAG_MAX_SECONDS + 2, {
    what: 'the smaller side to be alone for long',
    timeoutMs: TIMEOUT_MS,
  })
}

/** Since when the primary has heard of no replica. */
async function replicaLagSeconds(server: RedisServer): Promise<number> {
  const replication = await server.command<string>('INFO', 'replication')
  return Math.min(...[...replication.matchAll(/^slave\d+:.*lag=(\d+)/gm)].map(([, lag]) => Number(lag)))
}

function judge({ ours: { figures, counts }, naive }: Outcome): void {
  const recoveryMs = Math.max(...figures.recoveriesMs)
  promise(
    'replicated-never-lost',
    'splits',
    `${figures.lost} of ${figures.acknowledged.replicated} revocations lost over ${ROUNDS} splits; ` +
      `the naive client lost ${naive.figures.lost} of ${naive.figures.acknowledged.accepted}`,
    figures.lost === 0,
  )
  promise(
    'deadline-and-bound',
    'split',
    `${figures.late} late, ${Math.round(figures.behindTimerMaxMs)} ms at the most; the smaller side was fresh for ` +
      `${Math.round(figures.silenceMaxMs)} ms, of ${BOUND_MS} after ${BELIEVED_MS} in which its primary is believed`,
    figures.late === 0 && figures.behindTimerMaxMs <= LATE_MAX_MS && (counts.overdue ?? 0) === 0,
  )
  promise(
    'recovery',
    'split',
    `fresh ${Math.round(recoveryMs)} ms after the heal at the most, of which Sentinels may take ${SENTINELS_MS}`,
    recoveryMs <= RECOVERY_MAX_MS,
  )
}

function tellAll(figure: string, holds: boolean): void {
  promise('replicated-never-lost', 'splits', figure, holds)
  promise('deadline-and-bound', 'split', figure, holds)
  promise('recovery', 'split', figure, holds)
}

describe(namedBy('a network that is split', able), () => {
  it(
    'loses nothing that was acknowledged as replicated',
    async (context) => {
      if (able !== true) tellAll(`NOT SHOWN: ${able}`, false)
      skipUnlessAble(context, able)
      /** The nodes on the smaller side, of each round. */
      const cutOff = Array.from({ length: ROUNDS }, (): string[] => [])
      const outcome = await runScenario({
        servers: () => SplitSentinelSet.start({ downAfterMs: DOWN_AFTER_MS }),
        ours: () => [],
        naive: () => [],
        others: crewsOf,
        rounds: ROUNDS,
        // `harm` waits for the writes: there are no local clients to be counted.
        writesPerRound: 0,
        // The primary answers on, whom nobody should believe for long.
        kind: (round) => ({ loses: true, losesAfterHealing: true, silences: cutOff[round] ?? [] }),
        limits: { harmMs: BELIEVED_MS },
        harm: (round) => harm(round, cutOff[round.round] ?? []),
        hold,
        heal: ({ servers }) => servers.heal(),
        healTimeoutMs: TIMEOUT_MS,
      })
      judge(outcome)
      expectKept('split', outcome)
      expect(outcome.ours.figures.acknowledged.replicated).toBeGreaterThanOrEqual(2 * WRITES * ROUNDS)
      expect(outcome.naive.figures.lost, 'the naive client must lose some').toBeGreaterThan(0)
      expect(Math.max(...outcome.ours.figures.recoveriesMs)).toBeLessThanOrEqual(allowedMs(RECOVERY_MAX_MS))
    },
    times(900_000, 90_000),
  )
})
