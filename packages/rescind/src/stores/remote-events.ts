/**
 * Reads a stream of server-sent events (WHATWG HTML, 9.2.6 "Interpreting an event stream") as it comes, cut anywhere,
 * with any of the three line ends. Lines and events have a bound; what is longer throws.
 */
import { malformed } from './remote-fields.js'

/** One event of such a stream. */
export interface ServerSentEvent {
  /** `message` where the stream gives none. */
  readonly event: string
  readonly data: string
  /** The last id that the stream gave: where to begin again. */
  readonly lastEventId: string
}

/** In UTF-16 units, also for the data of one event. */
const LINE_LENGTH_MAX = 1_048_576

/** Reads server-sent events out of chunks of bytes, within bounds. */
export class EventReader {
  readonly #decoder = new TextDecoder('utf-8')
  #rest = ''
  /** The chunk before ended with CR: an LF that follows ends no other line. */
  #isAfterCr = false
  #event = ''
  #data: string[] = []
  #dataLength = 0
  #lastEventId = ''

  /** The events that this chunk completes. Throws `ERR_OPTION_INVALID` for one that is too long. */
  read(chunk: Uint8Array): readonly ServerSentEvent[] {
    let text = this.#decoder.decode(chunk, { stream: true })
    if (text === '') return []
    if (this.#isAfterCr && text.startsWith('\n')) text = text.slice(1)
    this.#isAfterCr = text.endsWith('\r')
    const lines = (this.#rest + text).split(/\r\n|\r|\n/)
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > LINE_LENGTH_MAX) throw malformed('an event')
    const events: ServerSentEvent[] = []
    for (const line of lines) {
      const event = this.#take(line)
      if (event !== undefined) events.push(event)
    }
    return events
  }

  #take(line: string): ServerSentEvent | undefined {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    // A line that begins with a colon is a comment.
    if (colon === 0) return undefined
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') this.#event = value
    else if (field === 'id' && !value.includes('\0')) this.#lastEventId = value
    else if (field === 'data') {
      this.#dataLength += value.length + 1
      if (this.#dataLength > LINE_LENGTH_MAX) throw malformed('an event')
      this.#data.push(value)
    }
    return undefined
  }

  #dispatch(): ServerSentEvent | undefined {
    const [event, data] = [this.#event, this.#data]
    this.#event = ''
    this.#data = []
    this.#dataLength = 0
    if (data.length === 0) return undefined
    return {
      event: event === '' ? 'message' : event,
      data: data.join('\n'),
      lastEventId: this.#lastEventId,
    }
  }
}
