/** A bar on the standard error, while a person looks at it; nothing otherwise. */
import { Presets, SingleBar } from 'cli-progress'
import type { Output } from './output.js'
import type { Terminal } from './terminal.js'

export interface Progress {
  /** `done` of `total`, with `lines` beside it. */
  update(done: number, lines: number): void
  stop(): void
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined }

/** `total`: in any unit; undefined where it is not known, then only lines are counted. */
export function showProgress(
  terminal: Terminal,
  output: Output,
  name: string,
  total: number | undefined,
): Progress {
  if (!terminal.isErrorHuman || output.isJson) return SILENT
  const format =
    total === undefined
      ? `${name} {lines} lines`
      : `${name} {bar} {percentage} %  {lines} lines  {eta_formatted} left`
  const bar = new SingleBar(
    { format, stream: terminal.errors, hideCursor: true, clearOnComplete: true, etaBuffer: 50 },
    Presets.shades_classic,
  )
  bar.start(total ?? 1, 0, { lines: 0 })
  return {
    update: (done, lines) => bar.update(total === undefined ? 0 : done, { lines }),
    stop: () => bar.stop(),
  }
}
