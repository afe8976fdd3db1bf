/** Where the time of the gate goes when it knows the token: self time by function. */
import { RedisServer } from '../../packages/rescind/test/support/redis-server.js'
import { withChild } from './child.js'
import { seedTokens } from './seed.js'
import type * as gateProfile from './systems/gate-profile.js'
import { newSigningKey } from './tokens.js'

export type SelfTimes = readonly gateProfile.SelfTime[]

export interface ProfileOptions {
  readonly quick: boolean
}

const ROWS_MAX = 15
const PERCENT_MIN = 0.5

export async function profileGate({ quick }: ProfileOptions): Promise<SelfTimes> {
  const redis = await RedisServer.start()
  try {
    await seedTokens(redis.url, 'main', quick ? 100 : 10_000)
    const shared = {
      redisUrl: redis.url,
      keyES256: newSigningKey('ES256'),
      tokensFirst: 1000,
      tokensCached: 1000,
    }
    const runs = quick ? { warmUpRuns: 1, runs: 1 } : { warmUpRuns: 5, runs: 20 }
    return await withChild<typeof gateProfile, SelfTimes>(
      new URL('./systems/gate-profile.ts', import.meta.url),
      (child) => child.call('profile', { shared, ...runs }),
    )
  } finally {
    await redis.stop()
  }
}

export function profileToMarkdown(times: SelfTimes): string {
  const rows = times.filter(({ percent }) => percent >= PERCENT_MIN).slice(0, ROWS_MAX)
  return [
    '| function | where | self time |',
    '| --- | --- | --: |',
    ...rows.map(({ name, place, percent }) => `| \`${name}\` | \`${place}\` | ${percent.toFixed(1)} % |`),
  ].join('\n')
}
