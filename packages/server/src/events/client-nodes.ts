/**
 * How many nodes each client has. Everybody's receipts wait for every node that lives, and a store cannot count any
 * number of them: so who may read, and says to be many, has a bound.
 */
export interface ClientNodesOptions {
  /** Nodes of one client, with those that were silent for less than a minute. */
  readonly nodesMax?: number | undefined
  /** In milliseconds, monotonic. */
  readonly now?: (() => number) | undefined
}

/** Half of what a store can count (`NODES_MAX` in the library). */
const NODES_MAX = 5000
/** So long the slowest store keeps the line of a node that died. */
const LINE_KEPT_MS = 60_000

export class ClientNodes {
  readonly #nodesMax: number
  readonly #now: () => number
  /** By client and id, when it last announced itself; the longest silent first. */
  readonly #seenAt = new Map<string, Map<string, number>>()

  constructor({ nodesMax = NODES_MAX, now = () => performance.now() }: ClientNodesOptions = {}) {
    this.#nodesMax = nodesMax
    this.#now = now
  }

  /** A node announces itself. Returns 0, or after how many seconds there may be room for it. */
  announce(client: string, id: string): number {
    const now = this.#now()
    const seenAt = this.#seenAt.get(client) ?? new Map<string, number>()
    this.#seenAt.set(client, seenAt)
    seenAt.delete(id)
    for (const [silent, at] of seenAt) {
      if (now - at < LINE_KEPT_MS) break
      seenAt.delete(silent)
    }
    const [longest = now] = seenAt.values()
    if (seenAt.size >= this.#nodesMax) return Math.ceil((longest + LINE_KEPT_MS - now) / 1000)
    seenAt.set(id, now)
    return 0
  }

  retire(client: string, id: string): void {
    this.#seenAt.get(client)?.delete(id)
  }
}
