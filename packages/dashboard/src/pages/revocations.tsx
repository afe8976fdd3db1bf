/** What is revoked: looked for, page by page, each with its detail. */
import { useId, useState } from 'preact/hooks'
import { Page } from '../pieces/page.js'
import { Pager } from '../pieces/pager.js'
import { Awaited, Empty, Notice } from '../pieces/state.js'
import { TargetView } from '../pieces/target.js'
import { Time } from '../pieces/time.js'
import { goTo, hrefTo, place } from '../router.js'
import { Refused } from '../service/ask.js'
import { tick } from '../service/live.js'
import { mayRead, mayRevoke } from '../service/session.js'
import type { Revocation } from '../service/types.js'
import { useLoad } from '../service/use-load.js'
import { ExportButton } from './export.js'
import { type Filter, isEmptyFilter, type Order, ORDERS, readPage } from './revocation-list.js'
import { RevocationDetail } from './revocation.js'
import { Filters } from './revocation-filters.js'

export function RevocationsPage() {
  const { query } = place.value
  const id = query.get('id')
  if (!mayRead.value)
    return (
      <Page title="Revocations" isNarrow>
        <Notice title="Your role may revoke, but not read">
          The list is for clients with the role <code>read</code>.
        </Notice>
      </Page>
    )
  if (id !== null) return <RevocationDetail key={id} id={id} />
  return <List key={JSON.stringify(filterIn(query))} query={query} />
}

function filterIn(query: URLSearchParams): Filter {
  return {
    search: query.get('search') ?? '',
    claim: query.get('claim') ?? '',
    actor: query.get('actor') ?? '',
    since: sinceIn(query),
  }
}

/** Somebody may have written the address by hand. */
function sinceIn(query: URLSearchParams): string {
  const since = query.get('since') ?? ''
  return Number.isNaN(Date.parse(since)) ? '' : since
}

function orderIn(query: URLSearchParams): Order {
  const order = query.get('order') ?? ''
  return Object.hasOwn(ORDERS, order) ? (order as Order) : 'newest'
}

function List({ query }: { readonly query: URLSearchParams }) {
  const filter = filterIn(query)
  const order = orderIn(query)
  const look = (next: Filter, nextOrder: Order) =>
    goTo(hrefTo('revocations', { ...next, order: nextOrder === 'newest' ? '' : nextOrder }), {
      replaces: true,
    })
  /** The cursors of the pages before this one, which are places in one order. */
  const [turned, setTurned] = useState<{ order: Order; cursors: readonly string[] }>({ order, cursors: [] })
  const cursors = turned.order === order ? turned.cursors : []
  const setCursors = (next: readonly string[]) => setTurned({ order, cursors: next })
  const [looked, setLooked] = useState(0)
  const cursor = cursors.at(-1)
  // Later pages stand still: what was newest when one has begun to read is no longer.
  const refresh = cursor === undefined ? tick.value : 0
  const page = useLoad(
    (signal) => readPage({ filter, order, cursor, signal, onLooked: setLooked }),
    `${JSON.stringify(filter)} ${order} ${cursor ?? ''}`,
    refresh,
  )
  // The log went on without this place: what helps is to begin anew.
  const isTooOld = page.error instanceof Refused && page.error.status === 410
  return (
    <Page
      title="Revocations"
      lead={`Everything that is dead before its time, ${ORDERS[order].text}.`}
      actions={
        <>
          <ExportButton filter={filter} />
          {mayRevoke.value && (
            <a class="button button-main" href={hrefTo('revoke')}>
              Revoke…
            </a>
          )}
        </>
      }
    >
      <Filters filter={filter} onChange={(next) => look(next, order)} />
      <section class="card" aria-label="Revocations" aria-busy={page.isLoading}>
        <OrderField order={order} onOrder={(next) => look(filter, next)} />
        {page.value === undefined && page.error === undefined && looked > 0 ? (
          <p class="loading" role="status">
            Looking through the list… {looked} pages so far
          </p>
        ) : (
          <Awaited
            loaded={isTooOld ? { ...page, reload: () => setCursors([]) } : page}
            what="the revocations"
          >
            {({ revocations, cursor: next }) => (
              <>
                {revocations.length === 0 ? (
                  <NothingFound isFiltered={!isEmptyFilter(filter)} />
                ) : (
                  <Rows revocations={revocations} order={order} />
                )}
                <Pager
                  label="Pages of the list"
                  number={cursors.length + 1}
                  hasNext={next !== undefined}
                  onPrevious={() => setCursors(cursors.slice(0, -1))}
                  onNext={() => next !== undefined && setCursors([...cursors, next])}
                />
              </>
            )}
          </Awaited>
        )}
      </section>
    </Page>
  )
}

/** Which column an order goes by, and in which direction. */
const SORTED = {
  newest: ['Revoked', 'descending'],
  oldest: ['Revoked', 'ascending'],
  'ending-first': ['Ends', 'ascending'],
  'ending-last': ['Ends', 'descending'],
} as const

function OrderField({ order, onOrder }: { readonly order: Order; readonly onOrder: (order: Order) => void }) {
  const id = useId()
  return (
    <div class="row row-end list-order">
      <label class="faint" for={id}>
        Order of the whole list
      </label>
      <select id={id} value={order} onChange={(event) => onOrder(event.currentTarget.value as Order)}>
        {Object.entries(ORDERS).map(([name, { label }]) => (
          <option value={name} key={name}>
            {label}
          </option>
        ))}
      </select>
    </div>
  )
}

interface RowsProps {
  readonly revocations: readonly Revocation[]
  readonly order: Order
}

function Rows({ revocations, order }: RowsProps) {
  const [column, direction] = SORTED[order]
  const sortOf = (name: string) => (name === column ? direction : undefined)
  return (
    <div class="table-wrap">
      <table class="table-cards">
        <thead>
          <tr>
            <th scope="col">Target</th>
            <th scope="col">Reason</th>
            <th scope="col">By</th>
            <th scope="col" aria-sort={sortOf('Revoked')}>
              Revoked
            </th>
            <th scope="col" aria-sort={sortOf('Ends')}>
              Ends
            </th>
            <th scope="col">
              <span class="visually-hidden">Detail</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {revocations.map((revocation, i) => (
            <Row key={`${revocation.id}${revocation.expiresAt}${i}`} revocation={revocation} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Row({
  revocation: { id, target, reason, actor, revokedAt, expiresAt },
}: {
  readonly revocation: Revocation
}) {
  return (
    <tr>
      <td data-name="Target">
        <TargetView target={target} />
      </td>
      <td data-name="Reason">{reason}</td>
      <td data-name="By" class="nowrap">
        {actor}
      </td>
      <td data-name="Revoked">
        <Time seconds={revokedAt} />
      </td>
      <td data-name="Ends">
        <Time seconds={expiresAt} />
      </td>
      <td data-name="Detail" class="right">
        <a
          href={hrefTo('revocations', { id })}
          aria-label={`Detail of ${Object.values(target).join(', ') || 'everything'}`}
        >
          Detail
        </a>
      </td>
    </tr>
  )
}

function NothingFound({ isFiltered }: { readonly isFiltered: boolean }) {
  if (isFiltered)
    return (
      <Empty title="Nothing that is revoked fits">
        Look for less, or <a href={hrefTo('revocations')}>show everything</a>.
      </Empty>
    )
  return <Empty title="Nothing is revoked">What you revoke appears here at once, until its end.</Empty>
}
