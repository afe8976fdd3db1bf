/**
 * A Redis that evicts drops revocations in silence, and then answers "not revoked": it is not believed. Asked once
 * for each new socket, so a check pays nothing for it.
 */
import { hasCode, RescindError } from '../errors.js'
import { refusalOf } from './failure.js'

/** As much of a client as this needs. `INFO` needs no right to read the configuration. */
export interface InfoClient {
  info(section: string): Promise<string>
}

/** Believed for so long, so that refused checks do not ask the server each. */
const REFUSAL_LIFE_MS = 1000

/** Guards one socket. */
export class EvictionGuard {
  /** The hot path reads only this. */
  isPassed: boolean
  readonly #isOn: () => boolean
  #socket = 0
  #asking: Promise<void> | undefined
  #refusal: { readonly error: RescindError; readonly until: number } | undefined

  constructor(isOn: () => boolean) {
    this.#isOn = isOn
    this.isPassed = !isOn()
  }

  /** The socket is another one, or another server joined: it is asked again. */
  reset(): void {
    this.#socket += 1
    this.#asking = undefined
    this.#refusal = undefined
    this.isPassed = !this.#isOn()
  }

  /** Throws `ERR_STORE_EVICTS` when one of the servers evicts. */
  async pass(servers: () => readonly InfoClient[]): Promise<void> {
    if (this.isPassed) return
    if (this.#refusal !== undefined && performance.now() < this.#refusal.until) throw this.#refusal.error
    await (this.#asking ??= this.#ask(servers()))
    // Another server came while these were asked.
    if (!this.isPassed) return this.pass(servers)
  }

  async #ask(servers: readonly InfoClient[]): Promise<void> {
    const socket = this.#socket
    try {
      await assertNoEviction(servers)
      if (socket === this.#socket) this.isPassed = true
    } catch (error) {
      if (socket === this.#socket && hasCode(error, 'ERR_STORE_EVICTS')) {
        this.#refusal = { error, until: performance.now() + REFUSAL_LIFE_MS }
      }
      throw error
    } finally {
      if (socket === this.#socket) this.#asking = undefined
    }
  }
}

/** What a policy drops: nothing, keys with an expiry (all records and the log), or any key. */
export function evictedBy(policy: string | undefined): 'nothing' | 'expiring' | 'any' {
  if (policy?.startsWith('volatile-')) return 'expiring'
  return policy?.startsWith('allkeys-') ? 'any' : 'nothing'
}

async function assertNoEviction(servers: readonly InfoClient[]): Promise<void> {
  const answers = await Promise.allSettled(servers.map(async (server) => policyOf(server)))
  const policies = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  const evicting = policies.find((policy) => evictedBy(policy) !== 'nothing')
  if (evicting !== undefined) throw evicts(evicting)
  // Of a cluster some may be away: their own commands fail, and they are asked when they are back.
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (failed !== undefined && policies.length === 0) throw failed.reason
}

/** Undefined when the server does not tell. A user who may not ask is not refused for it. */
async function policyOf(server: InfoClient): Promise<string | undefined> {
  try {
    return /^maxmemory_policy:([a-z-]{1,40})\r?$/m.exec(await server.info('memory'))?.[1]
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    if (refusalOf(message) === 'NOPERM' || /^ERR unknown command/i.test(message)) return undefined
    throw error
  }
}

function evicts(policy: string): RescindError {
  return new RescindError(
    'ERR_STORE_EVICTS',
    `Redis may drop revocations when its memory is full (maxmemory-policy ${policy}): set maxmemory-policy noeviction, or allowEviction (RESCIND_ALLOW_EVICTION) where that is accepted`,
  )
}
