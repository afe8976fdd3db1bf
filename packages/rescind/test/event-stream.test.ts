import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { EventStream } from '../src/event-stream.js'

/** What a reader gets until it ends. */
async function all(events: AsyncIterable<number>): Promise<number[]> {
  const got: number[] = []
  for await (const event of events) got.push(event)
  return got
}

describe('EventStream', () => {
  it('gives every reader what is published from now on, in order, whether it waits or not', async () => {
    const stream = new EventStream<number>()
    stream.publish(0)
    const [early, waiting] = [stream.subscribe(), stream.subscribe()]
    const first = waiting.next()
    stream.publish(1)
    const late = stream.subscribe()
    stream.publish(2)
    expect(await first).toEqual({ done: false, value: 1 })
    stream.end()
    expect(await Promise.all([all(early), all(waiting), all(late)])).toEqual([[1, 2], [2], [2]])
    expect(await all(stream.subscribe())).toEqual([])
  })

  it('answers each of several waits of one reader', async () => {
    const stream = new EventStream<number>()
    const reader = stream.subscribe()
    const waits = [reader.next(), reader.next(), reader.next()]
    stream.publish(1)
    stream.publish(2)
    stream.end()
    expect((await Promise.all(waits)).map(({ done, value }) => (done === true ? 'end' : value))).toEqual([
      1,
      2,
      'end',
    ])
  })

  it('drops the oldest events of a reader that is slow, and only of that one', async () => {
    const stream = new EventStream<number>()
    const [slow, other] = [stream.subscribe({ bufferMax: 3 }), stream.subscribe()]
    for (let n = 0; n < 10; n++) stream.publish(n)
    stream.end()
    expect(await all(slow)).toEqual([7, 8, 9])
    expect(await all(other)).toHaveLength(10)
  })

  it('ends a reader with its signal, after what was published before, and those that come later at once', async () => {
    const stream = new EventStream<number>()
    const stop = new AbortController()
    const reader = stream.subscribe({ signal: stop.signal })
    stream.publish(1)
    stop.abort()
    stream.publish(2)
    expect(await all(reader)).toEqual([1])
    expect(await all(stream.subscribe({ signal: stop.signal }))).toEqual([])
  })

  it('keeps nothing of a reader that has left: not what waited for it, nor its listener', async () => {
    const stream = new EventStream<number>()
    const { signal } = new AbortController()
    for (let n = 0; n < 20; n++) {
      const reader = stream.subscribe({ signal })
      stream.publish(n)
      for await (const event of reader) {
        expect(event).toBe(n)
        break
      }
      expect(await reader.next()).toEqual({ done: true, value: undefined })
    }
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    stream.subscribe({ signal })
    stream.end()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})
