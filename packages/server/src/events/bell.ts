/**
 * The doorbell for nodes that follow the log through this service. It rings when the log has grown and the memory here has
 * read so, so that all who then ask are answered from memory; not more often than a node need ask.
 */
import type { Store } from 'rescind'
import { COMMENT } from './event-text.js'
import type { LogMemory } from './log-memory.js'
import type { Stream } from './streams.js'

/** What comes in so many milliseconds after a ring is one ring: more for many nodes, who all ask then. */
const PAUSE_MIN_MS = 50
const PAUSE_PER_NODE_MS = 0.1
const RECEIPT = Buffer.from('event: receipt\ndata: 0\n\n')

export class Bell {
  readonly #memory: LogMemory
  readonly #streams = new Set<Stream>()
  #isPausing = false
  #isMissed = false

  constructor(store: Store, memory: LogMemory, stopping: AbortSignal) {
    this.#memory = memory
    const stopListening = store.onBell((bell, pauseMs) => {
      if (this.#streams.size === 0) return
      const heard = memory.hear(pauseMs)
      if (bell === 'receipt') void heard.then(() => this.#tell(RECEIPT))
    })
    memory.onGrown(() => this.#ring())
    stopping.addEventListener('abort', stopListening, { once: true })
  }

  heartbeat(): Uint8Array {
    return COMMENT
  }

  follow(stream: Stream): void {
    this.#streams.add(stream)
    stream.write(COMMENT)
    // From now on whatever grows is heard.
    void this.#memory.hear()
  }

  leave(stream: Stream): void {
    this.#streams.delete(stream)
  }

  #ring(): void {
    this.#isMissed = this.#isPausing
    if (this.#isPausing) return
    this.#isPausing = true
    const pauseMs = Math.max(PAUSE_MIN_MS, Math.round(PAUSE_PER_NODE_MS * this.#streams.size))
    this.#tell(Buffer.from(`event: change\ndata: ${pauseMs}\n\n`))
    setTimeout(() => {
      this.#isPausing = false
      if (this.#isMissed) this.#ring()
    }, pauseMs).unref()
  }

  #tell(bytes: Uint8Array): void {
    for (const stream of [...this.#streams]) stream.write(bytes)
  }
}
