/**
 * The doorbell of a service, heard over one stream: a hint, as every bell. It connects while somebody listens, begins
 * anew when it has been silent for too long, and then rings once, for what may have been missed.
 */
import { RescindError } from '../errors.js'
import type { Surroundings } from '../surroundings.js'
import type { RemoteCalls } from './remote-calls.js'
import { EventReader } from './remote-events.js'
import { HEARTBEAT_MS } from './remote-wire.js'
import type { Bell, BellListener } from './store.js'

const SILENCE_MAX_MS = 3 * HEARTBEAT_MS
/** Between two tries to connect, in milliseconds: twice as long each time, and by chance, so that not all come at once. */
const RETRY_MS = 100
const RETRY_MAX_MS = 5000
/** A key that is not accepted may be so later on. */
const REFUSED_RETRY_MS = 10_000

export interface RemoteBellOptions {
  readonly calls: RemoteCalls
  readonly timeoutMs: number
  readonly surroundings: Surroundings
}

export class RemoteBell {
  readonly #options: RemoteBellOptions
  readonly #listeners = new Set<BellListener>()
  #ended: AbortController | undefined

  constructor(options: RemoteBellOptions) {
    this.#options = options
  }

  listen(listener: BellListener): () => void {
    this.#listeners.add(listener)
    if (this.#ended === undefined) {
      this.#ended = new AbortController()
      void this.#follow(this.#ended.signal)
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.close()
    }
  }

  close(): void {
    this.#ended?.abort()
    this.#ended = undefined
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { surroundings } = this.#options
    let retryMs = RETRY_MS
    while (!signal.aborted) {
      try {
        await this.#hear(signal, () => (retryMs = RETRY_MS))
      } catch (error) {
        if (error instanceof RescindError && error.code === 'ERR_CLOSED') return
        if (error instanceof RescindError && error.code === 'ERR_STORE_REFUSED') retryMs = REFUSED_RETRY_MS
      }
      if (signal.aborted) return
      const pauseMs = retryMs * (0.5 + surroundings.random())
      retryMs = Math.min(2 * retryMs, RETRY_MAX_MS)
      await surroundings.sleep(pauseMs, { signal, isIdle: true }).catch(() => undefined)
    }
  }

  /** Until the stream ends, fails or falls silent. */
  async #hear(signal: AbortSignal, onBegun: () => void): Promise<void> {
    const { calls, timeoutMs } = this.#options
    const ended = new AbortController()
    const end = () => ended.abort()
    signal.addEventListener('abort', end, { once: true })
    let timer: NodeJS.Timeout | undefined
    const heard = () => {
      clearTimeout(timer)
      timer = setTimeout(end, SILENCE_MAX_MS).unref()
    }
    try {
      heard()
      const stream = await calls.stream({ path: 'bell', timeoutMs }, ended.signal)
      onBegun()
      this.#ring('change')
      const reader = new EventReader()
      for await (const chunk of stream) {
        heard()
        for (const { event, data } of reader.read(chunk)) {
          const pauseMs = Number(data)
          if (event === 'change') this.#ring('change', pauseMs >= 0 ? pauseMs : undefined)
          else if (event === 'receipt') this.#ring('receipt')
        }
      }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      end()
    }
  }

  #ring(bell: Bell, pauseMs?: number): void {
    for (const listener of this.#listeners) listener(bell, pauseMs)
  }
}
