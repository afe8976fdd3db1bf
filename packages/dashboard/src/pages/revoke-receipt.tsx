/** The receipt of a revocation: what is dead, and who knows of it. */
import { useLayoutEffect, useRef } from 'preact/hooks'
import { Notice } from '../pieces/state.js'
import { TargetView, targetText } from '../pieces/target.js'
import { duration, exactTime, Time } from '../pieces/time.js'
import { hrefTo } from '../router.js'
import { mayRead } from '../service/session.js'
import type { Receipt } from '../service/types.js'

interface ReceiptCardProps {
  readonly receipt: Receipt
  readonly tookMs: number
  readonly onAgain: () => void
}

const LEVELS = {
  accepted: 'The store has it. Every node will within moments.',
  replicated: 'The store and its replicas have it. Every node will within moments.',
  everywhere: 'Every live node refuses it from now on.',
} as const

export function ReceiptCard({ receipt, tookMs, onAgain }: ReceiptCardProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  useLayoutEffect(() => heading.current?.focus(), [])
  const { target, ack, confirmations, expiresAt, reason, id, revokedAt } = receipt
  return (
    <section class="card stack appears" aria-labelledby="receipt">
      <h2 id="receipt" ref={heading} tabIndex={-1}>
        Revoked
      </h2>
      <Notice tone="good" title={LEVELS[ack]}>
        <span class="visually-hidden">Revoked: {targetText(target)}. </span>
        It took {duration(tookMs)}, seen from this browser.
      </Notice>
      {confirmations !== undefined && <Confirmations confirmations={confirmations} />}
      <dl class="facts">
        <dt>Target</dt>
        <dd>
          <TargetView target={target} />
        </dd>
        <dt>Revoked</dt>
        <dd>{exactTime(revokedAt)}</dd>
        <dt>Until</dt>
        <dd>
          <Time seconds={expiresAt} isExact />
        </dd>
        {reason !== undefined && (
          <>
            <dt>Reason</dt>
            <dd>{reason}</dd>
          </>
        )}
        <dt>Id</dt>
        <dd class="mono">{id}</dd>
      </dl>
      <div class="row row-end">
        {mayRead.value && (
          <a class="button" href={hrefTo('revocations', { id })}>
            See it in the list
          </a>
        )}
        <button type="button" class="button button-main" onClick={onAgain}>
          Revoke something else
        </button>
      </div>
    </section>
  )
}

function Confirmations({ confirmations }: { readonly confirmations: NonNullable<Receipt['confirmations']> }) {
  const count = confirmations.length
  return (
    <div class="stack-tight">
      <h3>{count === 1 ? '1 node has it' : `${count} nodes have it`}</h3>
      <p class="hint">Counted from when the store had it until the node told that it has it, too.</p>
      <ul class="receipt-nodes" aria-label="Nodes that have it">
        {confirmations
          .toSorted((a, b) => a.afterMs - b.afterMs)
          .map(({ name, afterMs }, i) => (
            <li key={`${name} ${i}`}>
              <b>{name}</b>
              <span class="badge badge-good">after {duration(afterMs)}</span>
            </li>
          ))}
      </ul>
    </div>
  )
}
