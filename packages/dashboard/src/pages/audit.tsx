/** Who did what, when and why, newest first. */
import { Page } from '../pieces/page.js'
import { Empty, Notice } from '../pieces/state.js'
import { TargetView } from '../pieces/target.js'
import { Time } from '../pieces/time.js'
import { mayRead } from '../service/session.js'
import type { AuditEntry } from '../service/types.js'
import { Trail } from './trail.js'

const OPERATIONS: Readonly<Record<string, readonly [tone: string, text: string]>> = {
  revoke: ['badge-danger', 'Revoked'],
  restore: ['badge-good', 'Restored'],
  'give-back': ['', 'Given back after a loss'],
  'make-client': ['', 'Client made'],
  'change-client': ['', 'Client changed'],
  'remove-client': ['badge-warning', 'Client removed'],
  'make-key': ['', 'Key made'],
}
const VIA: Readonly<Record<string, string>> = { oauth: 'OAuth', api: 'API', command: 'command' }

export function AuditPage() {
  return (
    <Page title="Audit" lead="Who revoked, restored or changed what, when and why.">
      {mayRead.value ? (
        <section class="card" aria-label="Audit trail">
          <Trail>
            {(entries) =>
              entries.length === 0 ? (
                <Empty title="Nothing was done yet">
                  Each revocation, restore and change of a client is kept here.
                </Empty>
              ) : (
                <Entries entries={entries} />
              )
            }
          </Trail>
        </section>
      ) : (
        <Notice title="Your role may revoke, but not read">
          The trail is for clients with the role <code>read</code>.
        </Notice>
      )}
    </Page>
  )
}

function Entries({ entries }: { readonly entries: readonly AuditEntry[] }) {
  return (
    <div class="table-wrap">
      <table class="table-cards">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">Whom it is about</th>
            <th scope="col">Reason</th>
            <th scope="col">By way of</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <EntryRow key={entry.id} entry={entry} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function EntryRow({ entry }: { readonly entry: AuditEntry }) {
  const { at, client, operation, scope, target, subject, reason, via, revoked, restored } = entry
  const [tone, text] = OPERATIONS[operation] ?? ['', operation]
  return (
    <tr>
      <td data-name="When">
        <Time seconds={at} />
      </td>
      <td data-name="Who">{client}</td>
      <td data-name="What">
        <span class={`badge ${tone}`}>{text}</span>
      </td>
      <td data-name="Whom">
        {subject ?? (scope !== 'everything' && target === undefined ? '' : <TargetView target={target} />)}
        {revoked !== undefined && `${count(revoked, 'revocation')}, ${count(restored ?? 0, 'restore')}`}
      </td>
      <td data-name="Reason">{reason}</td>
      <td data-name="By way of" class="soft">
        {VIA[via] ?? via}
      </td>
    </tr>
  )
}

function count(number: number, what: string): string {
  return `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`
}
