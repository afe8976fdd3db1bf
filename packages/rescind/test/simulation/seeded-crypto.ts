/**
 * What the library draws from `node:crypto` (epochs, names of nodes, the secret of its tables) made to depend on the
 * seed. Used with `vi.mock('node:crypto', …)`: nothing of it can be injected.
 */
import type * as Crypto from 'node:crypto'
import { Chance } from './chance.js'

/** What is drawn when a module is loaded is the same in every process. */
const state = { chance: new Chance(0) }

export function seedCrypto(chance: Chance): void {
  state.chance = chance
}

export function seededCrypto(original: typeof Crypto): typeof Crypto {
  return {
    ...original,
    randomBytes: ((size: number) => state.chance.bytes(size)) as typeof Crypto.randomBytes,
    randomUUID: () => {
      const hex = state.chance.bytes(16).toString('hex')
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
    },
  }
}
