/**
 * The gate before a WebSocket: an upgrade has no response object, so a denial is written to the socket itself.
 * Not an entry of the package; `rescind/live` exports it.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Denial } from '../denial.js'
import type { Auth, Gate, Policy } from '../gate.js'
import { requestHead } from './node.js'
import { remember } from './request.js'

/**
 * Checks the request of an upgrade: gives the auth, which `authOf(request)` then knows too, or answers the denial,
 * closes the socket and gives nothing. Browsers cannot send an `Authorization` field here: for them a route opts in
 * to `tokenFrom: ['header', 'query']`.
 */
export async function admitUpgrade(
  gate: Gate,
  request: IncomingMessage,
  socket: Duplex,
  policy?: Policy,
): Promise<Auth | undefined> {
  // Nobody else listens on the socket of an upgrade: a client that leaves now would end the process.
  socket.on('error', () => undefined)
  const verdict = await gate.check(requestHead(request), policy)
  if (!verdict.allowed) {
    refuse(socket, verdict.denial)
    return undefined
  }
  remember(request, verdict.auth)
  return verdict.auth
}

function refuse(socket: Duplex, { status, headers, body }: Denial): void {
  const text = JSON.stringify(body)
  const fields = { ...headers, connection: 'close', 'content-length': Buffer.byteLength(text) }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`
  socket.end(head + text, () => socket.destroy())
}
