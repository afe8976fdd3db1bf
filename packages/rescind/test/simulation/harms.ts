/**
 * Harm, and its end. What loses something tells the judge; what everybody has while it lasts is undone by `heal`.
 */
import type { Chance } from './chance.js'
import type { Judge } from './judge.js'
import type { ModelServer } from './model-server.js'
import type { Network, Place } from './network.js'
import type { Slot } from './model-redis.js'
import type { Scheduler } from './scheduler.js'
import type { Harm } from './schedule.js'

const NOTHING: ReadonlyMap<string, Slot> = new Map()

export class Harms {
  readonly #scheduler: Scheduler
  readonly #network: Network
  readonly #places: () => readonly Place[]
  readonly #judge: Judge
  /** What each server would find on its disk. */
  readonly #saved = new Map<ModelServer, ReadonlyMap<string, Slot>>()
  /** What undoes the harm that lasts. */
  readonly #lasting = new Set<() => void>()

  constructor(scheduler: Scheduler, network: Network, places: () => readonly Place[], judge: Judge) {
    this.#scheduler = scheduler
    this.#network = network
    this.#places = places
    this.#judge = judge
  }

  /** Ends all harm that lasts, at once. */
  heal(): void {
    for (const undo of [...this.#lasting]) undo()
  }

  /** `chance`: of this step alone. */
  inflict(harm: Harm, chance: Chance): void {
    const { primary } = this.#network
    const { redis } = primary
    const replica = 'replica' in harm ? this.#network.servers[harm.replica] : undefined
    switch (harm.type) {
      case 'cut':
        return this.#cut(harm.node, harm.kind, harm.ms)
      case 'freeze':
        primary.freeze()
        return this.#until(harm.ms, () => primary.thaw())
      case 'full':
        redis.isFull = true
        return this.#until(harm.ms, () => (redis.isFull = false))
      case 'stop':
        return this.#stop(harm.ms, harm.comesBack)
      case 'lag':
        if (replica !== undefined) replica.lagMs = harm.ms
        return
      case 'part':
        replica?.cutOff()
        return this.#until(harm.ms, () => replica?.reconnect())
      case 'jump':
        redis.clock.skewMs += harm.ms
        return
      case 'save':
        this.#saved.set(primary, redis.snapshot())
        return
      case 'promote':
        return this.#promote(harm)
      default:
        this.#lose(harm, redis.keys(), chance)
    }
  }

  /** Keys go. */
  #lose(harm: Harm, keys: readonly string[], chance: Chance): void {
    const { redis } = this.#network.primary
    const ending = (...names: string[]) => keys.filter((key) => names.some((name) => key.endsWith(name)))
    const some = (of: readonly string[]) => of.filter(() => chance.is(0.5))
    const gone = () => {
      switch (harm.type) {
        case 'trim':
          return some(keys.filter((key) => key.includes(':log:')))
        case 'evict':
          return some(keys.filter((key) => key.includes(':r:')))
        case 'lose':
          return ending(...(harm.what === 'both' ? [':meta', ':shapes'] : [`:${harm.what}`]))
        default:
          return keys
      }
    }
    if (this.#network.primary.state !== 'up') return
    this.#judge.loss(this.#scheduler.nowMs)(this.#scheduler.nowMs)
    redis.del(...gone())
  }

  #cut(node: number, kind: 'reset' | 'silent', ms: number): void {
    const place = this.#places()[node]
    if (place === undefined || place.cut !== 'none') return
    place.cut = kind
    if (kind === 'reset') this.breakPipesOf(place)
    this.#until(ms, () => this.#network.heal(place))
  }

  breakPipesOf(place: Place): void {
    for (const server of this.#network.servers) {
      for (const pipe of [...server.pipes]) if (pipe.place === place) pipe.breakOff()
    }
  }

  #stop(ms: number, comesBack: 'same' | 'empty' | 'older'): void {
    const { primary } = this.#network
    if (primary.state !== 'up') return
    const held = comesBack === 'same' ? primary.redis.snapshot() : this.#saved.get(primary)
    primary.stop()
    const end = comesBack === 'same' ? undefined : this.#judge.loss(this.#scheduler.nowMs)
    this.#until(ms, () => {
      primary.start(comesBack === 'empty' ? NOTHING : (held ?? NOTHING))
      end?.(this.#scheduler.nowMs)
    })
  }

  /** Another server becomes the primary: the one that has the most. */
  #promote({ old, ms, behind }: Extract<Harm, { type: 'promote' }>): void {
    const network = this.#network
    const former = network.primary
    const others = network.servers.filter((server) => server !== former && server.primary === former)
    const next = others.sort((a, b) => b.catchUp() - a.catchUp())[0]
    if (next === undefined || former.state === 'down' || network.oldPrimary !== undefined) return
    const end = this.#judge.loss(this.#scheduler.nowMs)
    next.promote()
    network.primary = next
    for (const other of others) if (other !== next) other.follow(next)
    if (old === 'demoted') {
      // A connection that is not ended goes on speaking to it, and it may be far behind.
      former.follow(next)
      former.lagMs = ms
      end(this.#scheduler.nowMs)
      return
    }
    if (old === 'dead') former.stop()
    network.oldPrimary = former
    for (const [i, place] of this.#places().entries()) {
      place.isBehindSplit = old === 'split' && behind.includes(i)
      if (!place.isBehindSplit) this.breakPipesOf(place)
    }
    this.#until(ms, () => {
      if (former.state === 'down') former.state = 'up'
      former.follow(network.primary)
      network.oldPrimary = undefined
      for (const place of this.#places()) place.isBehindSplit = false
      former.dropPipes()
      end(this.#scheduler.nowMs)
    })
  }

  #until(ms: number, undo: () => void): void {
    const once = () => {
      if (!this.#lasting.delete(once)) return
      undo()
    }
    this.#lasting.add(once)
    this.#scheduler.after(ms, once)
  }
}
