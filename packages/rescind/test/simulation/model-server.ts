/**
 * A process that serves a model of Redis: it may be down or frozen, follows another server with a lag, and answers
 * what arrives on its connections in the order in which it arrives.
 */
import { type Argument, execute, refusalOfReader } from './model-commands.js'
import { type Effect, ModelRedis, ReplyError, type Slot } from './model-redis.js'
import type { MachineClock, Scheduler } from './scheduler.js'

/** One command on its way. */
export interface Request {
  readonly name: string
  readonly parameters: readonly Argument[]
  resolve(reply: unknown): void
  reject(error: Error): void
}

export interface Answer {
  readonly request: Request
  readonly reply?: unknown
  readonly error?: Error
}

/** The server's end of a connection. */
export interface ServerPipe {
  /** Whose it is. */
  readonly place: object
  readonly mayWrite: boolean
  /** Nothing goes through it any more, in either direction. */
  readonly isBroken: boolean
  answer(answers: readonly Answer[]): void
  /** A message of a channel. */
  hear(channel: string, message: string): void
  breakOff(): void
}

/** Told of every command that a server has run. */
export type CommandListener = (server: ModelServer, request: Request, error: Error | undefined) => void

interface TimedEffect {
  readonly effect: Effect
  readonly atMs: number
}

const UNBLOCKED = 'UNBLOCKED force unblock from blocking operation, instance state changed'

export class ModelServer {
  readonly redis: ModelRedis
  readonly listeners = new Set<ServerPipe>()
  readonly pipes = new Set<ServerPipe>()
  state: 'up' | 'down' | 'frozen' = 'up'
  /** How far behind its primary it is, in milliseconds. */
  lagMs = 1
  readonly #scheduler: Scheduler
  readonly #onCommand: CommandListener
  /** What it did as a primary, for those who follow. */
  #effects: TimedEffect[] = []
  #source: ModelServer | undefined
  #applied = 0
  /** From then on nothing arrives from its primary. */
  #cutAtMs = Infinity
  readonly #followers = new Set<ModelServer>()
  /** What waits for the end of a freeze. */
  #inbox: (() => void)[] = []
  /** What waits behind a `WAIT` of the same connection. */
  readonly #blocked = new Map<ServerPipe, Request[]>()

  constructor(
    readonly name: string,
    scheduler: Scheduler,
    clock: MachineClock,
    onCommand: CommandListener,
  ) {
    this.#scheduler = scheduler
    this.#onCommand = onCommand
    this.redis = new ModelRedis(() => scheduler.nowMs, clock)
    this.redis.onEffect = (effect) => {
      if (this.#followers.size > 0) this.#effects.push({ effect, atMs: scheduler.nowMs })
    }
    this.redis.onPublish = (channel, message) => {
      for (const pipe of this.listeners) pipe.hear(channel, message)
      return this.listeners.size
    }
    this.redis.replicas = () => [...this.#followers].map((follower) => follower.#silenceSeconds())
  }

  /** Takes what arrived on a connection. */
  receive(pipe: ServerPipe, requests: readonly Request[]): void {
    if (this.state === 'down' || pipe.isBroken) return
    if (this.state === 'frozen') {
      this.#inbox.push(() => this.receive(pipe, requests))
      return
    }
    const waiting = this.#blocked.get(pipe)
    if (waiting !== undefined) {
      waiting.push(...requests)
      return
    }
    const answers: Answer[] = []
    for (const [i, request] of requests.entries()) {
      if (request.name !== 'wait') {
        answers.push(this.#run(pipe, request))
        continue
      }
      this.#blocked.set(pipe, requests.slice(i + 1))
      pipe.answer(answers)
      this.#wait(pipe, request)
      return
    }
    pipe.answer(answers)
  }

  listen(pipe: ServerPipe): void {
    this.listeners.add(pipe)
  }

  /** Ends a connection here. */
  forget(pipe: ServerPipe): void {
    this.pipes.delete(pipe)
    this.listeners.delete(pipe)
  }

  freeze(): void {
    if (this.state === 'up') this.state = 'frozen'
  }

  thaw(): void {
    if (this.state !== 'frozen') return
    this.state = 'up'
    for (const work of this.#inbox.splice(0)) work()
  }

  /** Every connection ends, and what has not been answered never is. */
  stop(): void {
    this.state = 'down'
    this.#inbox = []
    this.#blocked.clear()
    this.dropPipes()
  }

  /** Starts again with what it then holds; those who follow it hold the same. */
  start(held: ReadonlyMap<string, Slot>): void {
    this.state = 'up'
    this.redis.load(held)
    for (const follower of [...this.#followers]) follower.follow(this)
  }

  dropPipes(): void {
    for (const pipe of [...this.pipes]) pipe.breakOff()
  }

  /** Becomes a replica: it holds what its primary holds, and from now on what that one does. */
  follow(primary: ModelServer): void {
    this.leave()
    this.redis.role = 'slave'
    this.redis.load(primary.redis.snapshot())
    this.#source = primary
    this.#applied = primary.#effects.length
    this.#cutAtMs = Infinity
    primary.#followers.add(this)
  }

  /** Stops following, with what has arrived until now. */
  leave(): void {
    this.catchUp()
    if (this.#source !== undefined) this.#source.#followers.delete(this)
    this.#source = undefined
  }

  promote(): void {
    this.leave()
    this.redis.role = 'master'
    this.#effects = []
  }

  /** Nothing arrives from the primary any more. */
  cutOff(): void {
    this.#cutAtMs = Math.min(this.#cutAtMs, this.#scheduler.nowMs)
  }

  /** What arrived while it was cut off comes now, as a whole. */
  reconnect(): void {
    if (this.#cutAtMs !== Infinity && this.#source !== undefined) this.follow(this.#source)
  }

  /** Applies what has arrived by now. Returns how much of its primary's doing it has. */
  catchUp(): number {
    const effects = this.#source === undefined ? [] : this.#source.#effects
    for (; this.#applied < effects.length; this.#applied++) {
      const { effect, atMs } = effects[this.#applied] as TimedEffect
      if (atMs + this.lagMs > this.#scheduler.nowMs || atMs >= this.#cutAtMs) break
      this.redis.apply(effect)
    }
    return this.#applied
  }

  get primary(): ModelServer | undefined {
    return this.#source
  }

  #silenceSeconds(): number {
    const silentMs = this.#cutAtMs === Infinity ? 0 : this.#scheduler.nowMs - this.#cutAtMs
    return Math.floor(silentMs / 1000)
  }

  #run(pipe: ServerPipe, request: Request): Answer {
    if (this.#source !== undefined) this.catchUp()
    try {
      const refusal = pipe.mayWrite ? undefined : refusalOfReader(request.name)
      if (refusal !== undefined) throw refusal
      const reply =
        request.name === 'subscribe'
          ? this.listen(pipe)
          : execute(this.redis, request.name, request.parameters)
      this.#onCommand(this, request, undefined)
      return { request, reply }
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error
      this.#onCommand(this, request, error)
      return { request, error }
    }
  }

  /** `WAIT`: the connection is blocked until so many replicas have what was done before, or the time is up. */
  #wait(pipe: ServerPipe, request: Request): void {
    const [wanted, waitMs] = request.parameters.map(Number) as [number, number]
    const deadlineMs = this.#scheduler.nowMs + waitMs
    const count = this.#effects.length
    const look = (): void => {
      if (this.state === 'down' || pipe.isBroken) return
      if (this.state === 'frozen') {
        this.#inbox.push(look)
        return
      }
      const reached = [...this.#followers].filter((follower) => follower.catchUp() >= count).length
      const isDemoted = this.redis.role !== 'master'
      const isOver = isDemoted || reached >= wanted || this.#scheduler.nowMs >= deadlineMs
      if (!isOver) {
        this.#scheduler.at(Math.min(deadlineMs, this.#nextArrivalMs(count)), look)
        return
      }
      const error = isDemoted ? new ReplyError(UNBLOCKED) : undefined
      this.#onCommand(this, request, error)
      pipe.answer([error === undefined ? { request, reply: reached } : { request, error }])
      const rest = this.#blocked.get(pipe) ?? []
      this.#blocked.delete(pipe)
      if (rest.length > 0) this.receive(pipe, rest)
    }
    look()
  }

  /** When the next replica may have so much. */
  #nextArrivalMs(count: number): number {
    const atMs = this.#effects[count - 1]?.atMs ?? 0
    const arrivals = [...this.#followers].map(({ lagMs }) => atMs + lagMs)
    return Math.min(...arrivals.filter((arrival) => arrival > this.#scheduler.nowMs), Infinity)
  }
}
