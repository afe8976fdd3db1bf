/** What can be completed, read from commander's own tree, so that no list of commands is kept beside it. */
import type { Command, Option } from 'commander'

export interface CompletedOption {
  /** `--json`; with a short form, `-c` too. */
  readonly names: readonly string[]
  readonly description: string
  readonly value: Value
}

/** What stands after an option or a command. */
export type Value =
  | { readonly kind: 'none' | 'file' | 'text' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }

export interface CompletedCommand {
  /** `rescind clients make`. */
  readonly path: string
  readonly subcommands: readonly { readonly name: string; readonly description: string }[]
  readonly options: readonly CompletedOption[]
  readonly argument: Value
}

/** Every command, the program first. */
export function completedCommands(program: Command): readonly CompletedCommand[] {
  return walk(program, program.name(), [])
}

function walk(command: Command, path: string, outer: readonly CompletedOption[]): CompletedCommand[] {
  const help = command.createHelp()
  const own = help.visibleOptions(command).map(completedOption)
  const subcommands = help.visibleCommands(command)
  const inherited = outer.filter(({ names }) => !own.some((other) => other.names.includes(names[0] ?? '')))
  const options = [...own, ...inherited]
  const [argument] = command.registeredArguments
  const completed: CompletedCommand = {
    path,
    options,
    subcommands: subcommands.map((sub) => ({ name: sub.name(), description: firstLine(sub.description()) })),
    argument:
      argument === undefined
        ? { kind: 'none' }
        : argument.argChoices !== undefined
          ? { kind: 'choice', choices: argument.argChoices }
          : { kind: argument.name() === 'file' ? 'file' : 'text' },
  }
  const deeper = subcommands.filter((sub) => command.commands.includes(sub))
  return [completed, ...deeper.flatMap((sub) => walk(sub, `${path} ${sub.name()}`, options))]
}

function completedOption(option: Option): CompletedOption {
  const takesFile = /<(file|folder)>/.test(option.flags)
  const takesValue = option.required || option.optional
  return {
    names: [option.long, option.short].filter((name) => name !== undefined && name !== null),
    description: firstLine(option.description),
    value:
      option.argChoices !== undefined
        ? { kind: 'choice', choices: option.argChoices }
        : { kind: takesFile ? 'file' : takesValue ? 'text' : 'none' },
  }
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim()
}
