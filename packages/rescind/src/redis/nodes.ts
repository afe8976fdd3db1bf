/**
 * The list of live nodes: a hash with a line for each, `TIME {json}`, by the clock of the server. No script: a node
 * that may only read, but for this one key, needs no right to run any.
 */
import { assertCountable, type LiveNode, NODE_LIFE_MS, type NodeStatus } from '../stores/store.js'
import type { Surroundings } from '../surroundings.js'
import type { RedisClient } from './client.js'

/** A line not renewed for so long is removed, by one announcement in so many. */
const FORGOTTEN_MS = 60_000
const PRUNED_ONE_IN = 1024
/** How long what the server's clock said is built upon: a line must not cost two commands. */
const CLOCK_LIFE_MS = 10_000

export class NodeList {
  readonly #key: string
  readonly #surroundings: Surroundings
  /** How far the server's clock is ahead of the monotonic one here, and when it was asked. */
  #aheadMs = 0
  #askedAtMs = -Infinity

  constructor(key: string, surroundings: Surroundings) {
    this.#key = key
    this.#surroundings = surroundings
  }

  async announce(client: RedisClient, node: NodeStatus): Promise<void> {
    const { id, ...line } = node
    if (this.#surroundings.monotonic() - this.#askedAtMs > CLOCK_LIFE_MS) await this.#askClock(client)
    try {
      await client.hset(this.#key, id, `${this.#nowMs()} ${JSON.stringify(line)}`)
    } catch (error) {
      // The next one may go to another server.
      this.#askedAtMs = -Infinity
      throw error
    }
    if (this.#surroundings.random() * PRUNED_ONE_IN < 1) await this.#prune(client)
  }

  async retire(client: RedisClient, id: string): Promise<void> {
    await client.hdel(this.#key, id)
  }

  async list(client: RedisClient): Promise<readonly LiveNode[]> {
    const [lines] = await Promise.all([client.hgetall(this.#key), this.#askClock(client)])
    const nowMs = this.#nowMs()
    const live = Object.entries(lines)
      .map(([id, line]) => parseNode(id, line, nowMs))
      .filter((node) => node !== undefined)
    assertCountable(live.length)
    return live.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #nowMs(): number {
    return Math.floor(this.#surroundings.monotonic() + this.#aheadMs)
  }

  async #askClock(client: RedisClient): Promise<void> {
    const [seconds = 0, micros = 0] = await client.time()
    this.#askedAtMs = this.#surroundings.monotonic()
    this.#aheadMs = Number(seconds) * 1000 + Number(micros) / 1000 - this.#askedAtMs
  }

  async #prune(client: RedisClient): Promise<void> {
    const nowMs = this.#nowMs()
    const dead = Object.entries(await client.hgetall(this.#key))
      .filter(([, text]) => !(nowMs - parseInt(text, 10) <= FORGOTTEN_MS))
      .map(([id]) => id)
    if (dead.length > 0) await client.hdel(this.#key, ...dead)
  }
}

/** A line of the list; undefined for one of a dead node, or one that nobody of us wrote. */
function parseNode(id: string, line: string, nowMs: number): LiveNode | undefined {
  const match = /^(\d{1,16}) (\{.*\})$/s.exec(line)
  if (match === null) return undefined
  const ageMs = Math.max(0, nowMs - Number(match[1]))
  if (ageMs > NODE_LIFE_MS) return undefined
  try {
    const { name, position, stalenessMs, entries } = JSON.parse(match[2] as string) as Partial<NodeStatus>
    return {
      id,
      name: String(name),
      position: String(position),
      stalenessMs: Number(stalenessMs),
      entries: Number(entries),
      ageMs,
    }
  } catch {
    return undefined
  }
}
