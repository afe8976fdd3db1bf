/** The nodes that live: how fresh each of them is, and how far it has read. */
import { Page } from '../pieces/page.js'
import { Awaited, Empty, Notice } from '../pieces/state.js'
import { duration } from '../pieces/time.js'
import { ask } from '../service/ask.js'
import { tick } from '../service/live.js'
import { mayRead } from '../service/session.js'
import type { LiveNode, Status } from '../service/types.js'
import { useEvery, useLoad } from '../service/use-load.js'

const LOOK_MS = 2000

export function NodesPage() {
  return (
    <Page title="Nodes" lead="Every process that follows this store and checks tokens from its own memory.">
      {mayRead.value ? (
        <Nodes />
      ) : (
        <Notice title="Your role may revoke, but not read">
          The nodes are for clients with the role <code>read</code>.
        </Notice>
      )}
    </Page>
  )
}

function Nodes() {
  const refresh = `${tick.value} ${useEvery(LOOK_MS)}`
  const nodes = useLoad((signal) => ask<{ nodes: LiveNode[] }>('/api/v1/nodes', { signal }), 'nodes', refresh)
  const status = useLoad((signal) => ask<Status>('/api/v1/status', { signal }), 'status')
  const maxMs = status.value?.freshness.stalenessMaxMs ?? 5000
  return (
    <section class="card" aria-label="Nodes">
      <Awaited loaded={nodes} what="the nodes">
        {(value) =>
          value.nodes.length === 0 ? (
            <Empty title="No node has told of itself yet">A node does so within seconds of its start.</Empty>
          ) : (
            <NodeTable nodes={value.nodes} maxMs={maxMs} />
          )
        }
      </Awaited>
    </section>
  )
}

function NodeTable({ nodes, maxMs }: { readonly nodes: readonly LiveNode[]; readonly maxMs: number }) {
  const rows = nodes.toSorted((a, b) => a.name.localeCompare(b.name))
  const ends = new Set(nodes.map(({ position }) => position))
  return (
    <div class="table-wrap">
      <table class="table-cards">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th scope="col" class="right">
              Heard of the store
            </th>
            <th scope="col" class="right">
              Statements in memory
            </th>
            <th scope="col" class="right">
              Told this
            </th>
            <th scope="col">Position in the log</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ id, name, stalenessMs, entries, ageMs, position }) => (
            <tr key={id}>
              <td data-name="Node">
                <b>{name}</b>
              </td>
              <td data-name="State">
                <NodeState stalenessMs={stalenessMs} maxMs={maxMs} isTogether={ends.size === 1} />
              </td>
              <td data-name="Heard" class="right">
                {stalenessMs < 0 ? '–' : `${duration(stalenessMs)} ago`}
              </td>
              <td data-name="Statements" class="right">
                {entries.toLocaleString('en')}
              </td>
              <td data-name="Told this" class="right">
                {duration(ageMs)} ago
              </td>
              <td data-name="Position">
                <code class="faint">{position === '' ? 'nothing read' : position}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface NodeStateProps {
  readonly stalenessMs: number
  readonly maxMs: number
  readonly isTogether: boolean
}

function NodeState({ stalenessMs, maxMs, isTogether }: NodeStateProps) {
  if (stalenessMs < 0) return <span class="badge">does not follow</span>
  if (stalenessMs > maxMs) return <span class="badge badge-danger">stale: asks the store</span>
  return <span class="badge badge-good">{isTogether ? 'fresh, at the end' : 'fresh'}</span>
}
