/**
 * Time for a simulation: events in a heap, the earliest first, and nothing real is waited for. Each event runs alone,
 * with all promises that it settles, before the next one is taken.
 */
import type { SleepOptions, Surroundings } from '../../src/surroundings.js'
import type { Chance } from './chance.js'

/** What ends with its owner: a process that is killed takes its timers with it. */
export interface Life {
  isOver: boolean
}

export interface Timer {
  cancel(): void
}

/** The clock of one machine. */
export interface MachineClock {
  /** How far it is ahead of the simulation's time, in milliseconds. */
  skewMs: number
}

interface Event {
  readonly atMs: number
  readonly order: number
  readonly action: () => void
  readonly life: Life | undefined
  isCancelled: boolean
}

/** Node's own timers make this of 0. */
const SLEEP_MIN_MS = 1

export class Scheduler {
  readonly #heap: Event[] = []
  #nowMs: number
  #order = 0
  #ran = 0

  /** Begins at so many milliseconds since 1970. */
  constructor(startMs: number) {
    this.#nowMs = startMs
  }

  /** Milliseconds since 1970. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** How many events have run. */
  get ran(): number {
    return this.#ran
  }

  after(ms: number, action: () => void, life?: Life): Timer {
    return this.at(this.#nowMs + ms, action, life)
  }

  at(ms: number, action: () => void, life?: Life): Timer {
    const event = { atMs: Math.max(ms, this.#nowMs), order: this.#order++, action, life, isCancelled: false }
    push(this.#heap, event)
    return { cancel: () => (event.isCancelled = true) }
  }

  /** Runs everything until a time, or until there is nothing more, or `isDone` says so. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    while (!isDone()) {
      const event = this.#heap[0]
      if (event === undefined || event.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs)
        return
      }
      pop(this.#heap)
      if (event.isCancelled || event.life?.isOver === true) continue
      this.#nowMs = event.atMs
      this.#ran += 1
      event.action()
      await settled()
    }
  }

  /** What the code under test takes from its machine. */
  surroundings(clock: MachineClock, chance: Chance, life: Life): Surroundings {
    const bootedAtMs = this.#nowMs - chance.whole(0, 1_000_000)
    return {
      now: () => this.#nowMs + clock.skewMs,
      monotonic: () => this.#nowMs - bootedAtMs,
      random: () => chance.next(),
      sleep: (ms, options) => this.#sleep(ms, options, life),
      turn: (signal) => this.#sleep(0, { signal }, life),
    }
  }

  #sleep(ms: number, { signal }: SleepOptions = {}, life: Life): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = () => reject(signal?.reason as Error)
      if (signal?.aborted === true) return fail()
      const onAbort = () => {
        timer.cancel()
        fail()
      }
      const timer = this.after(
        Math.max(ms, SLEEP_MIN_MS),
        () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        life,
      )
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}

/** All promises have gone as far as they can: Node runs its microtasks dry between two turns. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function push(heap: Event[], event: Event): void {
  let place = heap.length
  while (place > 0) {
    const parent = (place - 1) >> 1
    if (!isBefore(event, heap[parent] as Event)) break
    heap[place] = heap[parent] as Event
    place = parent
  }
  heap[place] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop() as Event
  if (heap.length === 0) return
  let place = 0
  for (;;) {
    let child = 2 * place + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1
    if (!isBefore(heap[child] as Event, last)) break
    heap[place] = heap[child] as Event
    place = child
  }
  heap[place] = last
}
