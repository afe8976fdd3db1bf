/** `rescind completion`: prints the completion for a shell. */
import { Argument, type Command } from 'commander'
import { bashCompletion } from '../completion/bash.js'
import { fishCompletion } from '../completion/fish.js'
import { completedCommands } from '../completion/tree.js'
import { zshCompletion } from '../completion/zsh.js'
import type { Terminal } from '../terminal.js'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

export function addCompletion(program: Command, terminal: Terminal): void {
  program
    .command('completion')
    .description('print the completion for a shell: source <(rescind completion bash)')
    .addArgument(new Argument('<shell>').choices(Object.keys(SHELLS)))
    .action((shell: keyof typeof SHELLS) => {
      terminal.print(SHELLS[shell](program.name(), completedCommands(program)).trimEnd())
    })
}
