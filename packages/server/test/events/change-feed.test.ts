/** `ChangeFeed` by itself: what it costs the store when nobody follows, and what it does with a mistake. */
import { MemoryStore, TokenManager } from 'rescind'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { ChangeFeed } from '../../src/events/change-feed.js'
import { clockOf } from '../../src/events/moment.js'
import { Stream } from '../../src/events/streams.js'
import { makeLog } from '../../src/log.js'

let store: MemoryStore
let stopping: AbortController
let feed: ChangeFeed
let logged: string[]
/** How often it has begun to listen to the store, and has ended that. */
let begun: number
let ended: number
beforeEach(() => {
  store = new MemoryStore()
  stopping = new AbortController()
  logged = []
  begun = ended = 0
  const onBell = store.onBell.bind(store)
  vi.spyOn(store, 'onBell').mockImplementation((listener) => {
    begun++
    const stop = onBell(listener)
    return () => {
      ended++
      stop()
    }
  })
  const log = makeLog('error', { write: (line) => void logged.push(line) })
  feed = new ChangeFeed({ store, log, clock: clockOf(Date.now), stopping: stopping.signal })
})
afterEach(async () => {
  vi.restoreAllMocks()
  stopping.abort()
  await store.close()
})

function follow(): { stream: Stream; told: () => string } {
  const stream: Stream = new Stream({ cut: () => undefined, onEnd: () => feed.leave(stream) })
  let text = ''
  void feed.follow(stream, undefined)
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of stream.response.body as unknown as AsyncIterable<Uint8Array>)
      text += decoder.decode(chunk)
  })()
  return { stream, told: () => text }
}

it('rests when nobody has followed for a minute, and begins again for who comes then', async () => {
  const { stream, told } = follow()
  await until(() => told().includes('heartbeat'), { what: 'the first sign of life' })
  stream.end()
  const now = performance.now()
  vi.spyOn(performance, 'now').mockImplementation(() => now + 60_001)
  await until(() => ended === 1, { what: 'the rest' })
  expect(feed.stalenessMs).toBeNull()

  const manager = new TokenManager({ store })
  await manager.revoke({ sub: 'missed' })
  const begunBefore = begun
  const again = follow()
  await until(() => again.told().includes('heartbeat'), { what: 'a sign of life' })
  expect([begun, ended]).toEqual([begunBefore + 1, 1])
  await manager.revoke({ sub: 'alice' })
  await until(() => again.told().includes('alice'), { what: 'the change' })
  expect(again.told()).not.toContain('missed')
  again.stream.end()
  await manager.close()
})

it('writes down what is no failure of the store, and goes on', async () => {
  vi.spyOn(store, 'position').mockRejectedValueOnce(new TypeError('a mistake'))
  const { stream, told } = follow()
  await until(() => told().includes('heartbeat'), { what: 'a sign of life' })
  expect(logged.join('')).toContain('a mistake')
  stream.end()
})
