/**
 * The open streams of server-sent events: so many at the most, each with a bounded buffer, a sign of life every few
 * seconds, and an end when the service stops, when the client goes away or is let in no more.
 */
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import { remoteWire } from 'rescind'
import { credentialsOf } from '../api/client-guard.js'
import { problem } from '../problem.js'
import { type Client, hasRole } from '../clients/client.js'
import type { Credentials } from '../clients/credentials.js'
import { keyIdOf, keyIdOfHash } from '../clients/secret.js'
import type { Parts } from '../parts.js'
import { retryText } from './event-text.js'

/** What may wait for one client. Of what all are told there is one copy. */
const WAITING_BYTES_MAX = 1024 * 1024
/** Who has read nothing for so long, of something that waits, has gone without a word. In milliseconds. */
const STUCK_MAX_MS = 30_000
/** How often the keys of open streams are looked at again. */
const LOOK_MS = 2000
/** A stream comes back after 0.5 to 1.5 of this. */
const RETRY_MS = 1000
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // nginx and others would gather what is small.
  'x-accel-buffering': 'no',
}

export interface StreamOptions {
  readonly heartbeat: () => Uint8Array
  readonly onEnd: () => void
}

export class Stream {
  readonly response: Response
  readonly #cut: () => void
  readonly #onEnd: () => void
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #waiters: (() => void)[] = []
  #readAt = performance.now()

  /** `cut`: breaks the connection, with what waits for it. */
  constructor({ cut, onEnd }: { cut: () => void; onEnd: () => void }) {
    this.#cut = cut
    this.#onEnd = onEnd
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          this.#readAt = performance.now()
          this.#wake()
        },
        cancel: () => this.#finish(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES_MAX }),
    )
    this.response = new Response(body, { headers: HEADERS })
  }

  get isEnded(): boolean {
    return this.#controller === undefined
  }

  /** A client that does not read loses its connection: it comes back and reads on from what it has read. */
  write(bytes: Uint8Array): void {
    if (this.#controller === undefined || bytes.length === 0) return
    const waiting = this.#waitingBytes
    if (waiting > 0 && waiting + bytes.length > WAITING_BYTES_MAX) return this.cut()
    this.#controller.enqueue(bytes)
  }

  /** Something waits for the client, and it reads nothing of it. */
  get isStuck(): boolean {
    return this.#waitingBytes > 0 && performance.now() - this.#readAt > STUCK_MAX_MS
  }

  /** Resolves when little waits for the client, or the stream has ended. */
  async drained(): Promise<void> {
    while (this.#waitingBytes > WAITING_BYTES_MAX / 2) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    }
  }

  /** After what waits. Idempotent. */
  end(): void {
    this.#controller?.close()
    this.#finish()
  }

  cut(): void {
    this.#finish()
    this.#cut()
  }

  get #waitingBytes(): number {
    const controller = this.#controller
    return controller === undefined ? 0 : WAITING_BYTES_MAX - (controller.desiredSize ?? 0)
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter()
  }

  #finish(): void {
    if (this.#controller === undefined) return
    this.#controller = undefined
    this.#wake()
    this.#onEnd()
  }
}

interface Open {
  readonly stream: Stream
  /** Whom the key was of when it was opened. */
  readonly clientId: string
  readonly credentials: Credentials
  readonly heartbeat: () => Uint8Array
}

export class Streams {
  readonly #parts: Parts
  readonly #open = new Set<Open>()
  #timers: NodeJS.Timeout[] = []

  constructor(parts: Parts) {
    this.#parts = parts
    parts.stopping.addEventListener('abort', () => this.#endAll(), { once: true })
  }

  /** A stream for who asks; or the answer that there are too many, or to who asks for its headers alone. */
  open(c: Context, { heartbeat, onEnd }: StreamOptions): Stream | Response {
    const { config, metrics, stopping } = this.#parts
    // Nobody would ever read it, nor end it.
    if (c.req.method === 'HEAD') return c.body(null, 200, HEADERS)
    if (stopping.aborted) return unavailable(c, 'The service is about to stop')
    if (this.#open.size >= config.limits.eventsFollowersMax)
      return unavailable(c, 'As many follow already as may: limits.eventsFollowersMax')
    const { outgoing } = c.env as HttpBindings
    const stream = new Stream({
      cut: () => outgoing.destroy(),
      onEnd: () => {
        this.#open.delete(open)
        metrics.followers.set(this.#open.size)
        if (this.#open.size === 0) this.#rest()
        onEnd()
      },
    })
    const { id: clientId } = c.get('client') as Client
    const open = { stream, clientId, credentials: credentialsOf(c, this.#parts), heartbeat }
    this.#open.add(open)
    metrics.followers.set(this.#open.size)
    if (this.#timers.length === 0) this.#begin()
    stream.write(Buffer.from(retryText(RETRY_MS * (0.5 + Math.random()))))
    return stream
  }

  #begin(): void {
    this.#timers = [
      setInterval(() => this.#beat(), remoteWire.HEARTBEAT_MS).unref(),
      setInterval(() => void this.#look(), LOOK_MS).unref(),
    ]
  }

  #rest(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer)
  }

  #beat(): void {
    for (const { stream, heartbeat } of [...this.#open]) {
      if (stream.isStuck) stream.cut()
      else stream.write(heartbeat())
    }
  }

  /** Each key once, however many streams it has opened. Those that a session has opened end with it. */
  async #look(): Promise<void> {
    const byKey = new Map<string, Open[]>()
    for (const open of this.#open) {
      const key = open.credentials.authorization.join('\n')
      const others = byKey.get(key)
      if (others === undefined) byKey.set(key, [open])
      else others.push(open)
    }
    for (const [key, opened] of byKey) {
      const [first] = opened
      if (key === '' || first === undefined || (await this.#isLetIn(first))) continue
      for (const { stream } of opened) stream.end()
    }
  }

  /** While it cannot be told, they go on. */
  async #isLetIn(open: Open): Promise<boolean> {
    try {
      const found = await this.#parts.authenticator.authenticate(open.credentials)
      if (found.status === 'limited') return await this.#isStanding(open)
      return found.status === 'client' && hasRole(found.client, 'read')
    } catch {
      return true
    }
  }

  /**
   * Do client and key still stand? Where too much was asked, or guessed from the same address, no secret is looked at: the
   * one that opened the stream was right, and is that of its key for as long as there is one of its id.
   */
  async #isStanding({ clientId, credentials }: Open): Promise<boolean> {
    const { clients, now } = this.#parts
    const client = await clients.find(clientId)
    if (client === undefined || client.isDisabled || !hasRole(client, 'read')) return false
    const keyId = keyIdIn(credentials.authorization[0] ?? '')
    return client.keys.some(
      ({ hash, expiresAt = Infinity }) => keyIdOfHash(hash) === keyId && now() / 1000 < expiresAt,
    )
  }

  #endAll(): void {
    for (const { stream } of [...this.#open]) stream.end()
  }
}

/** The id of the key in an `Authorization` field that was accepted before; undefined for another secret. */
function keyIdIn(field: string): string | undefined {
  const [, scheme = '', value = ''] = /^(\S+) +(\S*)/.exec(field) ?? []
  const text = scheme.toLowerCase() === 'basic' ? Buffer.from(value, 'base64').toString() : value
  return keyIdOf(text.slice(text.lastIndexOf(':') + 1))
}

function unavailable(c: Context, detail: string): Response {
  return problem(c, 503, 'followers_exceeded', detail, { headers: { 'retry-after': '5' } })
}
