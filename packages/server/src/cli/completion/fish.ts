/** A completion for fish, with descriptions. */
import type { CompletedCommand, CompletedOption } from './tree.js'

export function fishCompletion(name: string, commands: readonly CompletedCommand[]): string {
  const paths = commands.slice(1).map(({ path }) => quoted(path))
  const lines = commands.flatMap(({ path, subcommands, options, argument }) => {
    const rule = `complete -c ${name} -n ${quoted(`__${name}_at '${path}'`)}`
    return [
      ...subcommands.map((sub) => `${rule} -a ${quoted(sub.name)} -d ${quoted(sub.description)}`),
      ...(argument.kind === 'file' ? [`${rule} -F`] : []),
      ...(argument.kind === 'choice' ? [`${rule} -a ${quoted(argument.choices.join(' '))}`] : []),
      ...options.map((option) => `${rule}${optionRule(option)}`),
    ]
  })
  return `# Completion of ${name} for fish. To use it: ${name} completion fish | source
function __${name}_at
    set -l at ${name}
    for word in (commandline -opc)[2..-1]
        switch "$at $word"
            case ${paths.join(' ')}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c ${name} -f
${lines.join('\n')}
`
}

function optionRule({ names, value, description }: CompletedOption): string {
  const flags = names.map((option) =>
    option.startsWith('--') ? ` -l ${option.slice(2)}` : ` -s ${option.slice(1)}`,
  )
  const takes = {
    none: '',
    file: ' -r -F',
    text: ' -x',
    choice: value.kind === 'choice' ? ` -x -a ${quoted(value.choices.join(' '))}` : '',
  }[value.kind]
  return `${flags.join('')}${takes} -d ${quoted(description)}`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
