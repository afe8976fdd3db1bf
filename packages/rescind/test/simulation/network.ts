/**
 * The network of a simulation: servers, who of them is the primary in whose eyes, and how long things take on the way.
 */
import type { Chance } from './chance.js'
import { type CommandListener, ModelServer } from './model-server.js'
import type { Life, Scheduler } from './scheduler.js'

export interface Weather {
  /** The usual way of a message, in milliseconds, at most. */
  readonly latencyMaxMs: number
  /** How often a message takes long, and how long at most. */
  readonly slowShare: number
  readonly slowMaxMs: number
  /** How often a connection breaks with what is on its way. */
  readonly breakShare: number
  /** How often commands that were sent together arrive apart. */
  readonly splitShare: number
  /** How often the doorbell is not heard. */
  readonly deafShare: number
}

/** One node's place in the network. */
export interface Place {
  readonly name: string
  readonly life: Life
  readonly chance: Chance
  readonly mayWrite: boolean
  /** `reset`: connections break, and new ones are refused. `silent`: nothing arrives, and nobody is told. */
  cut: 'none' | 'reset' | 'silent'
  /** It still speaks to the primary that the others have left. */
  isBehindSplit: boolean
  /** When the latest read of the log was sent that a server has answered, in milliseconds since 1970. */
  answeredMs: number
}

export class Network {
  readonly servers: readonly ModelServer[]
  primary: ModelServer
  /** The primary of those who are behind a split. */
  oldPrimary: ModelServer | undefined
  /** Called when a cut ends: what was held goes on. */
  readonly #onHeal = new Map<Place, Set<() => void>>()

  constructor(
    readonly scheduler: Scheduler,
    readonly chance: Chance,
    public weather: Weather,
    skewsMs: readonly number[],
    onCommand: CommandListener,
  ) {
    this.servers = skewsMs.map((skewMs, i) => new ModelServer(`redis-${i}`, scheduler, { skewMs }, onCommand))
    this.primary = this.servers[0] as ModelServer
    for (const server of this.servers.slice(1)) server.follow(this.primary)
  }

  /** The server that a node finds when it looks for the primary. */
  primaryOf(place: Place): ModelServer {
    return place.isBehindSplit && this.oldPrimary !== undefined ? this.oldPrimary : this.primary
  }

  latencyMs(): number {
    const { latencyMaxMs, slowShare, slowMaxMs } = this.weather
    if (this.chance.is(slowShare)) return this.chance.next() * slowMaxMs
    return 0.1 + this.chance.next() * latencyMaxMs
  }

  /** Runs something when the cut of this place ends; at once where there is none. */
  whenHealed(place: Place, work: () => void): void {
    if (place.cut === 'none') {
      work()
      return
    }
    const waiting = this.#onHeal.get(place) ?? new Set()
    this.#onHeal.set(place, waiting.add(work))
  }

  heal(place: Place): void {
    place.cut = 'none'
    const waiting = this.#onHeal.get(place)
    this.#onHeal.delete(place)
    for (const work of waiting ?? []) work()
  }
}
