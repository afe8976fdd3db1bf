/** `rescind revoke`: a token, every token that carries some claims, or everything. */
import { type Command, Option } from 'commander'
import type { AckLevel } from 'rescind'
import { addBackendFlags } from '../backend/flags.js'
import type { RevokeWish } from '../backend/backend.js'
import { usage } from '../failure.js'
import { readLine } from '../input.js'
import { previewLines, receiptLines } from '../revocation-text.js'
import { onBackend } from '../run.js'
import { addSubjectFlags, readSubject, type SubjectFlags } from '../subject.js'
import { ACTOR_HELP } from '../options.js'
import type { Terminal } from '../terminal.js'
import { parseDuration, parseTime } from '../time.js'

interface Flags extends SubjectFlags {
  readonly reason?: string
  readonly actor?: string
  readonly until?: string
  readonly lifetime?: string
  readonly issuedBefore?: string
  readonly ack?: AckLevel
  readonly everywhere?: true
  readonly timeout?: string
  readonly dryRun?: true
  readonly yes?: true
}

/** As long as a service waits. */
const TIMEOUT_MAX_SECONDS = 60
const CONFIRMING_WORD = 'everything'

export function addRevoke(program: Command, terminal: Terminal): void {
  const command = program
    .command('revoke')
    .description('revoke a token, all tokens with some claims, or everything')
  addSubjectFlags(command, { everything: 'every token of everybody; asks for a word, or --yes' })
    .option('--reason <text>', 'why, for people; never put a token into it')
    .option('--actor <name>', ACTOR_HELP)
    .addOption(new Option('--until <time>', 'the tokens are dead until then').conflicts('lifetime'))
    .option(
      '--lifetime <duration>',
      'the same as a duration, such as 30m or 12h (default: as long as such a token lives)',
    )
    .option(
      '--issued-before <time>',
      'tokens issued until then; any: whenever (default: now; one token: any)',
    )
    .addOption(
      new Option('--ack <level>', 'how sure it must be: accepted, replicated, everywhere').choices([
        'accepted',
        'replicated',
        'everywhere',
      ]),
    )
    .addOption(
      new Option('--everywhere', 'the same as --ack everywhere: every live node has applied it').conflicts(
        'ack',
      ),
    )
    .option(
      '--timeout <duration>',
      `how long to wait for the nodes, at most ${TIMEOUT_MAX_SECONDS}s (default: 5s)`,
    )
    .option('--dry-run', 'say what it would do, and do nothing')
    .option('--yes', 'do not ask for the word')
  addBackendFlags(command).action(
    onBackend<Flags>(terminal, async ({ backend, output, flags }) => {
      const now = terminal.now() / 1000
      const wish = wishOf(flags, terminal, now)
      const subject = await readSubject(flags, terminal)
      if (flags.dryRun === true) {
        const preview = await backend.preview(subject, wish)
        output.answer({ dryRun: true, ...preview }, () => previewLines(output, preview, now))
        return
      }
      if ('everything' in subject && flags.yes !== true) await confirm(terminal, backend.place)
      const receipt = await backend.revoke(subject, wish)
      output.answer(receipt, () => receiptLines(output, receipt, now))
    }),
  )
}

function wishOf(flags: Flags, terminal: Terminal, now: number): RevokeWish {
  const { reason, until, lifetime, issuedBefore, timeout } = flags
  return {
    reason,
    actor: flags.actor ?? terminal.user(),
    expiresAt:
      until !== undefined
        ? parseTime('--until', until, now)
        : lifetime === undefined
          ? undefined
          : Math.ceil(now) + parseDuration('--lifetime', lifetime),
    issuedBefore:
      issuedBefore === undefined
        ? undefined
        : issuedBefore === 'any'
          ? null
          : parseTime('--issued-before', issuedBefore, now),
    ack: flags.everywhere === true ? 'everywhere' : flags.ack,
    timeoutMs:
      timeout === undefined ? undefined : 1000 * parseDuration('--timeout', timeout, TIMEOUT_MAX_SECONDS),
  }
}

async function confirm(terminal: Terminal, place: string): Promise<void> {
  if (terminal.input.isTTY !== true)
    throw usage('--everything revokes every token of everybody: say --yes where nobody can be asked')
  const word = await readLine(
    terminal,
    `This revokes every token of everybody (${place}). Type "${CONFIRMING_WORD}" to do it:`,
  )
  if (word !== CONFIRMING_WORD) throw usage('another word was typed: nothing was done')
}
