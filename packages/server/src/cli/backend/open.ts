/** The backend that flags and environment ask for. What it needs is loaded only then: help and completion stay quick. */
import type { Terminal } from '../terminal.js'
import type { Backend } from './backend.js'
import { type BackendFlags, placeOf } from './flags.js'

export interface OpenOptions {
  /** Keeps the revocations in memory, where a store is opened here. Default false. */
  readonly replica?: boolean
  /** Told what should be known and is no failure. */
  readonly warn: (message: string) => void
}

export async function openBackend(
  flags: BackendFlags,
  terminal: Terminal,
  options: OpenOptions,
): Promise<Backend> {
  const place = placeOf(flags, terminal.env)
  if (place.kind === 'remote') {
    const { RemoteBackend } = await import('./remote.js')
    return new RemoteBackend(place)
  }
  const { LocalBackend } = await import('./local.js')
  return new LocalBackend({ place, now: terminal.now, user: terminal.user, ...options })
}
