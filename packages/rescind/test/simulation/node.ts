/** The nodes of a simulation: what is asked of them, and what they run. */
import type { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import type { Store } from '../../src/stores/store.js'
import type { Surroundings } from '../../src/surroundings.js'
import { TokenManager } from '../../src/token-manager.js'
import { type Incarnation, STALENESS_MAX_MS } from './judge.js'
import { NaiveClient } from './naive-client.js'
import type { Place } from './network.js'
import type { Life, MachineClock } from './scheduler.js'
import type { Plan } from './schedule.js'

/** The library; the library without the giving back of what was lost; a naive client. */
export type NodeKind = 'library' | 'no reseed' | 'naive'

/** What a node of a simulation is asked for. */
export type Client = Pick<TokenManager, 'now' | 'revoke' | 'restore' | 'check' | 'checkNow' | 'close'> & {
  readonly replica: TokenManager['replica'] | undefined
}

export interface Node extends Incarnation {
  readonly place: Place
  readonly manager: Client
  readonly life: Life
  readonly clock: MachineClock
}

export interface ClientParts {
  readonly connection: RedisConnection
  readonly place: Place
  readonly plan: Plan
  readonly surroundings: Surroundings
}

export function makeClient(kind: NodeKind, { connection, place, plan, surroundings }: ClientParts): Client {
  if (kind === 'naive') return new NaiveClient(connection, surroundings)
  const { partitions, minReplicas } = plan
  const store = new RedisStore(connection, { partitions, minReplicas, allowEviction: true, surroundings })
  return new TokenManager({
    store: kind === 'library' ? store : withoutReseed(store),
    stalenessMaxMs: STALENESS_MAX_MS,
    nodeName: place.name,
    surroundings,
    onWarning: () => undefined,
  })
}

/** One without a memory asks the store each time. */
export function isFresh({ manager }: Node): boolean {
  return (manager.replica?.stalenessMs ?? 0) <= STALENESS_MAX_MS
}

/** The same store, which takes nothing back. */
function withoutReseed(store: Store): Store {
  return new Proxy(store, {
    get: (of, name) => {
      const value: unknown = name === 'reseed' ? undefined : Reflect.get(of, name, of)
      return typeof value === 'function' ? (value.bind(of) as unknown) : value
    },
  })
}
