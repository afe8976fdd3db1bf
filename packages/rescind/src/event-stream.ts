/**
 * Events for any number of readers, each an `AsyncIterable` that ends with its `AbortSignal` or with the
 * source. A slow reader loses the oldest events, never memory.
 */
export class EventStream<T> {
  readonly #readers = new Set<Reader<T>>()
  #ended = false

  publish(event: T): void {
    for (const reader of this.#readers) reader.push(event)
  }

  /** Ends every reader, now and later. */
  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.end()
  }

  /** The events from now on. At most `bufferMax` wait for the reader (default 1,000); older ones are dropped. */
  subscribe(
    options: { signal?: AbortSignal | undefined; bufferMax?: number } = {},
  ): AsyncIterableIterator<T> {
    const { signal, bufferMax = 1000 } = options
    const onAbort = () => reader.end()
    const reader = new Reader<T>(bufferMax, () => {
      this.#readers.delete(reader)
      signal?.removeEventListener('abort', onAbort)
    })
    if (this.#ended || signal?.aborted === true) reader.end()
    else {
      this.#readers.add(reader)
      signal?.addEventListener('abort', onAbort)
    }
    return reader
  }
}

class Reader<T> implements AsyncIterableIterator<T> {
  readonly #bufferMax: number
  readonly #onEnd: () => void
  #buffer: T[] = []
  #waiting: ((result: IteratorResult<T>) => void)[] = []
  #ended = false

  constructor(bufferMax: number, onEnd: () => void) {
    this.#bufferMax = bufferMax
    this.#onEnd = onEnd
  }

  push(event: T): void {
    if (this.#ended) return
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) return waiting({ done: false, value: event })
    this.#buffer.push(event)
    if (this.#buffer.length > this.#bufferMax) this.#buffer.shift()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd()
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined })
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#buffer.length > 0) return { done: false, value: this.#buffer.shift() as T }
    if (this.#ended) return { done: true, value: undefined }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  async return(): Promise<IteratorResult<T>> {
    this.#buffer = []
    this.end()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this
  }
}
