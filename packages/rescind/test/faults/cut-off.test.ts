/**
 * The network between the nodes and a Redis that lives: answers are late, swallowed, held back, cut off within, in
 * pieces, and connections are reset or closed on one side, by a proxy that all clients go through.
 */
import { describe, expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import type { LaneMode } from '../support/tcp-lane.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import type { CrewPlan } from './engine/crew.js'
import { allowedMs, promise, times } from './engine/figures.js'
import { expectKept, type Outcome, type Round, runScenario } from './engine/scenario.js'
import { until } from '../support/until.js'

const ROUNDS = times(6, 1)
const BOUND_MS = 500
const HARM_MS = 20
const RECOVERY_MAX_MS = 2000
const LATE_MAX_MS = 50
/** Answers of our nodes in a harm, and after all memories are stale: enough to be wrong. */
const ANSWERS = 150
/** Of some four seconds. */
const MANY_ANSWERS = times(2400, 1000)
/** Above what a busy machine needs until it keeps up with single bytes. */
const PIECES_TIMEOUT_MS = 15_000
/** Less than any answer of Redis. */
const PART_OF_AN_ANSWER_BYTES = 3

/** A server, and the only way to it. */
class Cut implements AsyncDisposable {
  private constructor(
    readonly server: RedisServer,
    readonly proxy: TcpProxy,
  ) {}

  static async start(): Promise<Cut> {
    const server = await RedisServer.start()
    return new Cut(server, await TcpProxy.start({ to: server }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close()
    await this.server.stop()
  }
}

interface Fault {
  readonly name: string
  readonly harm: (proxy: TcpProxy) => void
  /** No whole answer comes. */
  readonly silences: boolean
  /** Default: until all memories are stale, where it silences, and a number of answers more. */
  readonly hold?: (round: Round<Cut>) => Promise<unknown>
  readonly crew?: Omit<CrewPlan, 'nodes'>
}

const both = (mode: LaneMode) => (proxy: TcpProxy) => proxy.harm(mode)

const FAULTS: readonly Fault[] = [
  // There and back is above the deadline of a check, and above the bound.
  {
    name: 'delayed',
    harm: both({ kind: 'delay', ms: 300 }),
    silences: false,
    hold: ({ answers }) => answers(4 * ANSWERS),
  },
  { name: 'swallowed', harm: both({ kind: 'swallow' }), silences: true },
  {
    name: 'swallowed on the way back, so that writes are done and nobody is told',
    harm: (proxy) => (proxy.toClient = { kind: 'swallow' }),
    silences: true,
  },
  { name: 'held back until it is healed', harm: both({ kind: 'hold' }), silences: true },
  {
    name: 'reset',
    harm: both({ kind: 'reset' }),
    silences: true,
    // So often in vain that whoever waits ever longer is late when it is healed.
    hold: ({ answers }) => answers(MANY_ANSWERS),
  },
  {
    name: 'reset on the side of the server alone',
    harm: (proxy) => (proxy.toServer = { kind: 'reset' }),
    silences: true,
  },
  {
    name: 'closed on the side of the clients alone',
    harm: (proxy) => (proxy.toClient = { kind: 'halfClose' }),
    silences: true,
  },
  {
    name: 'cut off within an answer',
    harm: (proxy) => (proxy.toClient = { kind: 'truncate', bytes: PART_OF_AN_ANSWER_BYTES }),
    silences: true,
  },
  {
    // Pieces alone do no harm, to nobody; hence the naive client has to lose by what follows.
    name: 'delivered byte by byte, and then cut off within an answer',
    harm: both({ kind: 'split', bytes: 1 }),
    silences: false,
    // A byte takes a turn of this process, whatever else it does.
    crew: { checksPerSecond: 30, writesPerSecond: 30 },
    hold: async ({ servers: { proxy }, ours, answers }) => {
      // A busy machine is slow with so many pieces for a while: then an answer is late, as it would be on a slow network.
      const areAnswered = async () => {
        const { unknown } = await ours.counts()
        await answers(ANSWERS)
        return (await ours.counts()).unknown - unknown < ANSWERS / 10
      }
      await until(areAnswered, {
        what: 'most checks to be answered, since every byte comes',
        timeoutMs: PIECES_TIMEOUT_MS,
      })
      const areFresh = async () => (await ours.counts()).stale.length === 0
      await until(areFresh, { what: 'all to be fresh, since every byte comes' })
      proxy.toClient = { kind: 'truncate', bytes: PART_OF_AN_ANSWER_BYTES }
      await answers(ANSWERS)
    },
  },
]

async function run({ harm, silences, hold, crew = {} }: Fault): Promise<Outcome> {
  return runScenario({
    servers: () => Cut.start(),
    ours: ({ proxy: { url } }) => [
      { kind: 'rescind', name: 'a', connection: { url }, manager: { stalenessMaxMs: BOUND_MS } },
      { kind: 'rescind', name: 'b', connection: { url }, manager: { stalenessMaxMs: BOUND_MS } },
      { kind: 'rescind', name: 'bare', connection: { url }, manager: { replica: false } },
    ],
    naive: ({ proxy: { host, port } }) => [{ kind: 'naive', name: 'naive', connection: { host, port } }],
    rounds: ROUNDS,
    crew,
    kind: { loses: false, silences },
    harm: async ({ servers }) => harm(servers.proxy),
    hold:
      hold ??
      (async ({ answers, allStale }) => {
        if (silences) await allStale()
        await answers(ANSWERS)
      }),
    heal: async ({ servers }) => servers.proxy.heal(),
  })
}

describe('what is sent to Redis and back is', () => {
  it.each(FAULTS)(
    '$name: nothing is lost, and every answer comes in time',
    async (fault) => {
      const outcome = await run(fault)
      const { figures, counts } = outcome.ours
      const recoveryMs = Math.max(...figures.recoveriesMs)
      promise(
        'deadline-and-bound',
        'cut off',
        `${fault.name}: ${figures.late} late, ${Math.round(figures.behindTimerMaxMs)} ms at the most; ` +
          `fresh for ${Math.round(figures.silenceMaxMs)} ms of silence at the most, of ${BOUND_MS}`,
        figures.late === 0 &&
          figures.behindTimerMaxMs <= LATE_MAX_MS &&
          (counts.overdue ?? 0) === 0 &&
          figures.silenceMaxMs <= BOUND_MS + HARM_MS,
      )
      promise(
        'recovery',
        'cut off',
        `${fault.name}: fresh ${Math.round(recoveryMs)} ms after the heal at the most`,
        recoveryMs <= RECOVERY_MAX_MS,
      )
      expectKept(`cut off: ${fault.name}`, outcome)
      expect(figures.recoveriesMs).toHaveLength(ROUNDS)
      expect(recoveryMs).toBeLessThanOrEqual(allowedMs(RECOVERY_MAX_MS))
      // The harm did what its name says: our nodes felt it.
      expect(figures.answers.unknown).toBeGreaterThan(0)
    },
    times(120_000, 30_000),
  )
})
