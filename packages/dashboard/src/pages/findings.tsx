/** The health of the store in plain words: what is wrong, and what to do. */
import { Notice } from '../pieces/state.js'
import { duration } from '../pieces/time.js'
import type { Finding, Status } from '../service/types.js'

const KINDS: Readonly<Record<string, string>> = {
  redis: 'Redis',
  lmdb: 'the embedded store, on this machine’s disk',
  memory: 'memory alone: nothing outlives the service',
  remote: 'another service',
}
const BADGES: Readonly<Record<Finding['severity'], readonly [tone: string, text: string]>> = {
  critical: ['badge-danger', 'Critical'],
  warning: ['badge-warning', 'Warning'],
  info: ['', 'Good to know'],
}

export function FindingList({ status }: { readonly status: Status }) {
  const { store, freshness, doctor } = status
  const findings = doctor?.findings ?? []
  return (
    <div class="stack">
      <StoreNotice status={status} />
      <p class="soft">
        Kept in {KINDS[store.kind] ?? store.kind}.{' '}
        {freshness.stalenessMs !== null && `It last answered ${duration(freshness.stalenessMs)} ago.`}
      </p>
      {findings.length > 0 && (
        <ul class="findings">
          {findings.map((finding, i) => (
            <FindingItem key={`${finding.code}${i}`} finding={finding} />
          ))}
        </ul>
      )}
    </div>
  )
}

function StoreNotice({ status: { store, freshness, doctor } }: { readonly status: Status }) {
  if (!store.isUp)
    return (
      <Notice tone="danger" title="The store does not answer">
        Revoking is not possible until it does. Nodes refuse what they cannot check, unless told otherwise.
      </Notice>
    )
  if (!freshness.isFresh)
    return (
      <Notice tone="warning" title="This service is not fresh">
        It has not heard from the store for too long, and asks the store for every check.
      </Notice>
    )
  if (doctor?.worst === 'critical' || doctor?.worst === 'warning')
    return <Notice tone="warning" title="It works, and something should be looked at" />
  return <Notice tone="good" title="The store is well" />
}

function FindingItem({ finding }: { readonly finding: Finding }) {
  const { severity, meaning, action, server } = finding
  const [tone, text] = BADGES[severity]
  return (
    <li>
      <span class={`badge ${tone}`}>{text}</span>
      <span>{meaning}</span>
      <span class="soft">{action}</span>
      {server !== undefined && <span class="faint mono">{server}</span>}
    </li>
  )
}
