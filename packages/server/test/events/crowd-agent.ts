/** Many followers of `/events`, or many nodes with a `RemoteStore`, in a process of their own. */
import { RemoteStore, TokenManager } from 'rescind'
import { answer } from '../../../rescind/test/support/agent.js'
import { EventsFollower } from './follower.js'

export interface CrowdRequest {
  readonly url: string
  readonly key: string
  readonly count: number
}

const ended = new AbortController()
const RETRY_MS = 300
const followers: EventsFollower[] = []
const nodes: TokenManager[] = []

const answers = {
  follow({ url, key, count }: CrowdRequest): void {
    const { signal } = ended
    for (let i = 0; i < count; i++)
      followers.push(new EventsFollower({ url, key, signal, retryMs: RETRY_MS }))
  },
  /** How many have an open stream that tells of now. */
  connected(): number {
    return followers.filter((follower) => follower.has('heartbeat')).length
  },
  /** How many were told of so many changes. */
  told(changes: number): number {
    return followers.filter(({ subs }) => subs.length >= changes).length
  },
  /** How many were told of exactly these, in this order. */
  toldExactly(subs: readonly string[]): number {
    const wanted = subs.join()
    return followers.filter((follower) => follower.subs.join() === wanted).length
  },
  /** How often they have connected, all together. */
  connections(): number {
    return followers.reduce(
      (sum, { statuses }) => sum + statuses.filter((status) => status === 200).length,
      0,
    )
  },
  live({ url, key, count, stalenessMaxMs }: CrowdRequest & { stalenessMaxMs: number }): void {
    for (let i = 0; i < count; i++) {
      const store = new RemoteStore({ url, key, timeoutMs: stalenessMaxMs })
      const manager = new TokenManager({ store, stalenessMaxMs, nodeName: `edge-${i}` })
      manager.replica?.start()
      nodes.push(manager)
    }
  },
  fresh(): number {
    return nodes.filter(
      ({ replica }) => replica !== undefined && replica.stalenessMs <= replica.stalenessMaxMs,
    ).length
  },
  refusing(sub: string): number {
    return nodes.filter((manager) => manager.checkNow({ sub })?.status === 'revoked').length
  },
}
export type CrowdAnswers = typeof answers

answer(answers)
