/**
 * Makes histories that keep every promise: a small model of a store and three nodes, in time that only it moves. Two of
 * the nodes have memories; there is peace, then the server stands still for a while, is emptied and gets back what the
 * nodes knew, and at the end the roll is called.
 */
import { type Chance, chanceOf, wholeBelow } from './chance.js'
import type { CheckDone, HarmKind, HistoryEvent, Phase, Source, Status } from './history.js'

export const BOUND_MS = 500
const DEADLINE_MS = 200
const POLL_MS = BOUND_MS / 4
const TARGETS = 24
/** The last of them nobody revokes. */
const BYSTANDERS = 4
const LIFE_MS = 1_800_000

/** What is known of a target: the later version wins. */
interface Known {
  readonly version: number
  readonly isRevoked: boolean
}

interface ModelNode {
  readonly name: string
  readonly hasReplica: boolean
  readonly known: Map<number, Known>
  trustedAt: number
}

const NOTHING: Known = { version: 0, isRevoked: false }

export function correctHistory(seed: number): HistoryEvent[] {
  return new Model(seed).run()
}

class Model {
  readonly #chance: Chance
  readonly #events: HistoryEvent[] = []
  #store = new Map<number, Known>()
  readonly #nodes: readonly ModelNode[] = ['a', 'b', 'bare'].map((name) => ({
    ...{ name, hasReplica: name !== 'bare', known: new Map<number, Known>(), trustedAt: 0 },
  }))
  #now = 1000
  #id = 0
  #version = 0
  #isFrozen = false

  constructor(seed: number) {
    this.#chance = chanceOf(seed)
  }

  run(): HistoryEvent[] {
    for (const { name, hasReplica } of this.#nodes) {
      this.#events.push({ type: 'node', at: this.#now, node: name, hasReplica, boundMs: BOUND_MS })
    }
    this.#live(1500)
    this.#freeze()
    this.#live(700)
    this.#empty()
    this.#live(700)
    this.#roll()
    return this.#events.sort((a, b) => a.at - b.at)
  }

  #live(ms: number): void {
    for (const until = this.#now + ms; this.#now < until;) {
      this.#now += 1 + wholeBelow(this.#chance, 4)
      this.#poll()
      const choice = this.#chance()
      if (choice < 0.1) this.#write()
      else if (choice < 0.7) this.#askMemory(this.#anyNode(), this.#anyTarget())
      else this.#askStore(this.#anyNode(), this.#anyTarget(), 'strict')
    }
  }

  #freeze(): void {
    this.#phase('harm', { loses: false, silences: true })
    this.#phase('harmed')
    this.#isFrozen = true
    this.#live(BOUND_MS + 300)
    this.#isFrozen = false
    this.#phase('healing')
    this.#now += DEADLINE_MS + 1
    this.#phase('healed')
    this.#now += POLL_MS
    this.#poll()
    this.#phase('recovered')
    this.#phase('mended')
  }

  #empty(): void {
    this.#phase('harm', { loses: true, silences: false })
    // Nothing was under way; what the memories had not read yet they had been told when they asked.
    this.#store = new Map()
    this.#now += 1
    this.#phase('harmed')
    this.#phase('healing')
    this.#phase('healed')
    for (let n = 0; n < 40; n++) {
      this.#now += 2
      const node = this.#anyNode()
      if (this.#chance() < 0.5) this.#askMemory(node, this.#anyTarget())
      else this.#askStore(node, this.#anyTarget(), 'strict')
    }
    this.#phase('recovered')
    for (const { known } of this.#nodes)
      for (const [target, one] of known) this.#learn(this.#store, target, one)
    this.#poll()
    this.#phase('mended')
  }

  #roll(): void {
    this.#now += POLL_MS
    this.#poll()
    this.#phase('roll')
    for (let target = 0; target < TARGETS; target++) {
      for (const node of this.#nodes) {
        this.#now += 1
        this.#askMemory(node, target)
        this.#askStore(node, target, 'strict')
      }
    }
  }

  #poll(): void {
    if (this.#isFrozen) return
    for (const node of this.#nodes) {
      if (!node.hasReplica || this.#now - node.trustedAt < POLL_MS) continue
      for (const [target, one] of this.#store) this.#learn(node.known, target, one)
      node.trustedAt = this.#now
    }
  }

  #write(): void {
    const node = this.#nodes[wholeBelow(this.#chance, 2)] as ModelNode
    const target = wholeBelow(this.#chance, TARGETS - BYSTANDERS)
    const isRevoked = this.#chance() < 0.8
    const id = ++this.#id
    const write = { id, node: node.name, target: `t${target}` }
    const type = isRevoked ? 'revoking' : 'restoring'
    this.#events.push({ type, at: this.#now, ...write, endAt: this.#now + LIFE_MS })
    this.#now += 3
    if (this.#isFrozen) {
      this.#events.push({ type: 'failed', at: this.#now, id, code: 'ERR_STORE_TIMEOUT' })
      // It may have arrived, and is done when the server moves again.
      if (this.#chance() < 0.5) this.#learn(this.#store, target, { version: ++this.#version, isRevoked })
      return
    }
    const isFound = this.#store.get(target)?.isRevoked === true
    const one = { version: ++this.#version, isRevoked }
    this.#learn(this.#store, target, one)
    this.#learn(node.known, target, one)
    this.#events.push({ type: 'acknowledged', at: this.#now, id, level: 'accepted', isFound })
  }

  #askMemory(node: ModelNode, target: number): void {
    const stalenessMs = this.#now - node.trustedAt
    const { isRevoked } = node.known.get(target) ?? NOTHING
    if (!node.hasReplica || (!isRevoked && stalenessMs > BOUND_MS)) return
    const startedAt = this.#now
    this.#answer(node, target, { source: 'memory', startedAt, status: statusOf(isRevoked), stalenessMs })
  }

  #askStore(node: ModelNode, target: number, source: Source): void {
    const id = ++this.#id
    const startedAt = this.#now
    this.#events.push({ type: 'asked', at: startedAt, id, node: node.name, target: `t${target}`, source })
    if (this.#isFrozen) {
      const late = { id, source, startedAt, status: 'unknown' as const, lateMs: 1, behindTimerMs: 0 }
      this.#answer(node, target, late, startedAt + DEADLINE_MS)
      return
    }
    this.#now += 1
    const held = this.#store.get(target) ?? NOTHING
    const mine = node.known.get(target) ?? NOTHING
    const known = held.version >= mine.version ? held : mine
    if (node.hasReplica) this.#learn(node.known, target, held)
    const status = statusOf(known.isRevoked)
    this.#answer(node, target, { id, source, startedAt, status, lateMs: 1 - DEADLINE_MS, behindTimerMs: 0 })
  }

  #answer(
    { name }: ModelNode,
    target: number,
    answer: Omit<CheckDone, 'type' | 'at' | 'node' | 'target'>,
    at = this.#now,
  ): void {
    this.#events.push({ type: 'answered', at, node: name, target: `t${target}`, ...answer })
  }

  #learn(known: Map<number, Known>, target: number, one: Known): void {
    if (one.version > (known.get(target) ?? NOTHING).version) known.set(target, one)
  }

  #phase(phase: Phase['phase'], harm?: HarmKind): void {
    this.#now += 1
    this.#events.push({ type: 'phase', at: this.#now, phase, ...(harm === undefined ? {} : { harm }) })
  }

  #anyNode(): ModelNode {
    return this.#nodes[wholeBelow(this.#chance, this.#nodes.length)] as ModelNode
  }

  #anyTarget(): number {
    return wholeBelow(this.#chance, TARGETS)
  }
}

function statusOf(isRevoked: boolean): Status {
  return isRevoked ? 'revoked' : 'clear'
}
