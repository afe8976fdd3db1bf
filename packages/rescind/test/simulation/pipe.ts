/** A connection to the model of Redis, from its beginning to its end, with what is on its way in both directions. */
import type { Answer, ModelServer, Request, ServerPipe } from './model-server.js'
import type { Network, Place } from './network.js'
import type { Timer } from './scheduler.js'

/** What a connection says that has ended. */
export const CLOSED = 'Connection is closed.'

export class Pipe implements ServerPipe {
  readonly mayWrite: boolean
  isBroken = false
  readonly place: Place
  readonly #network: Network
  readonly #server: ModelServer
  readonly #silenceMs: number
  readonly #hear: (channel: string, message: string) => void
  readonly #onEnd: () => void
  readonly #pending = new Set<Request>()
  /** The client has given it up; what it sent arrives all the same. */
  #isGivenUp = false
  #lastArrivalMs = 0
  #lastAnswerMs = 0
  #silence: Timer | undefined

  constructor(
    network: Network,
    place: Place,
    server: ModelServer,
    silenceMs: number,
    hear: (channel: string, message: string) => void,
    onEnd: () => void,
  ) {
    this.mayWrite = place.mayWrite
    this.#network = network
    this.place = place
    this.#server = server
    this.#silenceMs = silenceMs
    this.#hear = hear
    this.#onEnd = onEnd
    server.pipes.add(this)
  }

  send(requests: readonly Request[]): void {
    const { chance, weather } = this.#network
    for (const request of requests) this.#pending.add(request)
    this.#watchSilence()
    const isSplit = requests.length > 1 && chance.is(weather.splitShare)
    const half = isSplit ? chance.whole(1, requests.length - 1) : requests.length
    this.#carry(requests.slice(0, half))
    if (isSplit) this.#carry(requests.slice(half))
  }

  answer(answers: readonly Answer[]): void {
    if (this.isBroken || answers.length === 0) return
    const { chance, weather, scheduler } = this.#network
    if (chance.is(weather.breakShare)) {
      this.breakOff()
      return
    }
    this.#lastAnswerMs = Math.max(this.#lastAnswerMs, scheduler.nowMs + this.#network.latencyMs())
    scheduler.at(this.#lastAnswerMs, () => this.#arrive(answers), this.place.life)
  }

  hear(channel: string, message: string): void {
    const { chance, weather, scheduler } = this.#network
    if (chance.is(weather.deafShare)) return
    const deliver = () => {
      if (!this.#isOver() && this.place.cut === 'none') this.#hear(channel, message)
    }
    scheduler.after(this.#network.latencyMs(), deliver, this.place.life)
  }

  /** It breaks: what is on its way is lost, and the client is told. */
  breakOff(): void {
    if (this.isBroken) return
    this.isBroken = true
    this.#end()
  }

  /** The client gives it up. */
  close(): void {
    this.#end()
  }

  #carry(requests: readonly Request[]): void {
    const { chance, weather, scheduler } = this.#network
    if (chance.is(weather.breakShare)) {
      scheduler.after(this.#network.latencyMs(), () => this.breakOff())
      return
    }
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + this.#network.latencyMs())
    scheduler.at(this.#lastArrivalMs, () => {
      this.#network.whenHealed(this.place, () => this.#server.receive(this, requests))
    })
  }

  #arrive(answers: readonly Answer[]): void {
    if (this.#isOver()) return
    if (this.place.cut !== 'none') {
      this.#network.whenHealed(this.place, () => this.#arrive(answers))
      return
    }
    let isAtReplica = false
    for (const { request, reply, error } of answers) {
      this.#pending.delete(request)
      if (error === undefined) request.resolve(reply)
      else request.reject(error)
      isAtReplica ||= error?.message.startsWith('READONLY') === true
    }
    this.#silence?.cancel()
    this.#silence = undefined
    this.#watchSilence()
    // The client looks for the primary then.
    if (isAtReplica) this.#end()
  }

  /** From the first command without an answer, and again from each answer while there are more. */
  #watchSilence(): void {
    if (this.#silence !== undefined || this.#pending.size === 0) return
    this.#silence = this.#network.scheduler.after(this.#silenceMs, () => this.#end(), this.place.life)
  }

  #isOver(): boolean {
    return this.isBroken || this.#isGivenUp || this.place.life.isOver
  }

  #end(): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    this.#silence?.cancel()
    this.#server.forget(this)
    // Of what has died nobody is told.
    if (this.place.life.isOver) return
    for (const { reject } of this.#pending) reject(new Error(CLOSED))
    this.#pending.clear()
    this.#onEnd()
  }
}
