/**
 * `ModelConnection`: a `RedisConnection` to the model of Redis, with the deadlines and failures of the real one, in
 * simulated time. Requests take their time, arrive after the client has given up, or never; so do replies.
 */
import { RescindError } from '../../src/errors.js'
import type { RedisClient, RedisRole } from '../../src/redis/client.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { storeFailure } from '../../src/redis/failure.js'
import type { Argument } from './model-commands.js'
import { makeClient } from './model-client.js'
import type { ModelServer, Request } from './model-server.js'
import type { Network, Place } from './network.js'
import { CLOSED, Pipe } from './pipe.js'
import type { Timer } from './scheduler.js'

const CHECK_TIMEOUT_MS = 200
const WRITE_TIMEOUT_MS = 1000
const CONNECT_TIMEOUT_MS = 500
/** A connection with a command in flight and no byte for so long is dropped. */
const SILENCE_MAX_MS = 1000
const RETRY_DELAY_MIN_MS = 50
const RETRY_DELAY_MAX_MS = 500

export class ModelConnection extends RedisConnection {
  readonly #network: Network
  readonly #place: Place
  readonly #links = new Map<RedisRole, Link>()
  #isClosed = false

  constructor(network: Network, place: Place) {
    super({ host: 'model', checkTimeoutMs: CHECK_TIMEOUT_MS, writeTimeoutMs: WRITE_TIMEOUT_MS })
    this.#network = network
    this.#place = place
  }

  override async run<T>(
    role: RedisRole,
    timeoutMs: number,
    commands: (client: RedisClient) => Promise<T>,
  ): Promise<T> {
    const link = this.#link(role)
    const ready = link.whenReady()
    return this.#withDeadline(
      timeoutMs,
      ready === undefined ? commands(link.client) : ready.then(() => commands(link.client)),
    )
  }

  override listen(channel: string, listener: (message: string) => void): void {
    this.#link('bell').subscribe(channel, listener)
  }

  override reconnect(role: RedisRole): void {
    this.#links.get(role)?.drop()
  }

  override async ping(): Promise<void> {
    await this.run('checks', this.writeTimeoutMs, (client) => client.time())
  }

  override async close(): Promise<void> {
    this.#isClosed = true
    for (const link of this.#links.values()) link.close()
  }

  #link(role: RedisRole): Link {
    if (this.#isClosed) throw new RescindError('ERR_CLOSED', 'the Redis connection was closed')
    let link = this.#links.get(role)
    if (link === undefined) {
      link = new Link(this.#network, this.#place, role, () => {
        if (role === 'log') this.reconnect('bell')
      })
      this.#links.set(role, link)
    }
    return link
  }

  async #withDeadline<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
    let timer: Timer | undefined
    const deadline = new Promise<never>((_, reject) => {
      const late = () =>
        reject(new RescindError('ERR_STORE_TIMEOUT', `Redis did not answer within ${timeoutMs} ms`))
      timer = this.#network.scheduler.after(timeoutMs, late, this.#place.life)
    })
    try {
      return await Promise.race([work, deadline])
    } catch (error) {
      throw storeFailure(error)
    } finally {
      timer?.cancel()
    }
  }
}

/** The socket of a role: it connects when it is made, and again whenever it was lost. */
class Link {
  readonly client: RedisClient
  readonly #network: Network
  readonly #place: Place
  readonly #role: RedisRole
  readonly #onRecovered: () => void
  #pipe: Pipe | undefined
  #isSettled = false
  #isClosed = false
  #attempts = 0
  readonly #firstReady: Promise<void>
  #settle: () => void = () => undefined
  #outbox: Request[] = []
  #subscription: { readonly channel: string; readonly listener: (message: string) => void } | undefined

  constructor(network: Network, place: Place, role: RedisRole, onRecovered: () => void) {
    this.#network = network
    this.#place = place
    this.#role = role
    this.#onRecovered = onRecovered
    this.#firstReady = new Promise((resolve) => (this.#settle = resolve))
    this.client = makeClient((name, parameters) => this.#send(name, parameters))
    this.#connect()
  }

  /** Undefined when it is ready. Only the very first use waits; later, a lost one fails at once. */
  whenReady(): Promise<void> | undefined {
    if (this.#pipe !== undefined) return undefined
    if (this.#isSettled) return Promise.reject(new Error(CLOSED))
    return this.#firstReady.then(() => {
      if (this.#pipe === undefined) throw new Error(CLOSED)
    })
  }

  subscribe(channel: string, listener: (message: string) => void): void {
    this.#subscription = { channel, listener }
    if (this.#pipe !== undefined) this.#resubscribe()
  }

  /** Gives the connection up, and looks for the primary anew. */
  drop(): void {
    this.#pipe?.close()
    this.#lose()
  }

  close(): void {
    this.#isClosed = true
    this.drop()
    this.#isSettled = true
    this.#settle()
  }

  #send(name: string, parameters: readonly Argument[]): Promise<unknown> {
    if (this.#pipe === undefined) return Promise.reject(new Error(CLOSED))
    const sentMs = this.#network.scheduler.nowMs
    return new Promise((resolve, reject) => {
      const answered = (reply: unknown) => {
        if (this.#role === 'log') this.#place.answeredMs = Math.max(this.#place.answeredMs, sentMs)
        resolve(reply)
      }
      this.#outbox.push({ name, parameters, resolve: answered, reject })
      // What is asked in one turn goes in one piece.
      if (this.#outbox.length === 1) queueMicrotask(() => this.#flush())
    })
  }

  #flush(): void {
    const requests = this.#outbox
    this.#outbox = []
    if (this.#pipe !== undefined) this.#pipe.send(requests)
    else for (const { reject } of requests) reject(new Error(CLOSED))
  }

  #connect(): void {
    if (this.#isClosed) return
    const { scheduler } = this.#network
    const server = this.#network.primaryOf(this.#place)
    const life = this.#place.life
    const refuse = (ms: number) => scheduler.after(ms, () => this.#failed(), life)
    if (this.#place.cut === 'silent') refuse(CONNECT_TIMEOUT_MS)
    else if (this.#place.cut === 'reset' || server.state === 'down') refuse(this.#network.latencyMs())
    else if (server.state === 'frozen') refuse(SILENCE_MAX_MS)
    else scheduler.after(2 * this.#network.latencyMs(), () => this.#connected(server), life)
  }

  #connected(server: ModelServer): void {
    if (this.#isClosed) return
    if (server.state !== 'up' || this.#place.cut !== 'none') {
      this.#failed()
      return
    }
    const silenceMs = Math.max(SILENCE_MAX_MS, this.#role === 'writes' ? WRITE_TIMEOUT_MS : CHECK_TIMEOUT_MS)
    const hear = (channel: string, message: string) => {
      if (channel === this.#subscription?.channel) this.#subscription.listener(message)
    }
    const pipe = new Pipe(this.#network, this.#place, server, silenceMs, hear, () => {
      if (this.#pipe === pipe) this.#lose()
    })
    this.#pipe = pipe
    this.#attempts = 0
    const wasLost = this.#isSettled
    this.#isSettled = true
    this.#settle()
    if (this.#subscription !== undefined) this.#resubscribe()
    if (wasLost) this.#onRecovered()
  }

  #resubscribe(): void {
    this.#send('subscribe', []).catch(() => undefined)
  }

  #failed(): void {
    this.#isSettled = true
    this.#settle()
    this.#retry()
  }

  #lose(): void {
    if (this.#pipe === undefined) return
    this.#pipe = undefined
    this.#retry()
  }

  #retry(): void {
    if (this.#isClosed) return
    this.#attempts += 1
    const delayMs = Math.min(RETRY_DELAY_MIN_MS * 2 ** this.#attempts, RETRY_DELAY_MAX_MS)
    const jitter = 0.5 + this.#network.chance.next() / 2
    this.#network.scheduler.after(delayMs * jitter, () => this.#connect(), this.#place.life)
  }
}
