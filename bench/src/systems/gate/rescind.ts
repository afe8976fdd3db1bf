/** Ours: the gate, with a replica. A token that it knows is decided about at once, without a promise. */
import type { Gate, Verdict } from 'rescind'
import { type Shared, sharedText, type System } from '../../system.js'
import { AUDIENCE, ISSUER } from '../../tokens.js'
import { type GateSetting, requestsOf, verifyingKeyOf } from './shared.js'

/** Long, so that the processes that wait for their turn hardly poll. What a verdict costs does not depend on it. */
const STALENESS_MAX_MS = 60_000

export async function rescind(shared: Shared, setting: GateSetting): Promise<System> {
  const { Gate, JwtVerifier, RedisConnection, RedisStore, TokenManager } = await import('rescind')
  const { algorithm, inFlight, tokens } = setting
  const key = verifyingKeyOf(shared, setting)
  const manager = new TokenManager({
    store: new RedisStore(new RedisConnection({ url: sharedText(shared, 'redisUrl') })),
    stalenessMaxMs: STALENESS_MAX_MS,
    verifier: new JwtVerifier({
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: [algorithm],
      ...(algorithm === 'HS256' ? { secret: key } : { publicKey: key }),
    }),
  })
  await manager.ready()
  const requests = requestsOf(shared, setting)
  let gate = new Gate({ manager })
  let list: string[] = []
  const close = () => manager.close()
  if (tokens === 'first') {
    return {
      inFlight,
      batchMax: requests.batchMax,
      prepare: async (count) => {
        // With another gate its cache is another one, so that every token is new again.
        gate = new Gate({ manager })
        list = requests.next(count)
        await manager.ready()
      },
      run: async (index) => admitted(await gate.check({ authorization: [list[index] as string] })),
      close,
    }
  }
  for (const authorization of requests.next(requests.batchMax)) {
    admitted(await gate.check({ authorization: [authorization] }))
  }
  return {
    prepare: async (count) => {
      list = requests.next(count)
      // Making so many kept the event loop from everything else.
      await manager.ready()
    },
    runAll: (count) => {
      for (let i = 0; i < count; i++) admitted(atOnce(gate.check({ authorization: [list[i] as string] })))
    },
    close,
  }
}

function atOnce(verdict: ReturnType<Gate['check']>): Verdict {
  if (verdict instanceof Promise) throw new Error('the gate did not know a token that it had seen')
  return verdict
}

function admitted(verdict: Verdict): void {
  if (!verdict.allowed) throw new Error(`the gate denied: ${verdict.denial.code}`, { cause: verdict.cause })
}
