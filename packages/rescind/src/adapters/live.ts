/**
 * Ends connections that live on: a WebSocket (`ws`), a Server-Sent Events response or a Socket.IO client is closed
 * when its token is revoked, on whatever node, or ends.
 *
 * ```ts
 * wss.on('connection', (socket, request) => endWithToken(gate, authOf(request), socket))
 * ```
 */
import type { Auth, Gate } from '../gate.js'
import type { LiveEnd } from '../live-tokens.js'

/** Of `ws`. */
export interface WebSocketLike {
  close(code?: number, reason?: string): void
  terminate(): void
  once(event: 'close', listener: () => void): unknown
  readonly readyState: number
}

/** Of `node:http`, and of the frameworks on it. */
export interface ResponseLike {
  end(): unknown
  destroy(): unknown
  once(event: 'close', listener: () => void): unknown
  readonly closed: boolean
}

/** Of Socket.IO. */
export interface SocketIoLike {
  disconnect(close?: boolean): unknown
  once(event: 'disconnect', listener: () => void): unknown
  readonly connected: boolean
}

export interface LiveOptions {
  /** The close code of a WebSocket: 4000 to 4999 (RFC 6455 §7.4.2), or 1008. Default 4401. */
  readonly code?: number | undefined
  /** A peer that does not close within so many milliseconds is cut off. Default 1,000. */
  readonly graceMs?: number | undefined
  /** Told why, before the connection is closed: to send a last event. */
  readonly onEnd?: ((reason: 'revoked' | 'expired') => void) | undefined
}

/** RFC 6455 §7.4.2: for private use; the counterpart of 401. */
const UNAUTHORIZED = 4401
const WEBSOCKET_CLOSED = 3

/**
 * Closes the connection when the token that opened it is revoked or ends. Lets go of it when it closes by itself.
 * Resolves when it is over, with why: `undefined` when the connection was closed by others.
 */
export async function endWithToken(
  gate: Gate,
  auth: Auth,
  connection: WebSocketLike | ResponseLike | SocketIoLike,
  options: LiveOptions = {},
): Promise<LiveEnd> {
  const { code = UNAUTHORIZED, graceMs = 1000 } = options
  const over = new AbortController()
  const isSocketIo = 'disconnect' in connection
  if (isSocketIo) connection.once('disconnect', () => over.abort())
  else connection.once('close', () => over.abort())
  if (isClosed(connection)) over.abort()
  const reason = await gate.onRevoked(auth, { signal: over.signal })
  if (reason === undefined) return undefined
  try {
    options.onEnd?.(reason)
  } catch {
    // An application's own failure to say goodbye keeps no connection open.
  }
  if (isSocketIo) connection.disconnect(true)
  else {
    if ('terminate' in connection) connection.close(code, `token ${reason}`)
    else connection.end()
    cutOff(connection, graceMs, over.signal)
  }
  return reason
}

/** A peer that does not answer the end keeps nothing open. */
function cutOff(connection: WebSocketLike | ResponseLike, graceMs: number, over: AbortSignal): void {
  if (over.aborted) return
  const timer = setTimeout(
    () => ('terminate' in connection ? connection.terminate() : connection.destroy()),
    graceMs,
  )
  over.addEventListener('abort', () => clearTimeout(timer), { once: true })
}

function isClosed(connection: WebSocketLike | ResponseLike | SocketIoLike): boolean {
  if ('connected' in connection) return !connection.connected
  return 'readyState' in connection ? connection.readyState === WEBSOCKET_CLOSED : connection.closed
}
