/**
 * What a team would write in an afternoon: a key for each revocation, which ends with it, and a look whether it is
 * there. It never says clear for a failure. It runs through the same schedules, where it must lose revocations.
 */
import { ANY_TIME, toRevocation } from '../../src/core/revocation.js'
import { parseTarget, type Target, targetOf } from '../../src/core/target.js'
import { RescindError } from '../../src/errors.js'
import type { RedisConnection } from '../../src/redis/connection.js'
import type { Surroundings } from '../../src/surroundings.js'
import type { CheckResult, Receipt, RevokeOptions } from '../../src/token-manager.js'
import { TARGETS } from './schedule.js'
import type { Client } from './node.js'

export class NaiveClient implements Client {
  readonly replica = undefined
  readonly #connection: RedisConnection
  readonly #surroundings: Surroundings

  constructor(connection: RedisConnection, surroundings: Surroundings) {
    this.#connection = connection
    this.#surroundings = surroundings
  }

  now(): number {
    return this.#surroundings.now() / 1000
  }

  async revoke(target: Target, { expiresAt }: RevokeOptions): Promise<Receipt> {
    const end = Number(expiresAt)
    const lifeMs = Math.ceil((end - this.now()) * 1000)
    await this.#connection.run('writes', this.#connection.writeTimeoutMs, (client) =>
      client.set(keyOf(target), end, 'PX', lifeMs),
    )
    return { ...revocationOf(target, end), ack: 'accepted' }
  }

  async restore(target: Parameters<Client['restore']>[0]): Promise<boolean> {
    const deleted = await this.#connection.run('writes', this.#connection.writeTimeoutMs, (client) =>
      client.del(keyOf(target as Target)),
    )
    return deleted === 1
  }

  async check(token: Parameters<Client['check']>[0]): Promise<CheckResult> {
    const claims = token as Target
    const covering = TARGETS.filter((target) =>
      Object.entries(target).every(([name, value]) => claims[name] === value),
    )
    if (covering.length === 0) return { status: 'clear' }
    try {
      const ends = await this.#connection.run('checks', this.#connection.checkTimeoutMs, (client) =>
        client.mgetBuffer(covering.map(keyOf)),
      )
      const found = ends.findIndex((end) => end !== null && this.now() < Number(end))
      if (found === -1) return { status: 'clear' }
      return { status: 'revoked', revocation: revocationOf(covering[found] as Target, Number(ends[found])) }
    } catch (cause) {
      if (!(cause instanceof RescindError)) throw cause
      return { status: 'unknown', cause }
    }
  }

  checkNow(): undefined {
    return undefined
  }

  close(): Promise<void> {
    return this.#connection.close()
  }
}

function keyOf(target: Target): string {
  return `naive:${parseTarget(target).digest}`
}

function revocationOf(target: Target, end: number) {
  const parsed = parseTarget(target)
  return toRevocation(parsed.digest, targetOf(parsed), { at: 0, end, issuedBefore: ANY_TIME })
}
