/** Revoking in three steps: name it, see what it would do, and see who knows of it. */
import { useState } from 'preact/hooks'
import { Choices } from '../pieces/field.js'
import { Page } from '../pieces/page.js'
import { Failure, Notice } from '../pieces/state.js'
import { ask } from '../service/ask.js'
import { mayRevoke } from '../service/session.js'
import type { AckLevel, Preview, Receipt } from '../service/types.js'
import { type ClaimRow, ClaimRows, emptyClaims, targetOfRows } from './revoke-claims.js'
import type { LifeTimes } from './revoke-life.js'
import { PreviewCard } from './revoke-preview.js'
import { ReceiptCard } from './revoke-receipt.js'
import { TokenBox } from './token-box.js'

/** What the service takes to name what is meant. */
export type Named =
  | { readonly token: string }
  | { readonly target: Readonly<Record<string, string>> }
  | { readonly everything: true; readonly confirm: 'everything' }

/** What it covers, as the service takes it; nothing said is what is usual. */
export interface Times extends LifeTimes {
  /** Also tokens that are issued later: a ban. Not for one token. */
  readonly issuedBefore?: null
}

export interface Wish {
  readonly reason: string
  readonly ack: AckLevel
  readonly times: Times
}

type Kind = 'token' | 'claims' | 'everything'
/** What stands in the form, of each kind. */
interface Wanted {
  readonly kind: Kind
  readonly token: string
  readonly rows: readonly ClaimRow[]
}

type Step =
  | { readonly at: 'naming'; readonly error?: unknown }
  | { readonly at: 'previewed'; readonly named: Named; readonly preview: Preview }
  | { readonly at: 'done'; readonly receipt: Receipt; readonly tookMs: number }

const ACK_TIMEOUT_MS = 10_000

export function RevokePage() {
  return (
    <Page
      title="Revoke"
      lead="Name a token, a person, a session or an application. Nothing happens before you have seen what it covers."
      isNarrow
    >
      {mayRevoke.value ? (
        <Steps />
      ) : (
        <Notice title="Your role may look, but not revoke">
          Ask somebody whose client has the role <code>revoke:any</code>. You can still{' '}
          <a href="/ui/check">check a token</a>.
        </Notice>
      )}
    </Page>
  )
}

function Steps() {
  const [wanted, setWanted] = useState(nothingWanted)
  const [step, setStep] = useState<Step>({ at: 'naming' })
  const [isBusy, setBusy] = useState(false)

  const named = namedBy(wanted)
  const preview = async () => {
    if (named === undefined) return
    setBusy(true)
    try {
      const found = await previewOf(named, {})
      setStep({ at: 'previewed', named, preview: found })
    } catch (error) {
      setStep({ at: 'naming', error })
    } finally {
      setBusy(false)
    }
  }
  const again = () => {
    setWanted(nothingWanted)
    setStep({ at: 'naming' })
  }

  if (step.at === 'done') return <ReceiptCard receipt={step.receipt} tookMs={step.tookMs} onAgain={again} />
  if (step.at === 'previewed')
    return (
      <PreviewCard
        preview={step.preview}
        previewAgain={(times, signal) => previewOf(step.named, times, signal)}
        onBack={() => setStep({ at: 'naming' })}
        onConfirm={async (wish) => {
          const { receipt, tookMs } = await revoke(step.named, wish)
          setStep({ at: 'done', receipt, tookMs })
        }}
      />
    )
  return (
    <form
      class="card stack"
      onSubmit={(event) => {
        event.preventDefault()
        void preview()
      }}
    >
      <Naming
        wanted={wanted}
        onChange={(next) => {
          setWanted(next)
          setStep({ at: 'naming' })
        }}
      />
      {step.error !== undefined && <Failure error={step.error} />}
      <div class="row row-end">
        <button
          class="button button-main"
          type="submit"
          disabled={named === undefined || isBusy}
          aria-busy={isBusy}
        >
          {isBusy ? 'Asking…' : 'See what it covers'}
        </button>
      </div>
    </form>
  )
}

interface NamingProps {
  readonly wanted: Wanted
  readonly onChange: (wanted: Wanted) => void
}

function Naming({ wanted, onChange }: NamingProps) {
  const { kind, token, rows } = wanted
  return (
    <>
      <Choices<Kind>
        legend="What shall be revoked?"
        value={kind}
        options={[
          ['token', 'One token'],
          ['claims', 'By claims'],
          ['everything', 'Everything'],
        ]}
        onChange={(next) => onChange({ ...wanted, kind: next })}
      />
      {kind === 'token' && (
        <TokenBox
          value={token}
          onChange={(next) => onChange({ ...wanted, token: next })}
          onClaims={(claims) => onChange({ ...wanted, kind: 'claims', rows: claims })}
        />
      )}
      {kind === 'claims' && (
        <ClaimRows rows={rows} onChange={(next) => onChange({ ...wanted, rows: next })} />
      )}
      {kind === 'everything' && (
        <Notice tone="warning" title="Every token that was issued until now">
          Everybody must sign in again, with every application, and you here too.
        </Notice>
      )}
    </>
  )
}

function previewOf(named: Named, times: Times, signal?: AbortSignal): Promise<Preview> {
  const body = { ...named, ...times }
  return ask('/api/v1/revocations/preview', { method: 'POST', body, ...(signal && { signal }) })
}

async function revoke(named: Named, wish: Wish): Promise<{ receipt: Receipt; tookMs: number }> {
  const { reason, ack, times } = wish
  const startedAt = performance.now()
  const receipt = await ask<Receipt>('/api/v1/revocations', {
    method: 'POST',
    timeoutMs: ACK_TIMEOUT_MS * 2,
    body: {
      ...named,
      ...(reason === '' ? {} : { reason }),
      ...times,
      ack,
      timeoutMs: ACK_TIMEOUT_MS,
    },
  })
  return { receipt, tookMs: performance.now() - startedAt }
}

function nothingWanted(): Wanted {
  return { kind: 'token', token: '', rows: emptyClaims() }
}

function namedBy({ kind, token, rows }: Wanted): Named | undefined {
  switch (kind) {
    case 'token':
      return token === '' ? undefined : { token }
    case 'claims': {
      const target = targetOfRows(rows)
      return target === undefined ? undefined : { target }
    }
    case 'everything':
      return { everything: true, confirm: 'everything' }
  }
}
