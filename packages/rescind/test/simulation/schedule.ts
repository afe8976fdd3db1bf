/**
 * What happens in a simulation, drawn from its seed before it begins: who takes part, what they ask for and when, and
 * the harm. A step can be left out without changing the others.
 */
import type { AckLevel } from '../../src/token-manager.js'
import type { Target } from '../../src/core/target.js'
import type { Chance } from './chance.js'
import type { Weather } from './network.js'

export const ISS = 'https://login.example.com'

export const TARGETS: readonly Target[] = [
  { iss: ISS, jti: '1' },
  { iss: ISS, jti: '2' },
  { iss: ISS, jti: '3' },
  { iss: ISS, jti: '4' },
  { sub: 'a' },
  { sub: 'b' },
  { client_id: 'x' },
  { sub: 'a', client_id: 'x' },
]

/** A token of which exactly one target speaks stands first for each; then those of which several do, and none. */
export const TOKENS: readonly Readonly<Record<string, string>>[] = [
  ...TARGETS.slice(0, 4).map((target) => ({ ...target, sub: 'z' })),
  { sub: 'a' },
  { sub: 'b' },
  { client_id: 'x' },
  { sub: 'a', client_id: 'x' },
  { iss: ISS, jti: '1', sub: 'a', client_id: 'x' },
  { iss: ISS, jti: '4', sub: 'b', client_id: 'y' },
  { iss: ISS, jti: '9', sub: 'c', client_id: 'y' },
  { sub: 'c' },
]

export interface NodePlan {
  readonly skewMs: number
  readonly mayWrite: boolean
}

export type Action =
  | {
      readonly type: 'revoke'
      readonly node: number
      readonly target: number
      readonly lifeSeconds: number
      readonly isBan: boolean
      readonly ack: AckLevel
    }
  | { readonly type: 'restore'; readonly node: number; readonly target: number }
  | { readonly type: 'check'; readonly node: number; readonly token: number; readonly isStrict: boolean }
  | { readonly type: 'restart'; readonly node: number; readonly isCrash: boolean; readonly ms: number }
  | Harm

export type Harm =
  | { readonly type: 'cut'; readonly node: number; readonly kind: 'reset' | 'silent'; readonly ms: number }
  | { readonly type: 'freeze'; readonly ms: number }
  | { readonly type: 'stop'; readonly ms: number; readonly comesBack: 'same' | 'empty' | 'older' }
  | { readonly type: 'full'; readonly ms: number }
  | { readonly type: 'lag'; readonly ms: number; readonly replica: number }
  | { readonly type: 'part'; readonly ms: number; readonly replica: number }
  | { readonly type: 'jump'; readonly ms: number }
  | { readonly type: 'save' }
  | { readonly type: 'empty' }
  | { readonly type: 'trim' }
  | { readonly type: 'evict' }
  | { readonly type: 'lose'; readonly what: 'meta' | 'shapes' | 'both' }
  | {
      readonly type: 'promote'
      readonly old: 'dead' | 'demoted' | 'split'
      /** Until the old one follows the new one, or a split ends. */
      readonly ms: number
      /** The nodes on its side. */
      readonly behind: readonly number[]
    }

export type Step = Action & {
  readonly atMs: number
  /** Its place in the whole schedule, from which it draws. */
  readonly number: number
}

export interface Plan {
  readonly seed: number
  readonly nodes: readonly NodePlan[]
  readonly partitions: number
  /** How many servers there are, and how far their clocks are ahead, in milliseconds. */
  readonly serverSkewsMs: readonly number[]
  readonly minReplicas: number
  readonly weather: Weather
  readonly steps: readonly Step[]
  /** When all harm ends, in milliseconds from the beginning. */
  readonly healAtMs: number
}

const OPERATIONS = { revoke: 30, restore: 6, check: 50, restart: 2 } as const
const ACKS = { accepted: 6, replicated: 2, everywhere: 2 } as const
const HARMS = {
  cut: 4,
  freeze: 3,
  stop: 3,
  full: 1,
  lag: 2,
  part: 2,
  jump: 1,
  save: 2,
  empty: 3,
  trim: 2,
  evict: 2,
  lose: 3,
  promote: 7,
} as const satisfies Record<Harm['type'], number>
/** What keeps nodes from mending, and how long they need for it. */
const AWAY: ReadonlySet<string> = new Set(['freeze', 'stop', 'cut', 'promote', 'full', 'part'])
const MENDING_MS = 5000
/** Harm that loses nothing. */
const CALM = { cut: 4, freeze: 3, full: 1, lag: 1, part: 1 } as const
const LIVES_SECONDS = [15, 45, 400, 1800, 5000]
const SKEWS_MS = [0, 0, 0, 1500, 20_000, 150_000]

export function planOf(seed: number, chance: Chance): Plan {
  const nodeCount = chance.pick([2, 2, 3, 3, 3, 4])
  const skewMs = chance.pick(SKEWS_MS)
  const skew = () => chance.whole(-skewMs, skewMs)
  const isCalm = chance.is(0.15)
  const serverCount = chance.is(0.65) ? chance.whole(2, 3) : 1
  const healAtMs = chance.whole(5, 16) * 1000
  const nodes = Array.from({ length: nodeCount }, (_, i) => ({
    skewMs: skew(),
    mayWrite: i === 0 || chance.is(0.85),
  }))
  const plan = {
    seed,
    nodes,
    partitions: chance.is(0.3) ? 4 : 1,
    serverSkewsMs: Array.from({ length: serverCount }, skew),
    minReplicas: serverCount > 1 && chance.is(0.3) ? 1 : 0,
    weather: weatherOf(chance),
    healAtMs,
  }
  const timed: { atMs: number; action: Action }[] = []
  const operations = chance.whole(15, 70)
  for (let i = 0; i < operations; i++) {
    timed.push({ atMs: chance.whole(500, healAtMs), action: operationOf(chance, nodes) })
  }
  const harms = chance.whole(isCalm ? 1 : 0, 7)
  for (let i = 0; i < harms; i++) {
    const action = harmOf(chance, isCalm, nodeCount, serverCount)
    if (action !== undefined) timed.push({ atMs: chance.whole(1500, healAtMs), action })
  }
  timed.sort((a, b) => a.atMs - b.atMs)
  return { ...plan, steps: timed.map(({ atMs, action }, number) => ({ ...action, atMs, number })) }
}

function weatherOf(chance: Chance): Weather {
  const isRough = chance.is(0.4)
  return {
    latencyMaxMs: chance.pick([1, 5, 30]),
    slowShare: isRough ? chance.pick([0.002, 0.02]) : 0,
    slowMaxMs: chance.pick([150, 600, 2500]),
    breakShare: isRough ? chance.pick([0.001, 0.01]) : 0,
    splitShare: chance.pick([0, 0.1, 0.5]),
    deafShare: chance.pick([0, 0.2, 1]),
  }
}

function operationOf(chance: Chance, nodes: readonly NodePlan[]): Action {
  const node = chance.whole(0, nodes.length - 1)
  const writers = nodes.flatMap(({ mayWrite }, i) => (mayWrite ? [i] : []))
  const target = chance.whole(0, TARGETS.length - 1)
  switch (chance.weighted(OPERATIONS)) {
    case 'revoke':
      return {
        type: 'revoke',
        node: chance.pick(writers),
        target,
        lifeSeconds: chance.pick(LIVES_SECONDS),
        isBan: chance.is(0.3),
        ack: chance.weighted(ACKS),
      }
    case 'restore':
      return { type: 'restore', node: chance.pick(writers), target }
    case 'check':
      return { type: 'check', node, token: chance.whole(0, TOKENS.length - 1), isStrict: chance.is(0.5) }
    case 'restart':
      return { type: 'restart', node, isCrash: chance.is(0.6), ms: chance.whole(1, 3000) }
  }
}

/** Undefined for one that this set of servers cannot suffer. */
function harmOf(chance: Chance, isCalm: boolean, nodeCount: number, serverCount: number): Harm | undefined {
  const type: Harm['type'] = isCalm ? chance.weighted(CALM) : chance.weighted(HARMS)
  const ms = chance.pick([200, 1500, 3500, 7000])
  const replica = chance.whole(1, Math.max(1, serverCount - 1))
  switch (type) {
    case 'cut':
      return { type, node: chance.whole(0, nodeCount - 1), kind: chance.pick(['reset', 'silent']), ms }
    case 'stop':
      return { type, ms, comesBack: chance.pick(['same', 'empty', 'older']) }
    case 'freeze':
    case 'full':
      return { type, ms }
    case 'lag':
      return serverCount === 1 ? undefined : { type, replica, ms: chance.pick([5, 200, 1500]) }
    case 'part':
      return serverCount === 1 ? undefined : { type, replica, ms }
    case 'jump':
      return { type, ms: chance.pick([-20_000, -1500, 1500, 20_000]) }
    case 'lose':
      return { type, what: chance.pick(['meta', 'shapes', 'both']) }
    case 'promote': {
      if (serverCount === 1) return undefined
      const behind = Array.from({ length: nodeCount }, (_, i) => i).filter(() => chance.is(0.4))
      return { type, old: chance.pick(['dead', 'demoted', 'split']), ms, behind }
    }
    default:
      return { type }
  }
}

/** By how much the clock that is farthest ahead may end something early, in milliseconds. */
export function marginOf({ nodes, serverSkewsMs, steps }: Plan): number {
  const ahead = Math.max(...nodes.map(({ skewMs }) => skewMs), 0)
  const spread = Math.max(...serverSkewsMs) - Math.min(...serverSkewsMs)
  const jumps = steps.reduce((sum, step) => sum + (step.type === 'jump' ? Math.abs(step.ms) : 0), 0)
  return ahead + spread + jumps + 2000
}

/** What a new node notices: the log lacks a part. */
export function isGap(step: Step): boolean {
  return step.type === 'trim' || (step.type === 'lose' && step.what !== 'shapes')
}

/** Is the store out of reach, or takes nothing, just before or after that moment? */
export function isAwayNear(step: Step, atMs: number): boolean {
  if (!AWAY.has(step.type) || !('ms' in step)) return false
  return step.atMs <= atMs + MENDING_MS && step.atMs + step.ms >= atMs - MENDING_MS
}
