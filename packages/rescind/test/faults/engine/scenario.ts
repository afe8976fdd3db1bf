/**
 * A fault scenario: servers, nodes and clients of ours, naive clients beside them, and harm in rounds.
 *
 *     const outcome = await runScenario({
 *       servers: () => RedisServer.start(),
 *       ours: ({ url }) => [{ kind: 'rescind', name: 'a', connection: { url } }, …],
 *       naive: ({ host, port }) => [{ kind: 'naive', name: 'naive', connection: { host, port } }],
 *       rounds: times(40, 4),
 *       kind: { loses: true, silences: false },
 *       harm: ({ servers }) => servers.command('FLUSHALL'),
 *     })
 *     promise('emptied-never-lost', …, outcome.ours.figures.lost === 0)
 *     expectKept('emptied', outcome)
 *
 * In each round the clients write until there is something to lose; then comes `harm`, and `heal` after as many answers
 * as `hold` waits for. The round ends when every node answers, is fresh, and says the same as all others. After the
 * last round a node that comes new is asked about everything, as all others are. Then the checker reads both histories.
 *
 * - `kind` says what the harm may do, and so what the checker excuses until the mending: say no more than is true.
 * - Clients elsewhere (a process, a network namespace) are `others`: each gets a stretch of subjects of its own.
 * - One of our nodes at least should have no replica: it shows what the servers themselves hold.
 */
import { expect } from 'vitest'
import { until } from '../../support/until.js'
import { checkHistory, type Limits, type Report } from './checker.js'
import { type Clients, Crew, type CrewCounts, type CrewPlan, type Survey } from './crew.js'
import { control } from './figures.js'
import { type HarmKind, type HistoryEvent, mergeHistories, nowMs, type Phase } from './history.js'
import type { NodePlan } from './node.js'
import { nameOf } from './subjects.js'
import { RemoteCrew, type RemoteCrewOptions } from './remote-crew.js'

export interface ScenarioOptions<Servers extends AsyncDisposable> {
  readonly servers: () => Promise<Servers>
  readonly ours: (servers: Servers) => readonly NodePlan[]
  readonly naive: (servers: Servers) => readonly NodePlan[]
  /** More clients, in processes of their own: ours, and naive ones, which are judged by themselves. */
  readonly others?: (servers: Servers) => readonly (RemoteCrewOptions & { readonly isNaive?: boolean })[]
  readonly rounds: number
  readonly kind: HarmKind | ((round: number) => HarmKind)
  /** Before the clients write what is to be lost. */
  readonly prepare?: (round: Round<Servers>) => Promise<unknown>
  readonly harm: (round: Round<Servers>) => Promise<unknown>
  /** Between harm and healing. Default: nothing. */
  readonly hold?: (round: Round<Servers>) => Promise<unknown>
  /** Default: the harm is over when it is done. */
  readonly heal?: (round: Round<Servers>) => Promise<unknown>
  /** After the last round, before everybody is asked about everything: the servers come to rest. Default: nothing. */
  readonly settle?: (servers: Servers) => Promise<unknown>
  /** A node that comes when all is over. Default: like the first of ours; `null`: none. */
  readonly stranger?: NodePlan | null
  /** How many revocations are acknowledged, of ours and of the naive client's, before the next harm. Default 20. */
  readonly writesPerRound?: number
  /** Of the local crews, ours and the naive one. */
  readonly crew?: Omit<CrewPlan, 'nodes'>
  readonly limits?: Partial<Limits>
  /** How long nodes may take to be back, and then to agree, in milliseconds. Default 15,000. */
  readonly healTimeoutMs?: number
}

export interface Round<Servers> {
  readonly servers: Servers
  /** From 0. */
  readonly round: number
  readonly ours: Crew
  readonly naive: Crew
  /** Resolves when our clients have got so many answers from now on. */
  answers(count: number): Promise<void>
  /** Resolves when no memory of our local nodes calls itself fresh. */
  allStale(): Promise<void>
}

export interface Outcome {
  readonly ours: Report
  readonly history: readonly HistoryEvent[]
  readonly naive: Report
  /** Revocations lost, and answers that came too late or never. */
  readonly naiveLost: number
  readonly rounds: number
}

const HEAL_TIMEOUT_MS = 15_000
const WRITES_TIMEOUT_MS = 20_000
const DISPUTED_SHOWN_MAX = 10
const VIOLATIONS_SHOWN_MAX = 10
/** Of the subjects: more than any crew revokes. */
const STRETCH = 1_000_000

export async function runScenario<Servers extends AsyncDisposable>(
  options: ScenarioOptions<Servers>,
): Promise<Outcome> {
  await using servers = await options.servers()
  const run = new Run(options, servers)
  try {
    return await run.go()
  } finally {
    await run.close()
  }
}

/** Ours kept every promise, and the naive client did not. Writes the control's figure. */
export function expectKept(scenario: string, { ours, history, naiveLost }: Outcome): void {
  control(scenario, naiveLost)
  expect(ours.counts, explain(ours, history)).toEqual({})
  expect(naiveLost, 'the naive client must lose some, or the harm proves nothing').toBeGreaterThan(0)
}

/** The first violations, with what proves them, and all that was written of the first one's target. */
function explain({ violations }: Report, history: readonly HistoryEvent[]): string {
  const told = violations
    .slice(0, VIOLATIONS_SHOWN_MAX)
    .map(({ kind, target, message, proof }) =>
      [`${kind}: ${target}: ${message}`, ...proof.map(line)].join('\n'),
    )
  const target = violations[0]?.target
  const writes = history.filter((event) => 'target' in event && event.target === target && 'endAt' in event)
  const ids = new Set(writes.map((event) => 'id' in event && event.id))
  const all = history.filter((event) => event.type === 'phase' || ('id' in event && ids.has(event.id)))
  return [...told, `All that was written of ${target}:`, ...all.map(line)].join('\n')
}

function line(event: HistoryEvent): string {
  return `    ${JSON.stringify(event)}`
}

class Run<Servers extends AsyncDisposable> {
  readonly #options: ScenarioOptions<Servers>
  readonly #servers: Servers
  readonly #ours: Crew
  readonly #naive: Crew
  readonly #stranger: Crew | undefined
  readonly #ourOthers: readonly RemoteCrew[]
  readonly #naiveOthers: readonly RemoteCrew[]
  readonly #phases: Phase[] = []

  constructor(options: ScenarioOptions<Servers>, servers: Servers) {
    const { ours, naive, others, crew = {} } = options
    this.#options = options
    this.#servers = servers
    const plans = ours(servers)
    this.#ours = new Crew({ ...crew, nodes: plans })
    this.#naive = new Crew({ ...crew, nodes: naive(servers) })
    const [first] = plans
    const stranger =
      options.stranger === undefined ? first && { ...first, name: 'stranger' } : options.stranger
    if (stranger) this.#stranger = new Crew({ nodes: [stranger] })
    const remote = (others?.(servers) ?? []).map(({ isNaive = false, ...plan }, i) => ({
      isNaive,
      crew: new RemoteCrew({ firstSubject: (i + 1) * STRETCH, ...plan }),
    }))
    this.#ourOthers = remote.filter(({ isNaive }) => !isNaive).map(({ crew }) => crew)
    this.#naiveOthers = remote.filter(({ isNaive }) => isNaive).map(({ crew }) => crew)
  }

  async go(): Promise<Outcome> {
    await each(this.#all, (clients) => clients.begin())
    await each(this.#all, (clients) => clients.run())
    for (let round = 0; round < this.#options.rounds; round++) await this.#round(round)
    await each(this.#all, (clients) => clients.rest())
    await this.#options.settle?.(this.#servers)
    await this.#roll()
    const history = await this.#history([this.#ours, ...this.#ourOthers, ...this.#strangers])
    const ours = checkHistory(history, this.#options.limits)
    const naive = checkHistory(await this.#history(this.#naiveEverywhere), this.#options.limits)
    const naiveLost = naive.figures.lost + naive.figures.late
    return { ours, history, naive, naiveLost, rounds: this.#options.rounds }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#all, ...this.#strangers].map((clients) => clients.close()))
  }

  get #all(): readonly Clients[] {
    return [this.#ours, this.#naive, ...this.#ourOthers, ...this.#naiveOthers]
  }

  get #strangers(): readonly Clients[] {
    return this.#stranger === undefined ? [] : [this.#stranger]
  }

  get #oursEverywhere(): readonly Clients[] {
    return [this.#ours, ...this.#ourOthers]
  }

  get #naiveEverywhere(): readonly Clients[] {
    return [this.#naive, ...this.#naiveOthers]
  }

  async #round(number: number): Promise<void> {
    const {
      kind,
      prepare,
      harm,
      hold,
      heal,
      writesPerRound = 20,
      healTimeoutMs = HEAL_TIMEOUT_MS,
    } = this.#options
    const round = this.#context(number)
    await prepare?.(round)
    await this.#written(writesPerRound)
    this.#mark('harm', typeof kind === 'function' ? kind(number) : kind)
    await harm(round)
    this.#mark('harmed')
    await hold?.(round)
    this.#mark('healing')
    await heal?.(round)
    this.#mark('healed')
    await this.#back(healTimeoutMs)
    this.#mark('recovered')
    await each(this.#oursEverywhere, (clients) => clients.pauseWrites())
    await this.#agree(healTimeoutMs)
    this.#mark('mended')
    await each(this.#oursEverywhere, (clients) => clients.resumeWrites())
  }

  #context(round: number): Round<Servers> {
    const ours = this.#ours
    return {
      ...{ servers: this.#servers, round, ours, naive: this.#naive },
      answers: async (count) => {
        const answers = () => sum(this.#oursEverywhere, (counts) => counts.answers)
        const before = await answers()
        await until(async () => (await answers()) >= before + count, {
          what: `${count} answers`,
          timeoutMs: HEAL_TIMEOUT_MS,
        })
      },
      allStale: async () => {
        const { length } = ours.nodes.filter(({ hasReplica }) => hasReplica)
        await until(async () => (await ours.counts()).stale.length === length, {
          what: 'every memory to be stale',
          timeoutMs: HEAL_TIMEOUT_MS,
        })
      },
    }
  }

  #mark(phase: Phase['phase'], harm?: HarmKind): void {
    this.#phases.push({ type: 'phase', at: nowMs(), phase, ...(harm === undefined ? {} : { harm }) })
  }

  /** There is something to lose, for us and for the naive clients. */
  async #written(count: number): Promise<void> {
    const sides = [this.#oursEverywhere, this.#naiveEverywhere]
    const sums = () => each(sides, (clients) => sum(clients, ({ acknowledged }) => acknowledged))
    const before = await sums()
    const isWritten = async () => (await sums()).every((now, i) => now >= (before[i] ?? 0) + count)
    await until(isWritten, { what: `${count} revocations each`, timeoutMs: WRITES_TIMEOUT_MS })
  }

  async #back(timeoutMs: number): Promise<void> {
    let away: readonly string[] = []
    const isBack = async () => {
      away = (await each(this.#oursEverywhere, (clients) => clients.away())).flat()
      return away.length === 0
    }
    await until(isBack, { what: 'every node to be back and fresh', timeoutMs }).catch((cause: unknown) => {
      throw new Error(`not back and fresh: ${away.join(', ')}`, { cause })
    })
  }

  /** All nodes say the same of every subject, from memory and from the store. */
  async #agree(timeoutMs: number): Promise<void> {
    const subjects = (await each(this.#oursEverywhere, (clients) => clients.touched())).flat()
    let surveys: readonly Survey[] = []
    const isAgreed = async () => {
      surveys = (await each(this.#oursEverywhere, (clients) => clients.survey(subjects))).flat()
      return new Set(surveys.flatMap(({ memory, store }) => [memory ?? store, store])).size === 1
    }
    await until(isAgreed, { what: 'every node to say the same', timeoutMs }).catch((cause: unknown) => {
      const counts = surveys.map(
        ({ node, memory, store }) => `${node}: memory ${tally(memory)}, store ${tally(store)}`,
      )
      const letters = (i: number) => surveys.map(({ memory = '', store }) => `${memory[i] ?? ''}${store[i]}`)
      const disputed = subjects.flatMap((subject, i) =>
        new Set(letters(i).join('')).size > 1 ? [`${nameOf(subject)} ${letters(i).join(' ')}`] : [],
      )
      counts.push(disputed.slice(0, DISPUTED_SHOWN_MAX).join(', '))
      throw new Error(`the nodes do not agree: ${counts.join('; ')}`, { cause })
    })
  }

  async #roll(): Promise<void> {
    const isBack = async () => (await this.#naive.away()).length === 0
    await until(isBack, { what: 'the naive client', timeoutMs: HEAL_TIMEOUT_MS }).catch(() => undefined)
    await this.#stranger?.begin()
    this.#mark('roll')
    const ours = [...this.#oursEverywhere, ...this.#strangers]
    const subjects = (await each(this.#oursEverywhere, (clients) => clients.touched())).flat()
    for (const clients of ours) await clients.roll(subjects)
    for (const clients of this.#naiveEverywhere) await clients.roll(await clients.touched())
  }

  async #history(crews: readonly Clients[]): Promise<readonly HistoryEvent[]> {
    const histories: (readonly HistoryEvent[])[] = await each(crews, (clients) => clients.history())
    return mergeHistories([...histories, this.#phases])
  }
}

function each<C, T>(all: readonly C[], call: (one: C) => Promise<T>): Promise<T[]> {
  return Promise.all(all.map(call))
}

async function sum(crews: readonly Clients[], figure: (counts: CrewCounts) => number): Promise<number> {
  return (await each(crews, (clients) => clients.counts())).reduce(
    (total, counts) => total + figure(counts),
    0,
  )
}

function tally(letters = ''): string {
  const counts = new Map<string, number>()
  for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  return [...counts].map(([letter, count]) => `${letter}${count}`).join(' ') || 'none'
}
