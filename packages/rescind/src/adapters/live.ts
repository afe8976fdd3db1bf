/**
 * Ends connections that live on: a WebSocket (`ws`), a Server-Sent Events response or a Socket.IO client is closed
 * when its token is revoked, on whatever node, or ends.
 *
 * ```ts
 * wss.on('connection', (socket, request) => void endWithToken(gate, authOf(request), socket))
 * ```
 */
import { RescindError } from '../errors.js'
import type { Auth, Gate } from '../gate.js'
import type { LiveEnd } from '../live-tokens.js'

export { authOf } from './request.js'
export { admitUpgrade } from './upgrade.js'

/** Of `ws`. */
export interface WebSocketLike {
  close(code?: number, reason?: string): void
  terminate(): void
  once(event: 'close', listener: () => void): unknown
  removeAllListeners(event: 'message'): unknown
  readonly readyState: number
}

/** Of `node:http`, and of the frameworks on it. */
export interface ResponseLike {
  end(): unknown
  destroy(): unknown
  once(event: 'close', listener: () => void): unknown
  on(event: 'error', listener: () => void): unknown
  readonly closed: boolean
}

/** Of Socket.IO, once it is connected: in its `connection` event, not in `use`. */
export interface SocketIoLike {
  disconnect(close?: boolean): unknown
  once(event: 'disconnect', listener: () => void): unknown
  readonly connected: boolean
}

/** How a connection is ended. */
export interface LiveOptions {
  /** The close code of a WebSocket: 4000 to 4999 (RFC 6455 §7.4.2), or 1008. Default 4401. */
  readonly code?: number | undefined
  /** A peer that does not close within so many milliseconds is cut off. Default 1,000, 0 to 60,000. */
  readonly graceMs?: number | undefined
  /** Told why, before the connection is closed: to send a last event. */
  readonly onEnd?: ((reason: 'revoked' | 'expired') => unknown) | undefined
}

type Connection = WebSocketLike | ResponseLike | SocketIoLike

/** RFC 6455 §7.4.2: for private use; the counterpart of 401. */
const UNAUTHORIZED = 4401
const GRACE_MAX_MS = 60_000
const WEBSOCKET_CLOSED = 3

/**
 * Closes the connection when the token that opened it is revoked or ends, and hears nothing more from it. Resolves
 * with why; with `undefined` when the connection closed by itself, or the manager did: then the connection is the
 * server's to close. Throws `ERR_OPTION_INVALID`; what cannot be watched is not left open.
 */
export async function endWithToken(
  gate: Gate,
  auth: Auth,
  connection: Connection,
  options: LiveOptions = {},
): Promise<LiveEnd> {
  const { code = UNAUTHORIZED, graceMs = 1000, onEnd } = options
  const over = new AbortController()
  if ('disconnect' in connection) connection.once('disconnect', () => over.abort())
  else connection.once('close', () => over.abort())
  if (isClosed(connection)) over.abort()
  let reason: LiveEnd
  try {
    checkOptions(code, graceMs)
    reason = await gate.onRevoked(auth, { signal: over.signal })
  } catch (error) {
    cutOff(connection)
    throw error
  }
  if (reason === undefined) return undefined
  // An application's own failure to say goodbye keeps no connection open.
  void (async () => onEnd?.(reason))().catch(() => undefined)
  close(connection, code, `token ${reason}`)
  if (over.signal.aborted) return reason
  const timer = setTimeout(() => cutOff(connection), graceMs)
  over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  return reason
}

function close(connection: Connection, code: number, reason: string): void {
  if ('disconnect' in connection) connection.disconnect(true)
  else if ('terminate' in connection) {
    // Until the peer has answered, its messages would still be handed out.
    connection.removeAllListeners('message')
    connection.close(code, reason)
  } else {
    // An application may write before it hears of the end: that must not end the process.
    connection.on('error', () => undefined)
    connection.end()
  }
}

function cutOff(connection: Connection): void {
  if ('disconnect' in connection) connection.disconnect(true)
  else void ('terminate' in connection ? connection.terminate() : connection.destroy())
}

function isClosed(connection: Connection): boolean {
  if ('connected' in connection) return !connection.connected
  return 'readyState' in connection ? connection.readyState === WEBSOCKET_CLOSED : connection.closed
}

function checkOptions(code: number, graceMs: number): void {
  if (!(code === 1008 || (code >= 4000 && code <= 4999 && Number.isInteger(code))))
    throw new RescindError('ERR_OPTION_INVALID', 'code must be 1008, or from 4000 to 4999')
  if (!(graceMs >= 0 && graceMs <= GRACE_MAX_MS))
    throw new RescindError('ERR_OPTION_INVALID', `graceMs must be from 0 to ${GRACE_MAX_MS}`)
}
