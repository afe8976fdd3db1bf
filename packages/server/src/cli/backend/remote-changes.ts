/** The changes of a service, from `/events`: over every break of the connection, in order and without a gap. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Change, EventReader, RescindError, type Revocation } from 'rescind'
import { isPassing } from '../retrying.js'
import type { WatchOptions } from './backend.js'
import { noService, parsed, type RemoteCall } from './remote-call.js'

const EVENT_STREAM = 'text/event-stream'
const RETRY_MS = 1000
/** A stream that says nothing for so long is dead: the service gives signs of life. */
const SILENCE_MAX_MS = 60_000

export async function* remoteChanges(call: RemoteCall, options: WatchOptions): AsyncGenerator<Change, void> {
  const { signal, onHeard } = options
  let at = options.after
  while (!signal.aborted) {
    try {
      for await (const { event, data, lastEventId } of eventsOf(call, at, options)) {
        if (event === 'reset')
          throw new RescindError('ERR_LOG_CHANGED', 'the log does not hold this position (any more)')
        if (lastEventId !== '') at = lastEventId
        const change = changeIn(event, lastEventId, data)
        if (change !== undefined) yield change
      }
    } catch (error) {
      if (signal.aborted) return
      if (!isPassing(error)) throw error
      onHeard(error)
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined)
  }
}

async function* eventsOf(call: RemoteCall, after: string | undefined, { signal, onHeard }: WatchOptions) {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS)
  try {
    const response = await call.open('/events', {
      headers: { accept: EVENT_STREAM, ...(after === undefined ? {} : { 'last-event-id': after }) },
      signal: AbortSignal.any([signal, silence.signal]),
    })
    if (response.headers.get('content-type')?.startsWith(EVENT_STREAM) !== true) {
      await response.body?.cancel()
      throw noService()
    }
    onHeard(undefined)
    const reader = new EventReader()
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS)
      yield* reader.read(chunk)
    }
  } catch (cause) {
    if (cause instanceof RescindError) throw cause
    throw new RescindError('ERR_STORE_UNAVAILABLE', 'the stream of changes broke off', { cause })
  } finally {
    clearTimeout(timer)
  }
}

/** Undefined for signs of life, and for what a newer service may tell. */
function changeIn(event: string, position: string, data: string): Change | undefined {
  if (event === 'revoked') return { type: 'revoked', position, revocation: parsed<Revocation>(data) }
  if (event !== 'restored') return undefined
  return {
    type: 'restored',
    position,
    ...parsed<Omit<Change & { type: 'restored' }, 'type' | 'position'>>(data),
  }
}
