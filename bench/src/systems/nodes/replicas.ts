/**
 * A process of several nodes: each has a `TokenManager`, and so connections and a replica, of its own. Once a
 * millisecond each of them is asked about every token whose refusal is awaited.
 */
import type { TokenManager } from 'rescind'
import { ISSUER, revokedJti, secondsNow } from '../../tokens.js'
import { nowMs } from './clock.js'

export interface NodesRequest {
  readonly url: string
  readonly namespace: string
  readonly nodes: number
  readonly doorbell: boolean
}

const LOOK_EVERY_MS = 1
const GIVE_UP_MS = 10_000

const managers: TokenManager[] = []

export async function open({ url, namespace, nodes, doorbell }: NodesRequest): Promise<void> {
  const { RedisConnection, RedisStore, TokenManager } = await import('rescind')
  for (let i = 0; i < nodes; i++) {
    const store = new RedisStore(new RedisConnection({ url }), { namespace, doorbell })
    managers.push(new TokenManager({ store }))
  }
  await Promise.all(managers.map((manager) => manager.ready()))
}

/** When each node refused the token with this number, on the clock that all processes share. */
export async function refusals(index: number): Promise<number[]> {
  const claims = { iss: ISSUER, jti: revokedJti(index), iat: secondsNow(), exp: secondsNow() + 600 }
  const waiting = new Set(managers)
  const refusedAt: number[] = []
  const deadline = nowMs() + GIVE_UP_MS
  while (waiting.size > 0) {
    for (const manager of waiting) {
      if (manager.checkNow(claims)?.status !== 'revoked') continue
      refusedAt.push(nowMs())
      waiting.delete(manager)
    }
    if (nowMs() > deadline) throw new Error(`${waiting.size} nodes did not refuse within ${GIVE_UP_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  return refusedAt
}

/**
 * How many nodes accept the token with this number: before it is revoked, all must. One that was held up for a second is
 * waited for, until it is fresh.
 */
export async function accepting(index: number): Promise<number> {
  const claims = { iss: ISSUER, jti: revokedJti(index), iat: secondsNow(), exp: secondsNow() + 600 }
  const deadline = nowMs() + GIVE_UP_MS
  for (;;) {
    const count = managers.filter((manager) => manager.checkNow(claims)?.status === 'clear').length
    if (count === managers.length || nowMs() > deadline) return count
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** User and system time of this process, in microseconds. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

export async function close(): Promise<void> {
  await Promise.all(managers.map((manager) => manager.close()))
}
