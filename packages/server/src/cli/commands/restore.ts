/** `rescind restore`: voids what was revoked for exactly this target. */
import type { Command } from 'commander'
import { addBackendFlags } from '../backend/flags.js'
import { ACTOR_HELP } from '../options.js'
import { targetText } from '../revocation-text.js'
import { onBackend } from '../run.js'
import { addSubjectFlags, readSubject, type SubjectFlags } from '../subject.js'
import type { Terminal } from '../terminal.js'

interface Flags extends SubjectFlags {
  readonly reason?: string
  readonly actor?: string
}

export function addRestore(program: Command, terminal: Terminal): void {
  const command = program
    .command('restore')
    .description('void what was revoked for exactly this target; another that covers the token stays')
  addSubjectFlags(command, { everything: 'what `revoke --everything` did' })
    .option('--reason <text>', 'why, for the audit trail')
    .option('--actor <name>', ACTOR_HELP)
  addBackendFlags(command).action(
    onBackend<Flags>(terminal, async ({ backend, output, flags }) => {
      const subject = await readSubject(flags, terminal)
      const { reason, actor = terminal.user() } = flags
      const restored = await backend.restore(subject, { reason, actor })
      const name = 'token' in subject ? 'the token' : targetText('target' in subject ? subject.target : {})
      output.answer({ restored }, () => [
        restored
          ? `${output.colors.green('Restored')} ${output.colors.bold(name)}`
          : `Nothing stood under exactly this target (${name}). \`rescind list\` shows what does.`,
      ])
    }),
  )
}
