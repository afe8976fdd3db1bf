/**
 * The limit: one random read and one comparison in an `Int32Array` that takes as much memory as our table.
 *
 * Independent reads overlap in the processor; dependent ones, where each place follows from what was read
 * before, do not. A check is between the two: it reads once, but has much to do before the next one.
 */
import type { Shared, System } from '../../system.js'
import { type Log, NAMESPACES, redisUrl } from './shared.js'
import { openManager } from './rescind.js'

export interface BareProbeOptions {
  readonly log: Log
  readonly isDependent?: boolean
}

/** No value of the array is this one. */
const ABSENT = -1

export function bareProbe({ log, isDependent = false }: BareProbeOptions) {
  return async (shared: Shared): Promise<System> => {
    const words = Math.floor((await bytesOfReplica(shared, log)) / Int32Array.BYTES_PER_ELEMENT)
    const table = new Int32Array(words)
    for (let i = 0; i < words; i++) table[i] = Math.floor(Math.random() * words)
    let places = new Int32Array(0)
    return {
      prepare: (count) => {
        places = Int32Array.from({ length: count }, () => Math.floor(Math.random() * words))
      },
      runAll: isDependent
        ? (count) => readChain(table, places, count)
        : (count) => read(table, places, count),
      close: async () => undefined,
    }
  }
}

function read(table: Int32Array, places: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    if (table[places[i] as number] === ABSENT) throw new Error('the table has what was never put there')
  }
}

function readChain(table: Int32Array, places: Int32Array, count: number): void {
  const words = table.length
  let value = 0
  for (let i = 0; i < count; i++) {
    const at = (places[i] as number) + value
    value = table[at < words ? at : at - words] as number
    if (value === ABSENT) throw new Error('the table has what was never put there')
  }
}

async function bytesOfReplica(shared: Shared, log: Log): Promise<number> {
  const manager = await openManager(redisUrl(shared), NAMESPACES[log])
  try {
    return manager.replica?.bytes ?? 0
  } finally {
    await manager.close()
  }
}
