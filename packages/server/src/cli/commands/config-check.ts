/** `rescind config check`: reads the configuration as `serve` would, and names everything that is wrong with it. */
import type { Command } from 'commander'
import { configOption } from '../options.js'
import { Output, type OutputFlags } from '../output.js'
import type { Terminal } from '../terminal.js'

export function addConfigCheck(program: Command, terminal: Terminal): void {
  program
    .command('config')
    .description('look at the configuration')
    .command('check')
    .description('read the configuration as `serve` would, and name everything that is wrong with it')
    .addOption(configOption())
    .action(async (_: object, command: Command) => {
      const flags = command.optsWithGlobals<OutputFlags & { config?: string }>()
      const output = new Output(terminal, flags)
      const { checkConfig } = await import('../checked-config.js')
      const found = await checkConfig(terminal.env, flags.config)
      output.answer(found, () => [
        `${output.colors.green('In order')}: ${found.path ?? 'the environment alone'} (${found.issuers} issuers, ${found.clients} clients, ${found.profiles} profiles)`,
      ])
    })
}
