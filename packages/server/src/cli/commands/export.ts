/** `rescind export`: every revocation that stands, as NDJSON that `import` reads. */
import type { Command } from 'commander'
import { addBackendFlags } from '../backend/flags.js'
import { exitCode } from '../exit-code.js'
import { pagesOf } from '../pages.js'
import { showProgress } from '../progress.js'
import { onBackend } from '../run.js'
import { otherState, StateFile } from '../state-file.js'
import { stopSignal, type Terminal } from '../terminal.js'

interface Flags {
  readonly cursor?: string
  readonly state?: string
}

export function addExport(program: Command, terminal: Terminal): void {
  const command = program
    .command('export')
    .description('every revocation that stands, as NDJSON, newest first: rescind export > revocations.ndjson')
    .option('--cursor <cursor>', 'go on where an export was stopped')
    .option('--state <file>', 'keep there how far it is, and go on from there')
  addBackendFlags(command).action(
    onBackend<Flags>(terminal, async ({ backend, output, flags }) => {
      const signal = stopSignal(terminal)
      const state = flags.state === undefined ? undefined : new StateFile(flags.state)
      const before = state?.read()
      if (before !== undefined && before.of !== STATE_OF) throw otherState()
      if (before?.isDone === true) {
        output.note('It was exported to its end already; remove the file of --state to begin anew.')
        return
      }
      let lines = before?.lines ?? 0
      let cursor = flags.cursor ?? before?.cursor
      const bar = showProgress(terminal, output, 'Exporting', undefined)
      try {
        for await (const page of pagesOf(backend, { cursor })) {
          for (const revocation of page.revocations) output.line(JSON.stringify(revocation))
          lines += page.revocations.length
          cursor = page.cursor
          state?.write({ of: STATE_OF, lines, cursor, isDone: cursor === undefined })
          bar.update(0, lines)
          if (signal.aborted) break
        }
      } finally {
        bar.stop()
        if (cursor !== undefined)
          output.note(
            `Stopped after ${lines} revocations. Go on with ${flags.state === undefined ? `--cursor ${cursor}` : 'the same command'}.`,
          )
      }
      if (cursor === undefined) output.note(`${lines} revocations.`)
      else terminal.exitWith(exitCode('interrupted'))
    }),
  )
}

const STATE_OF = 'export'
