/** What most commands do alike: read the flags, open the backend, say the answer, close. */
import type { Command } from 'commander'
import type { Backend } from './backend/backend.js'
import type { BackendFlags } from './backend/flags.js'
import { openBackend, type OpenOptions } from './backend/open.js'
import { Output, type OutputFlags } from './output.js'
import type { Terminal } from './terminal.js'

const ALIVE_PERIOD_MS = 60_000

export interface Work<Flags> {
  readonly backend: Backend
  readonly output: Output
  readonly flags: Flags & BackendFlags & OutputFlags
  readonly terminal: Terminal
}

/** An action of commander: `rescind NAME [arguments] [flags]`, with a backend that is closed at the end. */
export function onBackend<Flags extends object>(
  terminal: Terminal,
  work: (context: Work<Flags>, ...args: readonly string[]) => Promise<void>,
  optionsOf: (flags: Flags) => Omit<OpenOptions, 'warn'> = () => ({}),
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command
    const flags = command.optsWithGlobals<Flags & BackendFlags & OutputFlags>()
    const output = new Output(terminal, flags)
    const warn = (message: string) => output.warning(message)
    const backend = await openBackend(flags, terminal, { ...optionsOf(flags), warn })
    if (backend.caution !== undefined) output.note(backend.caution)
    // The timers of the library keep no process alive, and the embedded store has no socket that would.
    const alive = setInterval(() => undefined, ALIVE_PERIOD_MS)
    try {
      await work({ backend, output, flags, terminal }, ...(given.slice(0, -2) as string[]))
    } finally {
      clearInterval(alive)
      await backend.close()
    }
  }
}
