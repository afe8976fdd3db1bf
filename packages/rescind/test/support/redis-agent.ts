/** An agent with one naive Redis client: what a team would write that has never seen a split. */
import { Redis } from 'ioredis'
import { answer } from './agent.js'

const COMMAND_TIMEOUT_MS = 1000

let redis: Redis | undefined

const answers = {
  connect({ sentinels, name }: { sentinels: { host: string; port: number }[]; name: string }): void {
    redis = new Redis({ sentinels, name, commandTimeout: COMMAND_TIMEOUT_MS, maxRetriesPerRequest: 1 })
    redis.on('error', () => undefined)
  },

  /** The reply, or the message of the failure. */
  async command([name, ...args]: [string, ...string[]]): Promise<unknown> {
    return redis?.call(name, ...args).catch((failure: Error) => failure.message)
  },
}

export type RedisAnswers = typeof answers
answer(answers)
