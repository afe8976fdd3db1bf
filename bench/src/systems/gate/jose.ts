/** The limit for whoever verifies with jose: the signature and the claims, and no look-up at all. */
import { createPublicKey, createSecretKey } from 'node:crypto'
import type { Shared, System } from '../../system.js'
import { AUDIENCE, ISSUER } from '../../tokens.js'
import { type GateSetting, requestsOf, verifyingKeyOf } from './shared.js'

export async function jose(shared: Shared, setting: GateSetting): Promise<System> {
  const { jwtVerify } = await import('jose')
  const { algorithm, inFlight } = setting
  const text = verifyingKeyOf(shared, setting)
  const key = algorithm === 'HS256' ? createSecretKey(Buffer.from(text)) : createPublicKey(text)
  const options = { algorithms: [algorithm], issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt' }
  const requests = requestsOf(shared, setting)
  let list: string[] = []
  return {
    inFlight,
    batchMax: requests.batchMax,
    prepare: (count) => (list = requests.next(count)),
    run: async (index) => {
      await jwtVerify((list[index] as string).slice('Bearer '.length), key, options)
    },
    close: async () => undefined,
  }
}
