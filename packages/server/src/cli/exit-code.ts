/** What the command ends with. `docs/command.md` has the copy for people, and so has `rescind --help`. */
import { type ErrorCode, RescindError } from 'rescind'
import { Interrupted } from './failure.js'

export const EXIT_CODES = {
  done: { code: 0, meaning: 'done; `check`: clear; `doctor`: nothing to mend' },
  failure: { code: 1, meaning: 'failed: the store or the service could not do it' },
  usage: { code: 2, meaning: 'wrong arguments, or a configuration that cannot be used' },
  revoked: { code: 3, meaning: '`check`: revoked' },
  unknown: { code: 4, meaning: '`check`: unknown' },
  notGenuine: { code: 5, meaning: 'the token is malformed, expired, or not genuine' },
  unconfirmed: { code: 6, meaning: 'revoked, but not confirmed as far as `--ack` asked for' },
  warnings: { code: 7, meaning: '`doctor`: warnings' },
  critical: { code: 8, meaning: '`doctor`: something critical' },
  linesRefused: { code: 9, meaning: '`import`: done, except for lines that were refused' },
  interrupted: { code: 130, meaning: 'interrupted; `import` and `export` say how to go on' },
} as const

export type ExitName = keyof typeof EXIT_CODES

const OF_FAILURE: Partial<Record<ErrorCode, ExitName>> = {
  ERR_CONFIG_INVALID: 'usage',
  ERR_OPTION_INVALID: 'usage',
  ERR_TARGET_INVALID: 'usage',
  ERR_CLAIM_INVALID: 'usage',
  ERR_VERIFIER_MISSING: 'usage',
  ERR_ACK_UNSUPPORTED: 'usage',
  ERR_TOKEN_MALFORMED: 'notGenuine',
  ERR_TOKEN_INVALID: 'notGenuine',
  ERR_TOKEN_EXPIRED: 'notGenuine',
  ERR_ACK_NOT_REACHED: 'unconfirmed',
}

export function exitCode(name: ExitName): number {
  return EXIT_CODES[name].code
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return exitCode('interrupted')
  const name = error instanceof RescindError ? OF_FAILURE[error.code] : undefined
  return exitCode(name ?? 'failure')
}

export function exitCodesHelp(): string {
  const lines = Object.values(EXIT_CODES).map(
    ({ code, meaning }) => `  ${String(code).padEnd(4)} ${meaning.replaceAll('`', '')}`,
  )
  return `\nExit codes:\n${lines.join('\n')}\n`
}
