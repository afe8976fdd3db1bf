/** What a command may touch of the process it runs in, so that nothing below it reaches for the process itself. */
import type { Readable } from 'node:stream'
import type { Environment } from 'rescind'

export interface Terminal {
  readonly env: Environment
  /** The standard input, read to its end by who asks. */
  readonly input: Readable & {
    readonly isTTY?: boolean
    readonly setRawMode?: (isRaw: boolean) => unknown
  }
  /** A line to the standard output. */
  readonly print: (line: string) => void
  /** A line to the standard error. */
  readonly warn: (line: string) => void
  /** The standard error, for a progress bar. */
  readonly errors: NodeJS.WritableStream
  /** The standard output is a terminal that a person reads. */
  readonly isHuman: boolean
  /** The standard error is a terminal that a person reads. */
  readonly isErrorHuman: boolean
  /** The clock, in milliseconds since 1970. */
  readonly now: () => number
  /** Who works at this machine, for the audit trail: `alice@host`. */
  readonly user: () => string
  /** Runs this once when the process is told to stop; a second time ends the process. */
  readonly onStop: (stop: () => unknown) => void
  /** What the process shall end with, when nothing fails until then. */
  readonly exitWith: (code: number) => void
}

/** Aborted when the process is told to stop. */
export function stopSignal(terminal: Terminal): AbortSignal {
  const stopping = new AbortController()
  terminal.onStop(() => stopping.abort())
  return stopping.signal
}
