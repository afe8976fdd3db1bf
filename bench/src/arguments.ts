/** The command line, read as data: nothing is printed and nothing ends here. */
import { parseArgs } from 'node:util'

export type Command =
  | ({ readonly kind: 'run'; readonly name: string; readonly json: boolean } & RunOptions)
  | { readonly kind: 'help' }
  | { readonly kind: 'list' }
  /** One line that says what is wrong. */
  | { readonly kind: 'invalid'; readonly message: string }

export interface RunOptions {
  readonly rounds: number
  readonly quick: boolean
  /** Only systems whose names contain this text are measured. */
  readonly only?: string
}

export const ROUNDS_MAX = 50
const ROUNDS_DEFAULT = 5
const ROUNDS_DEFAULT_QUICK = 2

export function readArguments(args: readonly string[], names: readonly string[]): Command {
  const usage = `benchmarks: ${names.join(', ')}; options: --json, --rounds N, --quick, --only TEXT, --help`
  const invalid = (what: string): Command => ({ kind: 'invalid', message: `${what}; ${usage}` })
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    // Node's sentence goes on to explain `--`; the first part of it says what is wrong.
    return invalid((error as Error).message.split(/\.\s/)[0] as string)
  }
  const { values, positionals } = parsed
  if (values.help) return { kind: 'help' }
  const [name, ...others] = positionals
  if (name === undefined) {
    return Object.keys(values).length === 0 ? { kind: 'list' } : invalid('no benchmark is named')
  }
  if (!names.includes(name)) return invalid(`there is no benchmark ${JSON.stringify(name)}`)
  if (others.length > 0) return invalid('one benchmark at a time')
  const { quick = false, json = false } = values
  const rounds = readRounds(values.rounds) ?? (quick ? ROUNDS_DEFAULT_QUICK : ROUNDS_DEFAULT)
  if (!(rounds >= 1 && rounds <= ROUNDS_MAX)) {
    return invalid(`--rounds takes a whole number from 1 to ${ROUNDS_MAX}`)
  }
  const only = values.only === undefined ? {} : { only: values.only }
  return { kind: 'run', name, json, quick, rounds, ...only }
}

/** NaN for anything but digits. */
function readRounds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  return /^\d{1,3}$/.test(text) ? Number(text) : NaN
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      quick: { type: 'boolean' },
      rounds: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
}
