/** `rescind keys`: makes keys for clients, and hashes secrets for the configuration. A secret is never an argument. */
import type { Command } from 'commander'
import { usage } from '../failure.js'
import { readSecret } from '../input.js'
import { Output, type OutputFlags } from '../output.js'
import type { Terminal } from '../terminal.js'

const SECRET_LENGTH_MIN = 16

export function addKeys(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('make keys for clients of the service, and hash them')
  keys
    .command('make')
    .description('make a key, shown this once, and its hash for the configuration')
    .action(async (_: object, command: Command) => {
      const output = new Output(terminal, command.optsWithGlobals<OutputFlags>())
      const { hashSecret, makeKey } = await import('../../clients/secret.js')
      const key = makeKey()
      const hash = await hashSecret(key)
      output.answer({ key, hash }, () => [key])
      output.note(`Its hash, for "keys" of a client in the configuration: ${hash}`)
    })
  keys
    .command('hash')
    .description('hash a key or secret from the standard input, for the configuration')
    .action(async (_: object, command: Command) => {
      const output = new Output(terminal, command.optsWithGlobals<OutputFlags>())
      const { hashSecret, SECRET_LENGTH_MAX } = await import('../../clients/secret.js')
      const secret = (await readSecret(terminal, 'The key or secret')).replace(/\r?\n$/, '')
      if (secret.length < SECRET_LENGTH_MIN || secret.length > SECRET_LENGTH_MAX)
        throw usage(
          `a secret has ${SECRET_LENGTH_MIN} to ${SECRET_LENGTH_MAX} characters: \`rescind keys make\` makes a good one`,
        )
      const hash = await hashSecret(secret)
      output.answer({ hash }, () => [hash])
    })
}
