/**
 * How long the body of a request may take. Node.js knows one deadline for all requests; here it can be moved by who
 * reads a long upload, for as long as something comes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

const deadlines = new WeakMap<IncomingMessage, NodeJS.Timeout>()

interface RequestSource {
  on(event: 'request', listener: (incoming: IncomingMessage, outgoing: ServerResponse) => void): unknown
}

/** Refuses (408), and ends, what has not come whole within `timeoutMs`. Set `requestTimeout` of the server to 0. */
export function limitBodies(server: RequestSource, timeoutMs: number): void {
  server.on('request', (incoming, outgoing) => {
    const { headers } = incoming
    if (headers['transfer-encoding'] === undefined && !(Number(headers['content-length']) > 0)) return
    const timer = setTimeout(() => {
      if (!incoming.complete) refuse(incoming, outgoing)
    }, timeoutMs)
    deadlines.set(incoming, timer)
    incoming.once('close', () => clearTimeout(timer))
  })
}

/** Something has come: the deadline begins anew. */
export function extendDeadline(incoming: IncomingMessage): void {
  deadlines.get(incoming)?.refresh()
}

function refuse(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { socket } = incoming
  // As Node.js itself says it.
  if (!outgoing.headersSent) socket.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
  socket.destroySoon()
}
