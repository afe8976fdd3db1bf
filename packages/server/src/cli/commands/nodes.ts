/** `rescind nodes`: the nodes that live, and how far each has read. */
import type { Command } from 'commander'
import { addBackendFlags } from '../backend/flags.js'
import { printable } from '../output.js'
import { onBackend } from '../run.js'
import type { Terminal } from '../terminal.js'

export function addNodes(program: Command, terminal: Terminal): void {
  const command = program.command('nodes').description('the nodes that live, and how fresh each is')
  addBackendFlags(command).action(
    onBackend<object>(terminal, async ({ backend, output }) => {
      const nodes = await backend.nodes()
      const { colors } = output
      const rows = nodes.map(({ name, entries, stalenessMs, ageMs }) => [
        printable(name),
        String(entries),
        stalenessMs < 0 ? colors.red('does not follow') : `${Math.round(stalenessMs)} ms ago`,
        `${Math.round(ageMs)} ms ago`,
      ])
      output.answer({ nodes }, () =>
        rows.length === 0
          ? ['No node lives: nobody that checks tokens is connected to this store.']
          : output.table(['NODE', 'REVOCATIONS', 'HEARD FROM THE STORE', 'SEEN'], rows),
      )
    }),
  )
}
