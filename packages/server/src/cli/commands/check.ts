/** `rescind check`: is a token revoked? The exit code tells the answer. */
import type { Command } from 'commander'
import type { CheckResult } from 'rescind'
import { addBackendFlags } from '../backend/flags.js'
import { exitCode } from '../exit-code.js'
import { failureBody, usage } from '../failure.js'
import { type Output, printable } from '../output.js'
import { issuedText, targetText } from '../revocation-text.js'
import { onBackend } from '../run.js'
import { addSubjectFlags, readSubject, type SubjectFlags } from '../subject.js'
import type { Terminal } from '../terminal.js'
import { parseTime, timeOf } from '../time.js'

interface Flags extends SubjectFlags {
  readonly issuedAt?: string
}

const EXIT = { clear: 'done', revoked: 'revoked', unknown: 'unknown' } as const

export function addCheck(program: Command, terminal: Terminal): void {
  const command = program
    .command('check')
    .description('ask the store whether a token, or one with some claims, is revoked; the exit code tells')
  addSubjectFlags(command).option(
    '--issued-at <time>',
    'with --claim: when it was issued (default: long ago)',
  )
  addBackendFlags(command).action(
    onBackend<Flags>(terminal, async ({ backend, output, flags }) => {
      const now = terminal.now() / 1000
      const subject = await readSubject(flags, terminal)
      const result = await backend.check(
        'token' in subject ? tokenOnly(subject, flags) : { claims: claimsOf(subject, flags, now) },
      )
      output.answer(bodyOf(result), () => linesOf(output, result, now))
      terminal.exitWith(exitCode(EXIT[result.status]))
    }),
  )
}

function tokenOnly(subject: { readonly token: string }, { issuedAt }: Flags): { readonly token: string } {
  if (issuedAt !== undefined) throw usage('--issued-at comes with --claim: a token says when it was issued')
  return subject
}

function claimsOf(subject: object, { issuedAt }: Flags, now: number): Record<string, unknown> {
  const claims = 'target' in subject ? (subject.target as Record<string, unknown>) : {}
  return issuedAt === undefined ? claims : { ...claims, iat: parseTime('--issued-at', issuedAt, now) }
}

function bodyOf(result: CheckResult): unknown {
  return result.status === 'unknown' ? { status: result.status, ...failureBody(result.cause) } : result
}

function linesOf(output: Output, result: CheckResult, now: number): string[] {
  const { colors } = output
  switch (result.status) {
    case 'clear':
      return [colors.green('Clear')]
    case 'unknown':
      return [`${colors.yellow('Unknown')}: ${printable(result.cause.message)}`]
    case 'revoked': {
      const { target, issuedBefore, expiresAt, reason, actor } = result.revocation
      return [
        colors.red('Revoked'),
        ...output.pairs([
          ['by target', targetText(target)],
          ['tokens', issuedText(issuedBefore, now)],
          ['dead until', timeOf(expiresAt, now)],
          ...(reason === undefined ? [] : [['reason', printable(reason)] as const]),
          ...(actor === undefined ? [] : [['by', printable(actor)] as const]),
        ]),
      ]
    }
  }
}
