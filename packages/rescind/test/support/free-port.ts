/**
 * A free port on loopback, for a server that may be killed and started again on it.
 *
 * It is drawn below the ports that the system hands out by itself (32768 and up on Linux, 49152 and up
 * elsewhere), and not by binding port 0: while a server on such a port is down, a client that keeps
 * reconnecting can be given that very port as its own, be connected to itself, and keep the server out.
 */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const portMin = 12_000
const portMax = 20_000
const drawsMax = 200
/** Not even after their server is gone: it may be about to come back. */
const handedOut = new Set<number>()

/** `offset`: a second port, this far above the first, that must be free as well. The sum stays below 32768. */
export async function freePort({ offset = 0 }: { offset?: number } = {}): Promise<number> {
  for (let draw = 0; draw < drawsMax; draw++) {
    const port = randomInt(portMin, portMax)
    if (handedOut.has(port)) continue
    handedOut.add(port)
    if ((await isFree(port)) && (offset === 0 || (await isFree(port + offset)))) return port
  }
  throw new Error(`None of ${drawsMax} ports drawn from ${portMin} to ${portMax} was free`)
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
