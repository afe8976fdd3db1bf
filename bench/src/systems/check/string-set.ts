/** A `Set` of jti in this process: what a node could hold by hand, without ends and without being fed. */
import { randomUUID } from 'node:crypto'
import type { Shared, System } from '../../system.js'
import { flat, revokedJti } from '../../tokens.js'
import { countOf } from './shared.js'

export async function stringSet(shared: Shared): Promise<System> {
  const count = countOf(shared, 'normal')
  const revoked = new Set<string>()
  for (let i = 0; i < count; i++) revoked.add(flat(revokedJti(i)))
  let ids: string[] = []
  return {
    prepare: (wanted) => (ids = Array.from({ length: wanted }, () => flat(randomUUID()))),
    runAll: (wanted) => {
      for (let i = 0; i < wanted; i++) {
        if (revoked.has(ids[i] as string)) throw new Error('the set has a token that was never revoked')
      }
    },
    close: async () => undefined,
  }
}
