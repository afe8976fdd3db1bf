/** `rescind stats`: how many revocations stand, and of what; from a service, what it did in the last hour too. */
import type { Command } from 'commander'
import { addBackendFlags } from '../backend/flags.js'
import { printable } from '../output.js'
import { onBackend } from '../run.js'
import { countRevocations } from '../statistics.js'
import type { Terminal } from '../terminal.js'

export function addStats(program: Command, terminal: Terminal): void {
  const command = program.command('stats').description('how many revocations stand, and of what')
  addBackendFlags(command).action(
    onBackend<object>(terminal, async ({ backend, output }) => {
      const counted = await countRevocations(backend, terminal.now() / 1000)
      const nodes = (await backend.nodes()).length
      const traffic = await backend.traffic()
      output.answer({ ...counted, nodes, ...(traffic && { traffic }) }, () => [
        ...output.pairs([
          ['standing', `${counted.isCut ? 'at least ' : ''}${counted.standing}`],
          ['revoked in the last hour', String(counted.revokedLastHour)],
          ['revoked in the last day', String(counted.revokedLastDay)],
          ['ending in the next hour', String(counted.endingNextHour)],
          ['nodes', String(nodes)],
        ]),
        ...(counted.standing === 0 ? [] : ['']),
        ...output.table(
          ['CLAIMS', 'REVOCATIONS'],
          Object.entries(counted.byClaims).map(([names, count]) => [names, String(count)]),
        ),
        ...(traffic === undefined || Object.keys(traffic.checks).length === 0
          ? []
          : [
              '',
              ...output.table(
                [`CHECKS BY THE SERVICE, LAST ${traffic.minutes} MINUTES`, 'COUNT'],
                Object.entries(traffic.checks).map(([answer, count]) => [printable(answer), String(count)]),
              ),
            ]),
      ])
    }),
  )
}
