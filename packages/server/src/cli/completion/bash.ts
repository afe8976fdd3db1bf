/** A completion for bash, 3.2 and newer: words alone, for bash shows no descriptions. */
import type { CompletedCommand } from './tree.js'

export function bashCompletion(name: string, commands: readonly CompletedCommand[]): string {
  const paths = commands.slice(1).map(({ path }) => quoted(path))
  const choices = commands.flatMap(({ path, options }) =>
    options.flatMap(({ names, value }) =>
      value.kind === 'choice'
        ? [
            `    ${names.map((option) => quoted(`${path} ${option}`)).join('|')}) words=${quoted(value.choices.join(' '))} ;;`,
          ]
        : [],
    ),
  )
  const valued = new Set(
    commands.flatMap(({ options }) =>
      options.flatMap(({ names, value }) => (value.kind === 'file' || value.kind === 'text' ? names : [])),
    ),
  )
  const words = commands.map(({ path, options, subcommands, argument }) => {
    const names = options.flatMap((option) => option.names)
    const plain = [
      ...subcommands.map((sub) => sub.name),
      ...(argument.kind === 'choice' ? argument.choices : []),
    ]
    return `    ${quoted(path)}) plain=${quoted(plain.join(' '))} options=${quoted(names.join(' '))} ;;`
  })
  return `# Completion of ${name} for bash. To use it: source <(${name} completion bash)
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} at=${name} i words= plain= options=
  if [[ $current == = ]]; then current=; elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${paths.join('|')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $before" in
${choices.join('\n')}
    ${[...valued].map((option) => `*' '${option}`).join('|')}) return ;;
  esac
  case "$at" in
${words.join('\n')}
  esac
  if [[ -z $words ]]; then
    if [[ $current == -* ]]; then words=$options; else words=$plain; fi
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
# Where nothing is offered, names of files are.
complete -o default -F _${name} ${name}
`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
