/** `rescind list`: the revocations that stand, newest first or in another order. */
import { type Command, Option } from 'commander'
import { LIST_ORDERS, type ListOrder, type ListQuery } from 'rescind'
import type { Backend } from '../backend/backend.js'
import { addBackendFlags } from '../backend/flags.js'
import { usage } from '../failure.js'
import { collect } from '../options.js'
import type { Output } from '../output.js'
import { gather, pagesOf } from '../pages.js'
import { REVOCATION_HEAD, revocationRows } from '../revocation-text.js'
import { onBackend } from '../run.js'
import { parseClaims } from '../subject.js'
import type { Terminal } from '../terminal.js'
import { parseTime } from '../time.js'

interface Flags {
  readonly claim?: readonly string[]
  readonly actor?: string
  readonly since?: string
  readonly search?: string
  readonly order: ListOrder
  readonly limit: string
  readonly cursor?: string
  readonly all?: true
}

const LIMIT_NORMAL = 50
const LIMIT_MAX = 1_000_000

export function addList(program: Command, terminal: Terminal): void {
  const command = program
    .command('list')
    .description('the revocations that stand, newest first or in another order')
    .option('--claim <name=value>', 'only targets that contain this claim; several: all of them', collect)
    .option('--actor <name>', 'only those that this one made')
    .option('--since <time>', 'only those revoked since then, such as -2h')
    .option('--search <text>', 'only those with this text in a claim, the reason, the actor or the id')
    .addOption(
      new Option('--order <order>', 'by when they were revoked, or by when they end')
        .choices(LIST_ORDERS)
        .default('newest' satisfies ListOrder),
    )
    .option('--limit <count>', 'at most so many', String(LIMIT_NORMAL))
    .option('--cursor <cursor>', 'go on where the page before ended, in the same order')
    .addOption(new Option('--all', 'all of them; with --json one a line').conflicts('limit'))
  addBackendFlags(command).action(
    onBackend<Flags>(
      terminal,
      async ({ backend, output, flags }) => {
        const now = terminal.now() / 1000
        const query = queryOf(flags, now)
        if (flags.all === true) return listAll(backend, output, query, now)
        const page = await gather(backend, query, limitOf(flags.limit))
        output.answer(page, () =>
          page.revocations.length === 0
            ? [nothingOf(query)]
            : output.table(REVOCATION_HEAD, revocationRows(page.revocations, now)),
        )
        if (page.cursor === undefined) return
        // A cursor is a place in one order.
        const order = flags.order === 'newest' ? '' : `--order ${flags.order} `
        output.note(`There are more: ${order}--cursor ${page.cursor}, or --all`)
      },
      // The store knows the order of its log; for any other, all is read into memory.
      ({ order }) => ({ replica: order !== 'newest' }),
    ),
  )
}

function queryOf({ actor, claim, cursor, order, search, since }: Flags, now: number): ListQuery {
  return {
    ...{ actor, cursor, order, search },
    target: claim === undefined ? undefined : parseClaims(claim),
    revokedSince: since === undefined ? undefined : parseTime('--since', since, now),
  }
}

async function listAll(backend: Backend, output: Output, query: ListQuery, now: number): Promise<void> {
  const rowsOf = output.tableInPieces(REVOCATION_HEAD)
  let isEmpty = true
  for await (const { revocations } of pagesOf(backend, query)) {
    if (revocations.length > 0) isEmpty = false
    const lines = output.isJson
      ? revocations.map((revocation) => JSON.stringify(revocation))
      : rowsOf(revocationRows(revocations, now))
    for (const line of lines) output.line(line)
  }
  if (isEmpty && !output.isJson) output.line(nothingOf(query))
}

function nothingOf({ actor, cursor, revokedSince, search, target }: ListQuery): string {
  if (cursor !== undefined) return 'There are no more.'
  return [actor, revokedSince, search, target].some((wanted) => wanted !== undefined)
    ? 'Nothing that stands fits.'
    : 'Nothing is revoked.'
}

function limitOf(text: string): number {
  const limit = Number(text)
  if (!/^\d{1,7}$/.test(text) || limit < 1 || limit > LIMIT_MAX)
    throw usage(`--limit takes a whole number from 1 to ${LIMIT_MAX}`)
  return limit
}
