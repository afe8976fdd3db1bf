/** `rescind clients`: who may ask the service. A key is shown once, to the standard output, and kept as a hash. */
import { type Command, Option } from 'commander'
import { ROLES, type Role } from '../../config/schema.js'
import type { MadeKey, ShownClient } from '../../clients/client-desk.js'
import { addBackendFlags } from '../backend/flags.js'
import { usage } from '../failure.js'
import { collect } from '../options.js'
import { type Output, printable } from '../output.js'
import { onBackend } from '../run.js'
import type { Terminal } from '../terminal.js'
import { parseDuration, relativeTo } from '../time.js'

interface MakeFlags {
  readonly role: readonly string[]
  readonly name?: string
  readonly audience?: readonly string[]
  readonly rate?: string
  readonly lifetime?: string
}

interface RotateFlags {
  readonly keep: string
  readonly lifetime?: string
}

const KEEP_NORMAL = '1h'

export function addClients(program: Command, terminal: Terminal): void {
  const clients = program
    .command('clients')
    .description('who may ask the service: list, make, rotate, disable, remove')
  addListing(clients, terminal)
  addMaking(clients, terminal)
  addRotating(clients, terminal)
  for (const [verb, isDisabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    const command = clients
      .command(verb)
      .description(isDisabled ? 'let it in no more, and keep it' : 'let it in again')
      .argument('<id>')
    addBackendFlags(command).action(
      onBackend<object>(terminal, async ({ backend, output }, id = '') => {
        const client = await backend.clients.change(id, { isDisabled })
        output.answer({ client }, () => [`${isDisabled ? 'Disabled' : 'Enabled'} ${printable(id)}`])
      }),
    )
  }
  const remove = clients.command('remove').description('remove it and its keys').argument('<id>')
  addBackendFlags(remove).action(
    onBackend<object>(terminal, async ({ backend, output }, id = '') => {
      await backend.clients.remove(id)
      output.answer({ removed: id }, () => [`Removed ${printable(id)}`])
    }),
  )
}

function addListing(clients: Command, terminal: Terminal): void {
  const command = clients.command('list').description('all of them, those of the configuration first')
  addBackendFlags(command).action(
    onBackend<object>(terminal, async ({ backend, output }) => {
      const found = await backend.clients.list()
      const now = terminal.now() / 1000
      output.answer({ clients: found }, () =>
        found.length === 0
          ? ['There is no client: `rescind clients make ID --role admin` makes one.']
          : output.table(
              ['ID', 'ROLES', 'KEYS', 'FROM', 'NAME'],
              found.map((client) => rowOf(output, client, now)),
            ),
      )
    }),
  )
}

function addMaking(clients: Command, terminal: Terminal): void {
  const command = clients
    .command('make')
    .description('make one; its key is shown this once')
    .argument('<id>')
    .addOption(
      new Option('--role <role>', `what it may do, several times: ${ROLES.join(', ')}`)
        .argParser<readonly string[]>(collect)
        .makeOptionMandatory(),
    )
    .option('--name <text>', 'for people')
    .option(
      '--audience <audience>',
      'for introspect: whose tokens it may see, several times; * for all',
      collect,
    )
    .option('--rate <count>', 'requests a minute that it may make')
    .option('--lifetime <duration>', 'its key ends then (default: never)')
  addBackendFlags(command).action(
    onBackend<MakeFlags>(terminal, async ({ backend, output, flags }, id = '') => {
      const { name, audience, rate, lifetime } = flags
      if (rate !== undefined && !/^[1-9]\d{0,6}$/.test(rate))
        throw usage('--rate takes a whole number of requests a minute, from 1 to 9999999')
      const made = await backend.clients.make({
        id,
        name,
        roles: rolesOf(flags.role),
        audiences: audience?.includes('*') === true ? '*' : audience,
        ratePerMinute: rate === undefined ? undefined : Number(rate),
        expiresAt: endOf(lifetime, terminal),
      })
      sayKey(output, made)
    }),
  )
}

function addRotating(clients: Command, terminal: Terminal): void {
  const command = clients
    .command('rotate')
    .description('give it a new key, shown this once; the old ones end soon after')
    .argument('<id>')
    .option('--keep <duration>', 'how long the old keys are accepted still; 0: not at all', KEEP_NORMAL)
    .option('--lifetime <duration>', 'the new key ends then (default: never)')
  addBackendFlags(command).action(
    onBackend<RotateFlags>(terminal, async ({ backend, output, flags }, id = '') => {
      const keepSeconds = flags.keep === '0' ? 0 : parseDuration('--keep', flags.keep)
      const made = await backend.clients.rotate(id, {
        keepSeconds,
        expiresAt: endOf(flags.lifetime, terminal),
      })
      sayKey(output, made)
    }),
  )
}

function sayKey(output: Output, { client, key }: MadeKey): void {
  output.answer({ client, key }, () => [key])
  output.note(
    `This key of ${printable(client.id)} is shown this once. It may be kept in a file for --key-file.`,
  )
}

function rowOf(
  { colors }: Output,
  { id, name, roles, keys, source, isDisabled }: ShownClient,
  now: number,
): string[] {
  const ends = keys.map(({ id: keyId = 'secret', expiresAt }) =>
    expiresAt === undefined ? keyId : `${keyId} (ends ${relativeTo(expiresAt, now)})`,
  )
  return [
    isDisabled ? `${printable(id)} ${colors.red('(disabled)')}` : printable(id),
    roles.join(' '),
    ends.join(', ') || '-',
    source === 'config' ? 'configuration' : 'made',
    printable(name ?? '-'),
  ]
}

function rolesOf(texts: readonly string[]): Role[] {
  return texts.map((text) => {
    const role = ROLES.find((known) => known === text)
    if (role === undefined) throw usage(`--role takes one of ${ROLES.join(', ')}`)
    return role
  })
}

function endOf(lifetime: string | undefined, terminal: Terminal): number | undefined {
  return lifetime === undefined
    ? undefined
    : Math.ceil(terminal.now() / 1000) + parseDuration('--lifetime', lifetime)
}
