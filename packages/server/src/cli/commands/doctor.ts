/** `rescind doctor`: looks for what may lose revocations, and says what to do about it. The exit code tells how bad. */
import type { Command } from 'commander'
import type { Diagnosis } from '../backend/backend.js'
import { addBackendFlags } from '../backend/flags.js'
import { exitCode, type ExitName } from '../exit-code.js'
import { type Output, printable } from '../output.js'
import { onBackend } from '../run.js'
import type { Terminal } from '../terminal.js'

interface Flags {
  readonly user?: string
  readonly revokes?: true
}

const EXIT: Readonly<Record<Diagnosis['worst'], ExitName>> = {
  critical: 'critical',
  warning: 'warnings',
  info: 'done',
  none: 'done',
}
const INDENT = '    '

export function addDoctor(program: Command, terminal: Terminal): void {
  const command = program
    .command('doctor')
    .description('look for what may lose revocations; the exit code tells how bad it is')
    .option('--user <name>', 'judge the rights of this ACL user of Redis (default: the one that asks)')
    .option('--revokes', 'that user belongs to a node that revokes, so it may write')
  addBackendFlags(command).action(
    onBackend<Flags>(terminal, async ({ backend, output, flags }) => {
      const found = await backend.doctor({ user: flags.user, revokes: flags.revokes })
      output.answer(found, () => linesOf(output, found, backend.place))
      terminal.exitWith(exitCode(EXIT[found.worst]))
    }),
  )
}

function linesOf(output: Output, { findings, servers, worst }: Diagnosis, place: string): string[] {
  const { colors } = output
  const marks = {
    critical: colors.red('critical'),
    warning: colors.yellow('warning'),
    info: colors.dim('info'),
  }
  const lines = [colors.bold(place)]
  for (const { address, software, version, role, user, replicas } of servers) {
    const about = [`${software ?? 'unknown software'} ${version ?? ''}`.trim(), role, user && `user ${user}`]
    lines.push(printable(`${address}: ${about.filter(Boolean).join(', ')}, ${replicas} replicas`))
  }
  for (const { severity, code, server, meaning, action, figures } of findings) {
    const told = Object.entries(figures).map(([name, value]) => `${name} ${value}`)
    lines.push(
      '',
      [marks[severity], colors.bold(code), ...(server === undefined ? [] : [printable(server)])].join('  '),
      `${INDENT}${printable(meaning)}`,
      ...(severity === 'info' ? [] : [`${INDENT}${colors.cyan('→')} ${printable(action)}`]),
      ...(told.length === 0 ? [] : [`${INDENT}${colors.dim(printable(told.join('; ')))}`]),
    )
  }
  const count = (severity: string) => findings.filter((other) => other.severity === severity).length
  const summary = `${count('critical')} critical, ${count('warning')} warnings, ${count('info')} to know`
  lines.push('', worst === 'none' || worst === 'info' ? colors.green(`In order: ${summary}`) : summary)
  return lines
}
