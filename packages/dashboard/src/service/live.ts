/**
 * Changes as they happen, by server-sent events. The moment the connection is gone, the page says that it is not live;
 * when it is back, everything that is shown is read again.
 */
import { signal } from '@preact/signals'
import { loadSession } from './session.js'

/** `stale`: the service answers, and does not hear from its store. */
export type LiveState = 'connecting' | 'live' | 'stale' | 'lost'

export const liveState = signal<LiveState>('connecting')
/** Grows when what is shown may be old: after changes, and when a lost connection is back. */
export const tick = signal(0)

/** The service gives a sign of life every 5 seconds, once it has told what was missed. */
const SILENCE_MAX_MS = 12_000
/** A service that has not heard from its store for so long does not know what others revoke. */
const STALENESS_MAX_MS = 10_000
const LOOK_MS = 1000
/** However many changes come in, the page looks again no more often. */
const TICK_MS = 1500
const RETRY_MS = 2000
const EVENTS = ['revoked', 'restored', 'reset', 'heartbeat'] as const

/** Follows the changes until the returned function is called. */
export function followChanges(): () => void {
  let source: EventSource | undefined
  let heardAt = Date.now()
  let isTicking = false
  let isOver = false
  let retry: ReturnType<typeof setTimeout> | undefined

  const refresh = () => {
    if (isTicking) return
    isTicking = true
    setTimeout(() => {
      isTicking = false
      tick.value++
    }, TICK_MS)
  }
  const heard = (state: 'live' | 'stale' = 'live') => {
    heardAt = Date.now()
    const isBack = liveState.value === 'lost' || liveState.value === 'stale'
    liveState.value = state
    if (isBack && state === 'live') tick.value++
  }
  const lost = () => {
    liveState.value = 'lost'
  }
  const open = () => {
    clearTimeout(retry)
    retry = undefined
    source?.close()
    if (isOver) return
    heardAt = Date.now()
    source = new EventSource('/events')
    source.onopen = () => heard()
    source.onerror = () => {
      lost()
      if (source?.readyState !== EventSource.CLOSED) return
      // A refusal: the session may have ended. The browser does not try again by itself.
      clearTimeout(retry)
      retry = setTimeout(() => {
        loadSession().then(open, open)
      }, RETRY_MS)
    }
    for (const event of EVENTS) {
      source.addEventListener(event, ({ data }: MessageEvent<string>) => {
        heard(event === 'heartbeat' && isStale(data) ? 'stale' : 'live')
        if (event !== 'heartbeat') refresh()
      })
    }
  }
  const looking = setInterval(() => {
    if (Date.now() - heardAt < SILENCE_MAX_MS || retry !== undefined) return
    lost()
    open()
  }, LOOK_MS)
  addEventListener('offline', lost)
  addEventListener('online', open)
  open()
  return () => {
    isOver = true
    clearInterval(looking)
    clearTimeout(retry)
    removeEventListener('offline', lost)
    removeEventListener('online', open)
    source?.close()
    liveState.value = 'connecting'
  }
}

/** `stalenessMs` is null where the service never had all of the log. */
function isStale(heartbeat: string): boolean {
  const { stalenessMs } = JSON.parse(heartbeat) as { stalenessMs: number | null }
  return stalenessMs === null || stalenessMs > STALENESS_MAX_MS
}
