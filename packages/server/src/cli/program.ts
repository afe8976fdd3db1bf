/** The command `rescind`: its subcommands, one file each in `commands/`, and what holds for all of them. */
import { Command, CommanderError } from 'commander'
import { addBench } from './commands/bench.js'
import { addCheck } from './commands/check.js'
import { addClients } from './commands/clients.js'
import { addCompletion } from './commands/completion.js'
import { addConfigCheck } from './commands/config-check.js'
import { addDoctor } from './commands/doctor.js'
import { addExport } from './commands/export.js'
import { addImport } from './commands/import.js'
import { addKeys } from './commands/keys.js'
import { addList } from './commands/list.js'
import { addNodes } from './commands/nodes.js'
import { addRestore } from './commands/restore.js'
import { addRevoke } from './commands/revoke.js'
import { addServe } from './commands/serve.js'
import { addStats } from './commands/stats.js'
import { addWatch } from './commands/watch.js'
import { exitCode, exitCodeOf, exitCodesHelp } from './exit-code.js'
import { failureBody, failureText, withoutValues } from './failure.js'
import type { Terminal } from './terminal.js'
import { VERSION } from '../version.js'

/** Does what the arguments say, and tells a failure, as JSON with `--json`. The terminal is told the exit code. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<void> {
  const end = args.indexOf('--')
  const isJson = args.slice(0, end === -1 ? undefined : end).includes('--json')
  try {
    await makeProgram(terminal, isJson).parseAsync(args, { from: 'user' })
  } catch (error) {
    // Commander has said what it has to say.
    if (error instanceof CommanderError)
      return terminal.exitWith(error.exitCode === 0 ? 0 : exitCode('usage'))
    terminal.warn(isJson ? JSON.stringify(failureBody(error)) : failureText(error))
    terminal.exitWith(exitCodeOf(error))
  }
}

/** All commands, before any is called. */
export function makeProgram(terminal: Terminal, isJson: boolean): Command {
  const program = new Command('rescind')
    .description('Token revocation: the service, and what an operator needs')
    .version(VERSION)
    .option('--json', 'one JSON object, or one a line for streams; failures too, on the standard error')
    .option('--no-color', 'no colours (NO_COLOR does the same)')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError(isJson ? false : '(--help says what there is)')
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => (text.trim() === '' ? undefined : terminal.warn(text.trimEnd())),
      outputError: (text, write) => write(usageError(text, isJson)),
    })
    .exitOverride()
  program.commandsGroup('The service:')
  addServe(program, terminal)
  addConfigCheck(program, terminal)
  addClients(program, terminal)
  addKeys(program, terminal)
  program.commandsGroup('Revocations:')
  for (const add of [addRevoke, addRestore, addCheck, addList, addWatch, addImport, addExport])
    add(program, terminal)
  program.commandsGroup('How it is doing:')
  for (const add of [addNodes, addStats, addDoctor, addBench]) add(program, terminal)
  program.commandsGroup('This command:')
  addCompletion(program, terminal)
  program.helpCommand('help [command]', 'say more of a command')
  program.addHelpText('after', exitCodesHelp())
  return program
}

function usageError(text: string, isJson: boolean): string {
  const message = withoutValues(text.trim().replace(/^error: /, ''))
  return isJson
    ? JSON.stringify({ error: { code: 'USAGE', message, advice: 'rescind --help says what there is.' } })
    : message
}
