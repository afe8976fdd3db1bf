/** A node of a run, ours or a naive one: made from a plan that can be sent to another process. */
import type { RedisConnectionOptions } from '../../../src/redis/plan.js'
import type { RedisStore } from '../../../src/redis/store.js'
import type { AckLevel, TokenManagerOptions } from '../../../src/token-manager.js'
import type { Status } from './history.js'
import { NaiveNode } from './naive.js'
import { RescindNode } from './rescind-node.js'

export type NodePlan = RescindPlan | NaivePlan

/** Plain data. */
export interface RescindPlan {
  readonly kind: 'rescind'
  /** Unique in the run. */
  readonly name: string
  readonly connection: RedisConnectionOptions
  readonly store?: Omit<NonNullable<ConstructorParameters<typeof RedisStore>[1]>, 'surroundings'>
  readonly manager?: Pick<TokenManagerOptions, 'replica' | 'stalenessMaxMs' | 'lifetimeMaxSeconds'>
  /** Revokes and restores. Default true; a node that does not only checks. */
  readonly isWriter?: boolean
  /** How sure its revocations are. Default `accepted`. */
  readonly ack?: AckLevel
  /** How far its clock is ahead of the machine's, in milliseconds. Default 0. */
  readonly skewMs?: number
}

/** Plain data. */
export interface NaivePlan {
  readonly kind: 'naive'
  readonly name: string
  /** Of ioredis, which is otherwise left as it comes. */
  readonly connection: NaiveConnection
  readonly isWriter?: boolean
  /** Calls a revocation done although Redis refused it, as an application does that catches, logs and goes on. */
  readonly goesOn?: boolean
  readonly skewMs?: number
}

export type NaiveConnection =
  | { readonly host: string; readonly port: number }
  | { readonly sentinels: readonly { host: string; port: number }[]; readonly name: string }
  | { readonly cluster: readonly { host: string; port: number }[] }

export interface RunNode {
  readonly name: string
  readonly isWriter: boolean
  readonly hasReplica: boolean
  /** How old answers from memory may be, in milliseconds. */
  readonly boundMs: number
  /** Within how many milliseconds a check has to be answered. */
  readonly deadlineMs: number
  /** For how many seconds a revocation lives that is made without an end. */
  readonly lifeSeconds: number
  /** Resolves when it can answer. */
  ready(): Promise<void>
  /** Resolves when it is acknowledged. */
  revoke(subject: number): Promise<{ readonly level: AckLevel; readonly nodes?: readonly string[] }>
  /** False when there was nothing to restore. */
  restore(subject: number): Promise<boolean>
  /** From memory; undefined where that is not fresh, or is none. */
  checkNow(subject: number): { readonly status: Status; readonly stalenessMs: number } | undefined
  /** From the store. Never throws. */
  check(subject: number): Promise<Status>
  close(): Promise<void>
}

export function makeNode(plan: NodePlan): RunNode {
  return plan.kind === 'naive' ? new NaiveNode(plan) : new RescindNode(plan)
}
