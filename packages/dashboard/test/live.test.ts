/** Whether the page may say that it is live. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { followChanges, liveState, tick } from '../src/service/live.js'

/** As much of the browser's as is used. */
class Source {
  static readonly CLOSED = 2
  static all: Source[] = []
  readyState = 0
  onopen: (() => void) | undefined
  onerror: (() => void) | undefined
  readonly #listeners = new Map<string, (event: { data: string }) => void>()

  constructor() {
    Source.all.push(this)
  }

  static get last(): Source {
    return Source.all.at(-1) as Source
  }

  addEventListener(name: string, listener: (event: { data: string }) => void) {
    this.#listeners.set(name, listener)
  }

  open() {
    this.readyState = 1
    this.onopen?.()
  }

  tell(name: string, data: unknown = {}) {
    this.#listeners.get(name)?.({ data: JSON.stringify(data) })
  }

  refuse() {
    this.readyState = Source.CLOSED
    this.onerror?.()
  }

  close() {
    this.readyState = Source.CLOSED
  }
}

let end: (() => void) | undefined

beforeEach(() => {
  vi.useFakeTimers()
  Source.all = []
  vi.stubGlobal('EventSource', Source)
  vi.stubGlobal('addEventListener', () => undefined)
  vi.stubGlobal('removeEventListener', () => undefined)
  vi.stubGlobal('fetch', async () => Response.json({ client: null }))
  end = followChanges()
})
afterEach(() => {
  end?.()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it('is live while the service gives signs of life, and lost when it is silent', async () => {
  Source.last.open()
  expect(liveState.value).toBe('live')
  for (let i = 0; i < 5; i++) {
    await vi.advanceTimersByTimeAsync(5000)
    Source.last.tell('heartbeat', { stalenessMs: 10 })
  }
  expect([liveState.value, Source.all.length]).toEqual(['live', 1])
  await vi.advanceTimersByTimeAsync(13_000)
  expect([liveState.value, Source.all.length]).toEqual(['lost', 2])
})

it('notices a silent connection also after one that was refused', async () => {
  Source.last.refuse()
  expect(liveState.value).toBe('lost')
  await vi.advanceTimersByTimeAsync(3000)
  Source.last.open()
  expect([liveState.value, Source.all.length]).toEqual(['live', 2])
  await vi.advanceTimersByTimeAsync(13_000)
  expect([liveState.value, Source.all.length]).toEqual(['lost', 3])
})

it('is not live while the service does not hear from its store, and reads again when it does', () => {
  Source.last.open()
  const before = tick.value
  for (const stalenessMs of [null, 11_000]) {
    Source.last.tell('heartbeat', { stalenessMs })
    expect(liveState.value).toBe('stale')
  }
  Source.last.tell('heartbeat', { stalenessMs: 200 })
  expect([liveState.value, tick.value]).toEqual(['live', before + 1])
})

it('opens nothing more once it was ended', async () => {
  Source.last.refuse()
  await vi.advanceTimersByTimeAsync(1999)
  end?.()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(Source.all).toHaveLength(1)
})
