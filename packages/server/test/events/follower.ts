/** A follower of `/events`, as a tool would be: it reads on from the last id when it loses its stream. */
import { setTimeout as sleep } from 'node:timers/promises'
import { EventReader, type ServerSentEvent } from 'rescind'

export interface FollowOptions {
  readonly url: string
  readonly key: string
  readonly after?: string | undefined
  readonly signal: AbortSignal
  /** Default: until aborted. */
  readonly reconnects?: boolean
  /** Between two tries, in milliseconds: 0.5 to 1.5 of it. Default 20. */
  readonly retryMs?: number
}

/** Every event that it is told, of all its streams, one after the other. */
export class EventsFollower {
  readonly events: ServerSentEvent[] = []
  /** Who was revoked, in the order in which it was told. */
  readonly subs: string[] = []
  /** The status of each answer. */
  readonly statuses: number[] = []
  readonly done: Promise<void>
  lastEventId: string | undefined

  constructor(options: FollowOptions) {
    this.lastEventId = options.after
    this.done = this.#run(options)
  }

  has(event: string): boolean {
    return this.events.some((one) => one.event === event)
  }

  async #run(options: FollowOptions): Promise<void> {
    const { signal, reconnects = true, retryMs = 20 } = options
    do {
      await this.#read(options).catch(() => undefined)
      if (!signal.aborted && reconnects) await sleep(retryMs * (0.5 + Math.random()))
    } while (!signal.aborted && reconnects)
  }

  async #read({ url, key, signal }: FollowOptions): Promise<void> {
    const response = await fetch(`${url}/events`, {
      signal,
      headers: {
        authorization: `Bearer ${key}`,
        ...(this.lastEventId === undefined ? {} : { 'last-event-id': this.lastEventId }),
      },
    })
    this.statuses.push(response.status)
    if (response.status !== 200) return
    const reader = new EventReader()
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      for (const event of reader.read(chunk)) {
        if (event.lastEventId !== '') this.lastEventId = event.lastEventId
        this.events.push(event)
        if (event.event === 'revoked')
          this.subs.push((JSON.parse(event.data) as { target: { sub: string } }).target.sub)
      }
    }
  }
}
