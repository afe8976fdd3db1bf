/** What a node wrote and the log has to tell of. */
import { expect, it } from 'vitest'
import type { ReplicaEvent } from '../../src/replica/event.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import { until } from '../support/until.js'

class LateAnswers extends MemoryStore {
  before: () => Promise<unknown> = async () => undefined

  override async restore(...parameters: Parameters<MemoryStore['restore']>) {
    const restored = await super.restore(...parameters)
    await this.before()
    return restored
  }
}

it('a restore of which the log told before the answer came is not missed: nothing is read again', async () => {
  const store = new LateAnswers()
  const manager = new TokenManager({ store })
  const alice = { sub: 'alice', jti: 'one', iat: 1_700_000_000 }
  await manager.revoke({ sub: 'alice' })
  await manager.ready()
  const events: ReplicaEvent[] = []
  const reading = (async () => {
    for await (const event of manager.replica!.events()) events.push(event)
  })()
  store.before = () => until(() => manager.checkNow(alice)?.status === 'clear', { what: 'the log to tell' })
  expect(await manager.restore({ sub: 'alice' })).toBe(true)
  // Two whole reads of the log: the first could miss it.
  for (let reads = 0; reads < 2; reads++) await manager.ready()
  await manager.close()
  await reading
  expect(events.filter(({ type }) => type === 'reread')).toEqual([])
})
