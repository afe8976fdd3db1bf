/** What goes on: the figures of the moment, the last hour, the nodes, and what is wrong with the store. */
import { useMemo } from 'preact/hooks'
import { Chart, type Series } from '../pieces/chart.js'
import { Page } from '../pieces/page.js'
import { Awaited, Empty, Notice } from '../pieces/state.js'
import { duration, relativeTime } from '../pieces/time.js'
import { hrefTo } from '../router.js'
import { ask } from '../service/ask.js'
import { tick } from '../service/live.js'
import { mayRead, mayRevoke } from '../service/session.js'
import type { LiveNode, Minute, Statistics, Status } from '../service/types.js'
import { useEvery, useLoad } from '../service/use-load.js'
import { FindingList } from './findings.js'

const MINUTES = 60
const LOOK_MS = 5000
const ANSWERS: readonly { label: string; tone: Series['tone']; counts: (name: string) => boolean }[] = [
  { label: 'Let through', tone: 1, counts: (name) => name === 'allowed' },
  { label: 'Revoked', tone: 2, counts: (name) => name === 'token_revoked' },
  { label: 'Could not be told', tone: 3, counts: (name) => name === 'check_unavailable' },
  {
    label: 'Refused otherwise',
    tone: 4,
    counts: (name) => !['allowed', 'token_revoked', 'check_unavailable'].includes(name),
  },
]

export function OverviewPage() {
  if (!mayRead.value) return <NothingToRead />
  return (
    <Page
      title="Overview"
      lead="What was revoked and checked, and whether every node knows it."
      actions={
        mayRevoke.value && (
          <a class="button button-main" href={hrefTo('revoke')}>
            Revoke…
          </a>
        )
      }
    >
      <Now />
    </Page>
  )
}

function NothingToRead() {
  return (
    <Page title="Overview" isNarrow>
      <Notice title="Your role may revoke, but not read">
        The figures are for clients with the role <code>read</code>.{' '}
        <a href={hrefTo('revoke')}>Revoke a token or a person</a> instead.
      </Notice>
    </Page>
  )
}

function Now() {
  const refresh = `${tick.value} ${useEvery(LOOK_MS)}`
  const statistics = useLoad(
    (signal) => ask<Statistics>(`/api/v1/statistics?minutes=${MINUTES}`, { signal }),
    'statistics',
    refresh,
  )
  const status = useLoad((signal) => ask<Status>('/api/v1/status', { signal }), 'status', refresh)
  const nodes = useLoad((signal) => ask<{ nodes: LiveNode[] }>('/api/v1/nodes', { signal }), 'nodes', refresh)
  return (
    <>
      <Awaited loaded={status} what="how the service is">
        {(now) => <Figures status={now} statistics={statistics.value} nodes={nodes.value?.nodes} />}
      </Awaited>
      <Awaited loaded={statistics} what="the last hour">
        {(value) => <Hour minutes={value.minutes} />}
      </Awaited>
      <div class="columns">
        <section class="card" aria-labelledby="overview-nodes">
          <div class="card-head">
            <h2 id="overview-nodes">Nodes</h2>
            <a href={hrefTo('nodes')}>All about them</a>
          </div>
          <Awaited loaded={nodes} what="the nodes">
            {(value) => <NodeLines nodes={value.nodes} maxMs={status.value?.freshness.stalenessMaxMs} />}
          </Awaited>
        </section>
        <section class="card" aria-labelledby="overview-store">
          <div class="card-head">
            <h2 id="overview-store">Store</h2>
          </div>
          <Awaited loaded={status} what="the store">
            {(value) => <FindingList status={value} />}
          </Awaited>
        </section>
      </div>
    </>
  )
}

interface FiguresProps {
  readonly status: Status
  readonly statistics: Statistics | undefined
  readonly nodes: readonly LiveNode[] | undefined
}

function Figures({ status, statistics, nodes }: FiguresProps) {
  const { freshness } = status
  const minutes = statistics?.minutes ?? []
  const revoked = minutes.reduce((sum, minute) => sum + minute.revoked, 0)
  const checks = checksASecond(minutes)
  const worst = nodes?.reduce((max, node) => Math.max(max, node.stalenessMs), -1)
  const spread = statistics?.propagation
  return (
    <dl class="figures">
      <Figure label="Revocations in force" value={freshness.entries.toLocaleString('en')}>
        {revoked.toLocaleString('en')} new in the last hour
      </Figure>
      <Figure label="Checks a second" value={checks.toLocaleString('en', { maximumFractionDigits: 1 })}>
        by this service, last full minute
      </Figure>
      <Figure
        label="Time to every node"
        value={spread === undefined || spread.count === 0 ? '–' : duration(spread.p50Ms)}
      >
        {spread === undefined || spread.count === 0
          ? 'no revocation made here has waited for every node yet'
          : `median of those made here that waited for it (${spread.count.toLocaleString('en')}); 99 % within ${duration(spread.p99Ms)}`}
      </Figure>
      <Figure label="Nodes" value={nodes === undefined ? '–' : String(nodes.length)}>
        {freshness.isFresh
          ? worst === undefined || worst < 0
            ? 'fresh'
            : `the stalest heard of the store ${duration(worst)} ago`
          : 'not fresh: checks ask the store'}
      </Figure>
    </dl>
  )
}

interface FigureProps {
  readonly label: string
  readonly value: string
  readonly children: string | readonly string[]
}

function Figure({ label, value, children }: FigureProps) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>{value}</dd>
      <dd class="faint figure-note">{children}</dd>
    </div>
  )
}

function Hour({ minutes }: { readonly minutes: readonly Minute[] }) {
  const { times, changes, checks } = useMemo(() => seriesOf(minutes), [minutes])
  return (
    <div class="columns">
      <section class="card" aria-labelledby="overview-changes">
        <div class="card-head">
          <h2 id="overview-changes">Revocations</h2>
          <span class="faint">a minute, last hour, all nodes</span>
        </div>
        <Chart title="Revocations a minute" times={times} series={changes} isBars />
      </section>
      <section class="card" aria-labelledby="overview-checks">
        <div class="card-head">
          <h2 id="overview-checks">Checks by answer</h2>
          <span class="faint">a second, last hour, this service</span>
        </div>
        <Chart title="Checks a second, by answer" times={times.slice(0, -1)} series={checks} />
      </section>
    </div>
  )
}

function seriesOf(minutes: readonly Minute[]) {
  const times = minutes.map(({ at }) => at)
  const changes: Series[] = [
    { label: 'Revoked', tone: 1, values: minutes.map(({ revoked }) => revoked) },
    { label: 'Restored', tone: 3, values: minutes.map(({ restored }) => restored) },
  ]
  const checks: Series[] = ANSWERS.map(({ label, tone, counts }) => ({
    label,
    tone,
    // The minute that is not over yet would look like a fall.
    values: minutes.slice(0, -1).map(({ checks: byAnswer }) => sumOf(byAnswer, counts) / 60),
  })).filter(({ tone, values }) => tone <= 2 || values.some((value) => value > 0))
  return { times, changes, checks }
}

function sumOf(counts: Readonly<Record<string, number>>, isMeant: (name: string) => boolean): number {
  return Object.entries(counts).reduce((sum, [name, count]) => (isMeant(name) ? sum + count : sum), 0)
}

/** The minute that is not over yet says too little. */
function checksASecond(minutes: readonly Minute[]): number {
  const last = minutes.at(-2)
  return last === undefined ? 0 : sumOf(last.checks, () => true) / 60
}

const NODES_SHOWN = 6

function NodeLines({
  nodes,
  maxMs = 5000,
}: {
  readonly nodes: readonly LiveNode[]
  readonly maxMs?: number | undefined
}) {
  if (nodes.length === 0)
    return <Empty title="No node has told of itself yet">A node does so within seconds of its start.</Empty>
  // First those to look at: who does not follow, and who is behind.
  const stalest = [...nodes].sort((a, b) => behind(b) - behind(a))
  return (
    <ul class="receipt-nodes">
      {stalest.slice(0, NODES_SHOWN).map(({ id, name, stalenessMs, ageMs }) => (
        <li key={id}>
          <span>
            <b>{name}</b> <span class="faint">seen {relativeTime(Date.now() / 1000 - ageMs / 1000)}</span>
          </span>
          <span class={`badge ${stalenessMs >= 0 && stalenessMs <= maxMs ? 'badge-good' : 'badge-warning'}`}>
            {stalenessMs < 0 ? 'does not follow' : `${duration(stalenessMs)} stale`}
          </span>
        </li>
      ))}
      {nodes.length > NODES_SHOWN && (
        <li class="faint">and {(nodes.length - NODES_SHOWN).toLocaleString('en')} more</li>
      )}
    </ul>
  )
}

function behind({ stalenessMs }: LiveNode): number {
  return stalenessMs < 0 ? Infinity : stalenessMs
}
