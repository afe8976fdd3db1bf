/** Ours: from the replica of this process, and strictly from Redis. */
import type { CheckResult, Claims, TokenManager, VerifiedToken } from 'rescind'
import { sharedNumber, type Shared, type System } from '../../system.js'
import {
  clearClaims,
  countOf,
  knownOf,
  type Log,
  NAMESPACES,
  RECORDED_COUNT_FIELD,
  redisUrl,
  revokedClaims,
} from './shared.js'

type Status = 'clear' | 'revoked'

export interface ReplicaOptions {
  /** `claims`: never seen before. `token`: a verified token that the gate has met, whose digests are kept with it. */
  readonly of: 'claims' | 'token'
  readonly log?: Log
  readonly expected?: Status
}

/** Operations of strict checks are never given up for time: that would be no measurement. */
const PATIENT_MS = 10_000
const READY_TIMEOUT_MS = 600_000
/**
 * The longest there is: many processes of one run hold replicas, and those that wait for their turn shall not
 * poll. What a check costs does not depend on it.
 */
const STALENESS_MAX_MS = 60_000

export function replica({ of, log = 'normal', expected = 'clear' }: ReplicaOptions) {
  return async (shared: Shared): Promise<System> => {
    const manager = await openManager(redisUrl(shared), NAMESPACES[log])
    const count = countOf(shared, log)
    const newClaims = expected === 'clear' ? clearClaims : () => revokedClaims(count)
    const newList =
      of === 'claims' ? unknownClaims(newClaims) : await knownTokens(manager, newClaims, knownOf(shared))
    let list: readonly (Claims | VerifiedToken)[] = []
    return {
      prepare: async (wanted) => {
        list = newList(wanted)
        // Making so many kept the event loop from everything else.
        await manager.ready()
      },
      runAll: (wanted) => {
        for (let i = 0; i < wanted; i++) {
          const result = manager.checkNow(list[i] as Claims | VerifiedToken)
          if (result === undefined || result.status !== expected) throw wrong(result, expected)
        }
      },
      close: () => manager.close(),
    }
  }
}

export interface StrictOptions {
  readonly inFlight: number
  readonly expected?: Status
}

export function strict({ inFlight, expected = 'clear' }: StrictOptions) {
  return async (shared: Shared): Promise<System> => {
    const manager = await openManager(redisUrl(shared), NAMESPACES.normal)
    const recorded = sharedNumber(shared, RECORDED_COUNT_FIELD)
    const newClaims = expected === 'clear' ? clearClaims : () => revokedClaims(recorded)
    let list: readonly Claims[] = []
    const check = async (claims: Claims) => {
      const result = await manager.check(claims, { consistency: 'strict' })
      if (result.status !== expected) throw wrong(result, expected)
    }
    // Connects, and learns which shapes are in use.
    await check(newClaims())
    return {
      inFlight,
      prepare: (count) => (list = Array.from({ length: count }, newClaims)),
      run: (index) => check(list[index] as Claims),
      close: () => manager.close(),
    }
  }
}

/** With a fresh replica, however long that takes. */
export async function openManager(url: string, namespace: string): Promise<TokenManager> {
  const { RedisConnection, RedisStore, TokenManager } = await import('rescind')
  const connection = new RedisConnection({ url, checkTimeoutMs: PATIENT_MS, connectTimeoutMs: PATIENT_MS })
  const manager = new TokenManager({
    store: new RedisStore(connection, { namespace }),
    stalenessMaxMs: STALENESS_MAX_MS,
  })
  await manager.ready({ timeoutMs: READY_TIMEOUT_MS })
  return manager
}

function unknownClaims(newClaims: () => Claims) {
  return (count: number): Claims[] => Array.from({ length: count }, newClaims)
}

/** Draws from tokens whose digests are kept with them, in another order each time. */
async function knownTokens(manager: TokenManager, newClaims: () => Claims, size: number) {
  const { VerifiedToken } = await import('rescind')
  const tokens = Array.from({ length: size }, () => new VerifiedToken(newClaims(), 'header.payload'))
  // As the gate does with a token that it will meet again.
  for (const token of tokens) manager.replica?.remember(token)
  if (tokens.some(({ knownBy }) => knownBy === undefined)) throw new Error('the replica remembers no digests')
  return (count: number): VerifiedToken[] =>
    Array.from({ length: count }, () => tokens[Math.floor(Math.random() * size)] as VerifiedToken)
}

function wrong(result: CheckResult | undefined, expected: Status): Error {
  const cause = result?.status === 'unknown' ? result.cause : undefined
  const answer = result?.status ?? 'nothing'
  return new Error(`a check answered ${answer} for a token that is ${expected}`, { cause })
}
