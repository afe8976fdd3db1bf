/** Is this token dead, and why? */
import { useEffect, useRef, useState } from 'preact/hooks'
import { Choices } from '../pieces/field.js'
import { Page } from '../pieces/page.js'
import { Failure, Notice } from '../pieces/state.js'
import { TargetView } from '../pieces/target.js'
import { Time } from '../pieces/time.js'
import { hrefTo } from '../router.js'
import { ask } from '../service/ask.js'
import { mayRead } from '../service/session.js'
import type { CheckAnswer } from '../service/types.js'
import { type ClaimRow, ClaimRows, emptyClaims, targetOfRows } from './revoke-claims.js'
import { TokenBox } from './token-box.js'

type Kind = 'token' | 'claims'
type Result = { readonly answer: CheckAnswer; readonly kind: Kind } | { readonly error: unknown }

export function CheckPage() {
  const [kind, setKind] = useState<Kind>('token')
  const [token, setToken] = useState('')
  const [rows, setRows] = useState<readonly ClaimRow[]>(emptyClaims)
  const [result, setResult] = useState<Result>()
  const [isBusy, setBusy] = useState(false)
  const claims = targetOfRows(rows)
  const body = kind === 'token' ? (token === '' ? undefined : { token }) : claims && { claims }

  const check = async () => {
    setBusy(true)
    setResult(undefined)
    try {
      setResult({ answer: await ask<CheckAnswer>('/api/v1/checks', { method: 'POST', body }), kind })
    } catch (error) {
      setResult({ error })
    } finally {
      setBusy(false)
    }
  }

  return (
    <Page title="Check" lead="Is this token dead, and why? The store itself is asked." isNarrow>
      <form
        class="card stack"
        onSubmit={(event) => {
          event.preventDefault()
          if (body !== undefined) void check()
        }}
      >
        <Choices<Kind>
          legend="What shall be checked?"
          value={kind}
          options={[
            ['token', 'A token'],
            ['claims', 'Claims'],
          ]}
          onChange={(next) => {
            setKind(next)
            setResult(undefined)
          }}
        />
        {kind === 'token' ? (
          <TokenBox
            value={token}
            onChange={(next) => {
              setToken(next)
              setResult(undefined)
            }}
          />
        ) : (
          <ClaimRows
            rows={rows}
            onChange={(next) => {
              setRows(next)
              setResult(undefined)
            }}
          />
        )}
        <div class="row row-end">
          <button
            class="button button-main"
            type="submit"
            disabled={body === undefined || isBusy}
            aria-busy={isBusy}
          >
            {isBusy ? 'Asking…' : 'Check'}
          </button>
        </div>
      </form>
      <Told result={result} />
    </Page>
  )
}

function Told({ result }: { readonly result: Result | undefined }) {
  const place = useRef<HTMLDivElement>(null)
  // On a phone it would stand below what can be seen.
  useEffect(() => {
    if (result !== undefined) place.current?.scrollIntoView({ block: 'nearest' })
  }, [result])
  return (
    <div aria-live="polite" ref={place}>
      {result !== undefined &&
        ('answer' in result ? <Answer {...result} /> : <Failure error={result.error} />)}
    </div>
  )
}

function Answer({ answer, kind }: { readonly answer: CheckAnswer; readonly kind: Kind }) {
  switch (answer.status) {
    case 'clear':
      return (
        <Notice tone="good" title="Alive">
          It is not revoked. A route lets it through where it is good otherwise.
        </Notice>
      )
    case 'invalid':
      return (
        <Notice tone="warning" title="Dead, whatever is revoked">
          {answer.detail}
        </Notice>
      )
    case 'revoked':
      return <Dead answer={answer} kind={kind} />
  }
}

interface DeadProps {
  readonly answer: Extract<CheckAnswer, { status: 'revoked' }>
  readonly kind: Kind
}

function Dead({ answer, kind }: DeadProps) {
  const { id, target, revokedAt, actor, reason, expiresAt, issuedBefore } = answer.revocation
  // Claims tell of no time: of their tokens some may be newer than the revocation.
  const isOfSome = kind === 'claims' && issuedBefore !== null
  return (
    <section class="card stack appears" aria-labelledby="dead">
      <Notice tone="danger" title="Revoked">
        {isOfSome
          ? 'Every route refuses tokens with these claims that were issued up to the time below.'
          : 'Every route refuses it.'}
      </Notice>
      <h2 id="dead">Why</h2>
      <dl class="facts">
        <dt>Covered by</dt>
        <dd>
          <TargetView target={target} />
        </dd>
        <dt>Revoked</dt>
        <dd>
          <Time seconds={revokedAt} isExact />
          {actor !== undefined && <> by {actor}</>}
        </dd>
        <dt>Tokens issued</dt>
        <dd>
          {issuedBefore === null ? (
            'at any time'
          ) : (
            <>
              until <Time seconds={issuedBefore} isExact />
            </>
          )}
        </dd>
        <dt>Reason</dt>
        <dd>{reason ?? <span class="soft">none was given</span>}</dd>
        <dt>Until</dt>
        <dd>
          <Time seconds={expiresAt} isExact />
        </dd>
      </dl>
      {mayRead.value && (
        <div class="row row-end">
          <a class="button" href={hrefTo('revocations', { id })}>
            See the revocation
          </a>
        </div>
      )}
    </section>
  )
}
