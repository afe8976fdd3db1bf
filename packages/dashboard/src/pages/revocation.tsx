/** One revocation: all that stands for its target, its history, and the way back. */
import { useState } from 'preact/hooks'
import { Dialog } from '../pieces/dialog.js'
import { Page } from '../pieces/page.js'
import { Awaited, Empty, Failure, Notice } from '../pieces/state.js'
import { TargetView, targetText } from '../pieces/target.js'
import { Time } from '../pieces/time.js'
import { hrefTo } from '../router.js'
import { ask, Refused } from '../service/ask.js'
import { tick } from '../service/live.js'
import { mayRead, mayRevoke } from '../service/session.js'
import type { Revocation, Standing } from '../service/types.js'
import { useLoad } from '../service/use-load.js'
import { mayBeReason, ReasonField } from './reason-field.js'
import { Trail } from './trail.js'

const SCOPES = {
  token: 'One token',
  claims: 'Every token with these claims',
  everything: 'Every token',
} as const

export function RevocationDetail({ id }: { readonly id: string }) {
  const [isAsking, setAsking] = useState(false)
  const [hasRestored, setRestored] = useState(false)
  const found = useLoad(
    (signal) =>
      ask<Standing>(`/api/v1/revocations/${encodeURIComponent(id)}`, { signal }).catch((error: unknown) => {
        if (error instanceof Refused && error.status === 404) return null
        throw error
      }),
    id,
    `${tick.value} ${String(hasRestored)}`,
  )
  return (
    <Page
      title="Revocation"
      lead={<a href={hrefTo('revocations')}>← All revocations</a>}
      isNarrow
      actions={
        mayRevoke.value &&
        found.value && (
          <button type="button" class="button" onClick={() => setAsking(true)}>
            Restore…
          </button>
        )
      }
    >
      {hasRestored && found.value === null && (
        <Notice tone="good" title="Restored" isAlert>
          Tokens of this target are accepted again, unless another revocation covers them too.
        </Notice>
      )}
      <Awaited loaded={found} what="the revocation">
        {(standing) => (
          <>
            {standing === null ? <NothingStands /> : <StandingCard standing={standing} />}
            {mayRead.value && <History id={id} />}
          </>
        )}
      </Awaited>
      {isAsking && found.value && (
        <RestoreDialog
          standing={found.value}
          onClose={() => setAsking(false)}
          onRestored={() => {
            setAsking(false)
            setRestored(true)
          }}
        />
      )}
    </Page>
  )
}

function NothingStands() {
  return (
    <div class="card">
      <Empty title="Nothing is revoked under this id">
        It has ended with the tokens that it covered, or somebody has restored it.
      </Empty>
    </div>
  )
}

function StandingCard({ standing }: { readonly standing: Standing }) {
  const { id, target, scope, restoredAt, revocations } = standing
  return (
    <>
      <section class="card stack" aria-label="What is revoked">
        <dl class="facts">
          <dt>Covers</dt>
          <dd>{SCOPES[scope]}</dd>
          <dt>Target</dt>
          <dd>
            <TargetView target={target} />
          </dd>
          {restoredAt !== null && (
            <>
              <dt>Last restored</dt>
              <dd>
                <Time seconds={restoredAt} isExact />
              </dd>
            </>
          )}
          <dt>Id</dt>
          <dd class="mono">{id}</dd>
        </dl>
      </section>
      <section class="card" aria-labelledby="standing">
        <div class="card-head">
          <h2 id="standing">What stands</h2>
        </div>
        <Statements revocations={revocations} />
      </section>
    </>
  )
}

function Statements({ revocations }: { readonly revocations: readonly Revocation[] }) {
  return (
    <div class="table-wrap">
      <table class="table-cards">
        <thead>
          <tr>
            <th scope="col">Revoked</th>
            <th scope="col">Tokens issued</th>
            <th scope="col">Until</th>
            <th scope="col">By</th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
          {revocations.map(({ revokedAt, issuedBefore, expiresAt, actor, reason }, i) => (
            <tr key={i}>
              <td data-name="Revoked">
                <Time seconds={revokedAt} />
              </td>
              <td data-name="Issued">
                {issuedBefore === null ? 'at any time' : <Time seconds={issuedBefore} isExact />}
              </td>
              <td data-name="Until">
                <Time seconds={expiresAt} isExact />
              </td>
              <td data-name="By">{actor}</td>
              <td data-name="Reason">{reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function History({ id }: { readonly id: string }) {
  return (
    <section class="card" aria-labelledby="history">
      <div class="card-head">
        <h2 id="history">History</h2>
        <span class="faint">from the audit trail</span>
      </div>
      <Trail revocation={id}>
        {(entries) =>
          entries.length === 0 ? (
            <p class="soft">
              Nothing in the trail: a program revoked it on the store itself, or it was too long ago.
            </p>
          ) : (
            <ol class="receipt-nodes">
              {entries.map(({ id: entry, at, client, operation, reason }) => (
                <li key={entry}>
                  <span>
                    <b>{operation === 'restore' ? 'Restored' : 'Revoked'}</b> by {client}
                    {reason !== undefined && <span class="soft"> – {reason}</span>}
                  </span>
                  <Time seconds={at} />
                </li>
              ))}
            </ol>
          )
        }
      </Trail>
    </section>
  )
}

interface RestoreProps {
  readonly standing: Standing
  readonly onClose: () => void
  readonly onRestored: () => void
}

function RestoreDialog({ standing, onClose, onRestored }: RestoreProps) {
  const { target, scope } = standing
  const [reason, setReason] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const isReady = !isBusy && mayBeReason(reason)
  const restore = async () => {
    setBusy(true)
    setError(undefined)
    try {
      const named = scope === 'everything' ? { everything: true, confirm: 'everything' } : { target }
      await ask('/api/v1/restorations', {
        method: 'POST',
        body: { ...named, ...(reason.trim() === '' ? {} : { reason: reason.trim() }) },
      })
      onRestored()
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }
  return (
    <Dialog title="Restore?" onClose={onClose}>
      <p>
        Tokens of <b>{targetText(target)}</b> are accepted again, where they are good otherwise.
      </p>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault()
          if (isReady) void restore()
        }}
      >
        <ReasonField value={reason} onInput={setReason} />
        {error !== undefined && <Failure error={error} />}
        <div class="row row-end">
          <button type="button" class="button" onClick={onClose}>
            Leave it revoked
          </button>
          <button class="button button-main" type="submit" disabled={!isReady} aria-busy={isBusy}>
            {isBusy ? 'Restoring…' : 'Restore'}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
