/** What revoking would do, and the last word before it is done. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Choices, TextField } from '../pieces/field.js'
import { Failure, Notice } from '../pieces/state.js'
import { TargetView } from '../pieces/target.js'
import { Time } from '../pieces/time.js'
import type { AckLevel, Preview } from '../service/types.js'
import { useLoad } from '../service/use-load.js'
import { mayBeReason, ReasonField } from './reason-field.js'
import type { Times, Wish } from './revoke.js'
import { LifeField, timesOf, TOKENS_LIFE } from './revoke-life.js'

const WORD = 'everything'
const SCOPES = {
  token: 'One token',
  claims: 'Every token that carries these claims',
  everything: 'Every token, of everybody',
} as const
const EFFECTS = {
  new: ['plain', 'Nothing is revoked for this target yet'],
  extends: ['plain', 'Something is revoked here already; this goes further'],
  none: ['good', 'This is revoked already: doing it again changes nothing'],
} as const
const ACKS: readonly (readonly [AckLevel, string])[] = [
  ['everywhere', 'Every node'],
  ['replicated', 'The store and its replicas'],
  ['accepted', 'The store'],
]
const ACK_HINTS: Readonly<Record<AckLevel, string>> = {
  everywhere: 'Waits until every live node refuses it, and names those that do.',
  replicated: 'Waits until the replicas of the store have it. Needs Redis with replicas.',
  accepted: 'The nodes learn of it within moments; this does not wait for them.',
}

interface PreviewCardProps {
  /** With the usual times. */
  readonly preview: Preview
  readonly previewAgain: (times: Times, signal: AbortSignal) => Promise<Preview>
  readonly onBack: () => void
  /** Throws what keeps it from being done. */
  readonly onConfirm: (wish: Wish) => Promise<void>
}

export function PreviewCard({ preview: usual, previewAgain, onBack, onConfirm }: PreviewCardProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  const [reason, setReason] = useState('')
  const [ack, setAck] = useState<AckLevel>('everywhere')
  const [isBan, setBan] = useState(false)
  const [life, setLife] = useState(TOKENS_LIFE)
  const [word, setWord] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  useLayoutEffect(() => heading.current?.focus(), [])

  const lifeTimes = timesOf(life)
  const times: Times = { ...lifeTimes, ...(isBan ? { issuedBefore: null } : {}) }
  const isUsual = Object.keys(times).length === 0
  const shown = useLoad(
    async (signal) => (isUsual ? usual : previewAgain(times, signal)),
    JSON.stringify(times),
  )
  const preview = shown.value ?? usual
  const isShown = lifeTimes !== undefined && shown.value !== undefined

  const isEverything = usual.scope === 'everything'
  const isReady =
    !isBusy && isShown && mayBeReason(reason) && (!isEverything || word.trim().toLowerCase() === WORD)
  const confirm = async () => {
    setBusy(true)
    setError(undefined)
    try {
      await onConfirm({ reason: reason.trim(), ack, times })
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }

  return (
    <form
      class="card stack appears"
      onSubmit={(event) => {
        event.preventDefault()
        if (isReady) void confirm()
      }}
    >
      <h2 ref={heading} tabIndex={-1}>
        What it covers
      </h2>
      <Covered preview={preview} usualEnd={usual.expiresAt} isShown={isShown} />
      {usual.scope === 'claims' && (
        <>
          <label class="check">
            <input
              type="checkbox"
              checked={isBan}
              onChange={(event) => setBan(event.currentTarget.checked)}
            />
            <span>
              Also tokens that are issued later
              <span class="hint"> – a ban, until its end; otherwise the next sign-in works</span>
            </span>
          </label>
          <LifeField life={life} onChange={setLife} />
        </>
      )}
      {shown.error !== undefined && <Failure error={shown.error} />}
      <ReasonField value={reason} onInput={setReason} />
      <Choices<AckLevel>
        legend="Wait for"
        hint={ACK_HINTS[ack]}
        value={ack}
        options={ACKS}
        onChange={setAck}
      />
      {isEverything && (
        <TextField label={`Type the word “${WORD}” to go on`} value={word} onInput={setWord} isCode />
      )}
      {error !== undefined && <Failure error={error} />}
      <div class="row row-end">
        <button type="button" class="button" onClick={onBack} disabled={isBusy}>
          Back
        </button>
        <button class="button button-danger" type="submit" disabled={!isReady} aria-busy={isBusy}>
          {isBusy ? 'Revoking…' : isEverything ? 'Revoke everything' : 'Revoke'}
        </button>
      </div>
    </form>
  )
}

interface CoveredProps {
  readonly preview: Preview
  /** When the last such token has ended, in seconds since 1970. */
  readonly usualEnd: number
  /** The preview is of what stands in the fields. */
  readonly isShown: boolean
}

function Covered({ preview, usualEnd, isShown }: CoveredProps) {
  const { scope, target, issuedBefore, expiresAt, effect, standing } = preview
  const [tone, text] = EFFECTS[effect]
  return (
    <div class="stack" aria-busy={!isShown}>
      <dl class="facts">
        <dt>Covers</dt>
        <dd>{SCOPES[scope]}</dd>
        <dt>Target</dt>
        <dd>
          <TargetView target={target} />
        </dd>
        <dt>Issued</dt>
        <dd>
          {issuedBefore === null ? (
            'at any time'
          ) : (
            <>
              until now, <Time seconds={issuedBefore} isExact />
            </>
          )}
        </dd>
        <dt>Until</dt>
        <dd>
          <Time seconds={expiresAt} isExact />
          <span class="faint"> – {lifeNote(preview, usualEnd)}</span>
        </dd>
      </dl>
      {expiresAt < usualEnd && (
        <Notice tone="warning" title="Some of these tokens may live longer">
          Those that do are accepted again after this end. The last one ends{' '}
          <Time seconds={usualEnd} isExact />.
        </Notice>
      )}
      <Notice tone={tone} title={text}>
        {standing.length > 0 && (
          <p>
            Since <Time seconds={Math.min(...standing.map(({ revokedAt }) => revokedAt))} />, until{' '}
            <Time seconds={Math.max(...standing.map((other) => other.expiresAt))} isExact />.
          </p>
        )}
      </Notice>
    </div>
  )
}

function lifeNote({ issuedBefore, expiresAt, scope }: Preview, usualEnd: number): string {
  if (issuedBefore === null && scope === 'claims') return 'later sign-ins are refused until then'
  if (expiresAt < usualEnd) return 'before the last such token has ended'
  return expiresAt > usualEnd ? 'longer than such a token lives' : 'no such token lives longer'
}
