/** fast-jwt alone, and no look-up of revocations at all: with its cache for tokens that come again. */
import type { Shared, System } from '../../system.js'
import { AUDIENCE, ISSUER } from '../../tokens.js'
import { CACHE_ENTRIES_MAX, type GateSetting, requestsOf, verifyingKeyOf } from './shared.js'

export async function fastJwt(shared: Shared, setting: GateSetting): Promise<System> {
  const { createVerifier } = await import('fast-jwt')
  const { algorithm, tokens } = setting
  const verify = createVerifier({
    key: verifyingKeyOf(shared, setting),
    algorithms: [algorithm],
    allowedIss: ISSUER,
    allowedAud: AUDIENCE,
    cache: tokens === 'cached' ? CACHE_ENTRIES_MAX : false,
  }) as (token: string) => { iss?: unknown }
  const requests = requestsOf(shared, setting)
  let list: string[] = []
  return {
    batchMax: requests.batchMax,
    prepare: (count) => (list = requests.next(count)),
    runAll: (count) => {
      for (let i = 0; i < count; i++) {
        const { iss } = verify((list[i] as string).slice('Bearer '.length))
        if (iss !== ISSUER) throw new Error('fast-jwt gave no claims')
      }
    },
    close: async () => undefined,
  }
}
