/** A completion for zsh, with descriptions. */
import type { CompletedCommand, Value } from './tree.js'

export function zshCompletion(name: string, commands: readonly CompletedCommand[]): string {
  const paths = commands.slice(1).map(({ path }) => quoted(path))
  const values = commands.flatMap(({ path, options }) =>
    options.flatMap(({ names, value }) => {
      const action = actionOf(value)
      return action === undefined
        ? []
        : [`    ${names.map((option) => quoted(`${path} ${option}`)).join('|')}) ${action}; return ;;`]
    }),
  )
  const cases = commands.map(({ path, options, subcommands, argument }) => {
    const described = options.flatMap(({ names, description }) =>
      names.map((option) => item(option, description)),
    )
    const plain = subcommands.map((sub) => item(sub.name, sub.description))
    return [
      `    ${quoted(path)})`,
      `      plain=(${plain.join(' ')})`,
      `      options=(${described.join(' ')})`,
      ...(argument.kind === 'none' ? [] : [`      [[ $PREFIX == -* ]] || { ${actionOf(argument) ?? ':'}; }`]),
      '      ;;',
    ].join('\n')
  })
  return `#compdef ${name}
# Completion of ${name} for zsh. To use it: source <(${name} completion zsh), or put it into a folder of $fpath as _${name}
_${name}() {
  local at=${name} word before=\${words[CURRENT-1]}
  local -a plain options
  for word in \${words[2,CURRENT-1]}; do
    case "$at $word" in
      ${paths.join('|')}) at="$at $word" ;;
    esac
  done
  case "$at $before" in
${values.join('\n')}
  esac
  case "$at" in
${cases.join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then _describe option options; else (( $#plain )) && _describe command plain; fi
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`
}

function actionOf(value: Value): string | undefined {
  switch (value.kind) {
    case 'none':
      return undefined
    case 'file':
      return '_files'
    case 'text':
      return "_message 'a value'"
    case 'choice':
      return `compadd -- ${value.choices.map(quoted).join(' ')}`
  }
}

function item(name: string, description: string): string {
  return quoted(`${name.replaceAll(':', '\\:')}:${description}`)
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
