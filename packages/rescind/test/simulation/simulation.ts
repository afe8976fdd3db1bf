/**
 * One simulation: a seed, and what came of it. Nodes of the library on a model of Redis, in simulated time, through
 * the schedule that the seed gives; then all harm ends, and what they answer must be right.
 */
import type { CheckResult } from '../../src/token-manager.js'
import { Calls } from './calls.js'
import { Chance } from './chance.js'
import { Harms } from './harms.js'
import { type Asked, Judge } from './judge.js'
import { Network, type Place } from './network.js'
import { isFresh, makeClient, type Node, type NodeKind } from './node.js'
import { type Life, Scheduler } from './scheduler.js'
import {
  type Action,
  isAwayNear,
  isGap,
  marginOf,
  type Plan,
  planOf,
  type Step,
  TARGETS,
  TOKENS,
} from './schedule.js'
import { seedCrypto } from './seeded-crypto.js'
import { Trace } from './trace.js'
import { ModelConnection } from './transport.js'

export interface SimulationOptions {
  /** Only these steps of the schedule. Default: all. */
  readonly steps?: ReadonlySet<number> | undefined
  /** Keep the whole trace. Default: its last lines. */
  readonly isTraced?: boolean | undefined
  /** What the nodes run: the library; the library without the giving back of what was lost; a naive client. */
  readonly nodes?: NodeKind | undefined
}

export interface Outcome {
  readonly plan: Plan
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  /** Of all lines of the trace. */
  readonly hash: number
  readonly events: number
  readonly figures: Judge['figures'] & { readonly commands: number; readonly simulatedMs: number }
}

/** In seconds: 2026. */
const START = 1_790_000_000
const TRACE_MAX = 60
/** Tokens are older than every revocation. */
const ISSUED = START - 100_000
const EVERYWHERE_TIMEOUT_MS = 1500
/** In milliseconds of simulated time, what a call may take: its deadlines, one after the other. */
const CALL_MAX_MS = { check: 201, accepted: 1001, replicated: 1001, everywhere: 4600, restore: 12_000 }
/** All is looked at so long after the healing, in milliseconds; what is not right then must be right at the last. */
const LOOKS_MS = [3000, 10_000, 30_000, 90_000]
const STRANGER_READY_MS = 10_000

export async function simulate(seed: number, options: SimulationOptions = {}): Promise<Outcome> {
  const simulation = new Simulation(planOf(seed, new Chance(seed).fork('plan')), options)
  return simulation.run()
}

class Simulation {
  readonly #plan: Plan
  readonly #options: SimulationOptions
  readonly #chance: Chance
  readonly #scheduler = new Scheduler(START * 1000)
  readonly #network: Network
  readonly #judge: Judge
  readonly #harms: Harms
  #nodes: Node[] = []
  readonly #all: Node[] = []
  readonly #trace: Trace
  #commands = 0
  #starts = 0
  readonly #ends = new Set<number>()
  /** Who had read, and may give back, whatever the log has lost. Undefined: it lost nothing that leaves a gap. */
  #witnesses: readonly Node[] | undefined
  readonly #calls: Calls

  constructor(plan: Plan, options: SimulationOptions) {
    this.#plan = plan
    this.#options = options
    this.#chance = new Chance(plan.seed)
    this.#trace = new Trace(this.#scheduler, options.isTraced === true ? Infinity : TRACE_MAX)
    seedCrypto(this.#chance.fork('crypto'))
    this.#network = new Network(
      this.#scheduler,
      this.#chance.fork('network'),
      plan.weather,
      plan.serverSkewsMs,
      (server, { name, parameters }, error) => {
        this.#commands += 1
        const isWrite = name.startsWith('rescind')
        const what = error === undefined ? '' : ` ${error.message.slice(0, 20)}`
        const key = isWrite ? String(parameters[name === 'rescindReseed' ? 1 : 0]).slice(13) : ''
        this.#trace.note(`${server.name} ${name} ${key}${what}`, isWrite || error !== undefined)
      },
    )
    this.#judge = new Judge(marginOf(plan))
    this.#calls = new Calls(this.#scheduler, this.#trace, this.#judge)
    this.#harms = new Harms(
      this.#scheduler,
      this.#network,
      () => this.#nodes.map(({ place }) => place),
      this.#judge,
    )
  }

  async run(): Promise<Outcome> {
    const plan = this.#plan
    this.#nodes = plan.nodes.map((_, i) => this.#start(i))
    for (const step of plan.steps) {
      if (this.#options.steps?.has(step.number) === false) continue
      this.#scheduler.at(START * 1000 + step.atMs, () => this.#act(step))
    }
    await this.#scheduler.run(START * 1000 + plan.healAtMs)
    this.#trace.note('healing', true)
    this.#harms.heal()
    this.#network.weather = { ...plan.weather, slowShare: 0, breakShare: 0 }
    const healedMs = this.#scheduler.nowMs
    let wrong: readonly string[] = []
    for (const ms of LOOKS_MS) {
      await this.#scheduler.run(healedMs + ms)
      wrong = await this.#lookAtAll()
      if (wrong.length === 0) break
    }
    for (const what of wrong) this.#judge.violate(what)
    this.#calls.end()
    for (const node of this.#all) node.life.isOver = true
    const { violations, figures } = this.#judge
    return {
      plan,
      violations,
      trace: this.#trace.lines,
      hash: this.#trace.hash,
      events: this.#scheduler.ran,
      figures: { ...figures, commands: this.#commands, simulatedMs: this.#scheduler.nowMs - START * 1000 },
    }
  }

  #start(number: number): Node {
    const { plan, incarnation } = { plan: this.#plan, incarnation: this.#starts++ }
    const { skewMs, mayWrite } = plan.nodes[number] ?? { skewMs: 0, mayWrite: true }
    const name = `node-${number}.${incarnation}`
    const chance = this.#chance.fork(name)
    const life: Life = { isOver: false }
    const clock = { skewMs }
    const place: Place = {
      name,
      life,
      chance,
      mayWrite,
      cut: 'none',
      isBehindSplit: false,
      answeredMs: -Infinity,
    }
    const surroundings = this.#scheduler.surroundings(clock, chance, life)
    const manager = makeClient(this.#options.nodes ?? 'library', {
      connection: new ModelConnection(this.#network, place),
      place,
      plan,
      surroundings,
    })
    const node = { name, mayWrite, isAlive: true, place, manager, life, clock }
    this.#all.push(node)
    void this.#follow(node)
    manager.replica?.start()
    this.#trace.note(`${name} starts`, true)
    return node
  }

  /** Notes what the replica tells. */
  async #follow({ name, manager }: Node): Promise<void> {
    for await (const { type, cause, entries } of manager.replica?.events() ?? [])
      this.#trace.note(`${name} ${type} ${cause?.code ?? ''} ${entries ?? ''}`, true)
  }

  #act(step: Step): void {
    const { node: number } = step as { node?: number }
    const node = this.#nodes[number ?? 0]
    if (node === undefined || (number !== undefined && !node.isAlive)) return
    this.#trace.note(describe(step), step.type !== 'check')
    switch (step.type) {
      case 'revoke':
        return this.#revoke(node, step)
      case 'restore':
        return this.#restore(node, step.target)
      case 'check':
        return this.#check(node, step.token, step.isStrict)
      case 'restart':
        return this.#restart(node, step)
      default:
        if (isGap(step)) this.#witnesses = this.#witnessesOf(step)
        this.#harms.inflict(step, this.#chance.fork(`step ${step.number}`))
    }
  }

  #revoke(node: Node, { target, lifeSeconds, isBan, ack }: Extract<Action, { type: 'revoke' }>): void {
    let end = Math.floor(node.manager.now()) + lifeSeconds
    while (this.#ends.has(end)) end += 1
    this.#ends.add(end)
    const revoking = this.#judge.revoking(target, node, this.#scheduler.nowMs, end)
    const what = `${node.name} revoke ${target} until ${end} ${ack}`
    const options = { expiresAt: end, ack, timeoutMs: EVERYWHERE_TIMEOUT_MS }
    const call = node.manager.revoke(
      TARGETS[target] ?? {},
      isBan ? { ...options, issuedBefore: null } : options,
    )
    this.#calls.watch(node, what, CALL_MAX_MS[ack], call, (receipt) => {
      const named = this.#all.filter(({ name }) => receipt.nodes?.includes(name) === true)
      this.#judge.acknowledged(revoking, this.#scheduler.nowMs, named)
    })
  }

  #restore(node: Node, target: number): void {
    const restoring = this.#judge.restoring(target, node, this.#scheduler.nowMs)
    const call = node.manager.restore(TARGETS[target] ?? {})
    this.#calls.watch(node, `${node.name} restore ${target}`, CALL_MAX_MS.restore, call, () =>
      this.#judge.restored(restoring, this.#scheduler.nowMs),
    )
  }

  #check(node: Node, token: number, isStrict: boolean): void {
    this.#checkMemory(node, token)
    const { manager } = node
    const asked = this.#asking(node, token, isStrict ? 'store' : 'either')
    const call = manager.check(claimsOf(token), { consistency: isStrict ? 'strict' : 'replica' })
    const what = `${node.name} check ${token} ${isStrict ? 'strict' : ''}`
    this.#calls.watch(node, what, CALL_MAX_MS.check, call, (result) =>
      this.#judge.answered({ ...asked, endedMs: this.#scheduler.nowMs, nodeNow: manager.now() }, result),
    )
  }

  #checkMemory(node: Node, token: number): CheckResult | undefined {
    const result = node.manager.checkNow(claimsOf(token))
    this.#judge.answered(this.#asking(node, token, 'memory'), result)
    return result
  }

  #asking(node: Node, token: number, source: Asked['source']): Asked {
    const { nowMs } = this.#scheduler
    const staleMs = node.manager.replica?.stalenessMs ?? Infinity
    const moment = {
      startedMs: nowMs,
      endedMs: nowMs,
      nodeNow: node.manager.now(),
      trustedMs: nowMs - staleMs,
      heardMs: node.place.answeredMs,
    }
    return { by: node, token, source, ...moment }
  }

  #restart(node: Node, { node: number, isCrash, ms }: Extract<Action, { type: 'restart' }>): void {
    node.isAlive = false
    if (isCrash) {
      node.life.isOver = true
      this.#harms.breakPipesOf(node.place)
      this.#calls.forget(node)
    } else {
      void node.manager.close()
    }
    this.#scheduler.after(ms, () => (this.#nodes[number] = this.#start(number)))
  }

  /** What is wrong when everything has healed: with each living node, and with one that comes new. */
  async #lookAtAll(): Promise<readonly string[]> {
    const wrong: string[] = []
    const stranger = this.#start(this.#nodes.length)
    await this.#scheduler.run(this.#scheduler.nowMs + STRANGER_READY_MS, () => isFresh(stranger))
    const answers = TOKENS.map(() => new Map<string, string>())
    for (const node of [...this.#nodes, stranger]) {
      if (node.manager.replica === undefined) continue
      if (!isFresh(node)) {
        if (this.#hasWitness()) wrong.push(`${node.name} is not fresh`)
        continue
      }
      for (const token of TOKENS.keys()) {
        const inMemory = this.#statusOf(this.#checkMemory(node, token))
        answers[token]?.set(`${node.name} memory`, inMemory)
      }
    }
    const strict = [...this.#nodes, stranger].flatMap((node) =>
      TOKENS.map(async (_, token) => {
        const asked = this.#asking(node, token, 'store')
        const result = await node.manager.check(claimsOf(token), { consistency: 'strict' })
        this.#judge.answered(
          { ...asked, endedMs: this.#scheduler.nowMs, nodeNow: node.manager.now() },
          result,
        )
        answers[token]?.set(`${node.name} store`, this.#statusOf(result))
      }),
    )
    let isDone = false
    void Promise.all(strict).then(() => (isDone = true))
    await this.#scheduler.run(this.#scheduler.nowMs + 1000, () => isDone)
    if (!isDone) wrong.push('a strict check did not settle')
    for (const [token, told] of answers.entries()) wrong.push(...this.#wrongWith(token, told))
    stranger.isAlive = false
    stranger.life.isOver = true
    this.#harms.breakPipesOf(stranger.place)
    return wrong
  }

  /**
   * What has ended by one clock and not by another is no matter of agreement; nor is what stands in a record that
   * nobody knows any more, or what only a node knows that may not give it back.
   */
  #statusOf(result: CheckResult | undefined): string {
    if (result?.status !== 'revoked') return result?.status ?? 'unknown'
    const { expiresAt } = result.revocation
    if (this.#judge.isEnding(expiresAt, this.#scheduler.nowMs)) return 'ending'
    return this.#judge.isKnownToWriter(expiresAt) ? 'revoked' : 'alone'
  }

  /**
   * Of what a log lost, and no node with the right to give it back had read, nobody can know: then nodes ask the store.
   * One that was fresh whenever the log lost a part, could reach the store then, and lives, gives it back.
   */
  #hasWitness(): boolean {
    return this.#witnesses === undefined || this.#witnesses.some(({ isAlive }) => isAlive)
  }

  #witnessesOf(gap: Step): readonly Node[] {
    const { steps, weather } = this.#plan
    if (weather.slowShare > 0 || steps.some((step) => isAwayNear(step, gap.atMs))) return []
    return (this.#witnesses ?? this.#nodes).filter((node) => node.isAlive && node.mayWrite && isFresh(node))
  }

  #wrongWith(token: number, told: ReadonlyMap<string, string>): string[] {
    const all = [...told].map(([who, status]) => `${who} ${status}`).join(', ')
    const statuses = new Set([...told.values()].filter((status) => status !== 'ending' && status !== 'alone'))
    if (statuses.has('unknown')) return [`of token ${token} not all can tell: ${all}`]
    if (statuses.size > 1) return [`of token ${token} they disagree: ${all}`]
    const isOwed = this.#judge.isOwedByAll(token, this.#scheduler.nowMs)
    return isOwed && statuses.has('clear') ? [`token ${token} was revoked, and all say clear`] : []
  }
}

function claimsOf(token: number): Readonly<Record<string, unknown>> {
  return { ...TOKENS[token], iat: ISSUED }
}

function describe({ atMs: _, number, ...action }: Step): string {
  return `step ${number}: ${JSON.stringify(action)}`
}
