/**
 * What a command is about: a token, claims, or everything. A token comes from the standard input or from a file and never
 * from an argument, where everybody on the machine could read it.
 */
import type { Command } from 'commander'
import type { Target } from 'rescind'
import type { Subject } from './backend/backend.js'
import type { Terminal } from './terminal.js'
import { usage } from './failure.js'
import { readSecret, readSecretFile } from './input.js'
import { collect } from './options.js'

export interface SubjectFlags {
  readonly claim?: readonly string[]
  readonly tokenFile?: string
  readonly everything?: boolean
}

export function addSubjectFlags(command: Command, options: { everything?: string } = {}): Command {
  command
    .optionsGroup('What (without any: a token from the standard input):')
    .option('--claim <name=value>', 'tokens that carry this claim; several: all of them', collect)
    .option('--token-file <file>', 'the token in this file; - is the standard input')
  if (options.everything !== undefined) command.option('--everything', options.everything)
  return command.optionsGroup('Options:')
}

/** Throws `ERR_OPTION_INVALID` for several kinds at once, and for no token. */
export async function readSubject(flags: SubjectFlags, terminal: Terminal): Promise<Subject> {
  const given = [flags.claim, flags.tokenFile, flags.everything].filter((flag) => flag !== undefined)
  if (given.length > 1) throw usage('give one of --claim, --token-file and --everything')
  if (flags.everything === true) return { everything: true }
  if (flags.claim !== undefined) return { target: parseClaims(flags.claim) }
  const { tokenFile = '-' } = flags
  const text =
    tokenFile === '-' ? await readSecret(terminal, 'The token') : readSecretFile('--token-file', tokenFile)
  const token = text.trim().replace(/^Bearer +/i, '')
  if (token === '')
    throw usage('there is no token: give it on the standard input or with --token-file, or name --claim')
  return { token }
}

/** `['sub=alice', 'client_id=app']` as a target. */
export function parseClaims(claims: readonly string[]): Target {
  const target: Record<string, string> = {}
  for (const claim of claims) {
    const at = claim.indexOf('=')
    if (at < 1 || at === claim.length - 1) throw usage('--claim takes a name and a value, such as sub=alice')
    const name = claim.slice(0, at)
    if (Object.hasOwn(target, name))
      throw usage(`--claim ${name} is given twice; a token that carries both cannot be meant`)
    target[name] = claim.slice(at + 1)
  }
  return target
}
