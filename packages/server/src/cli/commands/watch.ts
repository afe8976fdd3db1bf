/** `rescind watch`: every change as it happens, until it is stopped. */
import type { Command } from 'commander'
import type { Change, RescindError } from 'rescind'
import { addBackendFlags } from '../backend/flags.js'
import { type Output, printable } from '../output.js'
import { targetText } from '../revocation-text.js'
import { onBackend } from '../run.js'
import { stopSignal, type Terminal } from '../terminal.js'
import { isoOf, timeOf } from '../time.js'

interface Flags {
  readonly after?: string
}

export function addWatch(program: Command, terminal: Terminal): void {
  const command = program
    .command('watch')
    .description('every change as it happens; with --json one a line')
    .option('--after <position>', 'begin after the change of this position (default: now)')
  addBackendFlags(command).action(
    onBackend<Flags>(terminal, async ({ backend, output, flags }) => {
      const signal = stopSignal(terminal)
      output.note(`Watching ${backend.place}; Ctrl-C ends it.`)
      let last: string | undefined
      let isHeard = true
      const onHeard = (failure: RescindError | undefined) => {
        if (isHeard === (failure === undefined)) return
        isHeard = failure === undefined
        output.warning(
          failure === undefined
            ? 'It is heard again.'
            : `Nothing is heard, and no change will be missed: ${printable(failure.message)}`,
        )
      }
      for await (const change of backend.watch({ after: flags.after, signal, onHeard })) {
        last = change.position
        output.line(output.isJson ? JSON.stringify(change) : lineOf(output, change, terminal.now() / 1000))
      }
      if (last !== undefined) output.note(`Ended. To go on from here: --after ${last}`)
    }),
  )
}

function lineOf({ colors }: Output, change: Change, now: number): string {
  const at = colors.dim(isoOf(Math.floor(now)))
  if (change.type === 'restored')
    return `${at} ${colors.green('restored')} ${change.target === undefined ? change.id : targetText(change.target)}`
  const { target, expiresAt, reason, actor } = change.revocation
  const details = [
    `until ${timeOf(expiresAt, now)}`,
    ...(actor === undefined ? [] : [`by ${printable(actor)}`]),
    ...(reason === undefined ? [] : [printable(reason)]),
  ]
  return `${at} ${colors.red('revoked')}  ${targetText(target)} ${colors.dim(details.join('; '))}`
}
