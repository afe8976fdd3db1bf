/** A place to paste a token into. What it says is shown here, and sent nowhere before somebody asks for it. */
import { useMemo } from 'preact/hooks'
import { Field } from '../pieces/field.js'
import { Notice } from '../pieces/state.js'
import { exactTime, relativeTime } from '../pieces/time.js'
import { cleanToken, type Decoded, decode, TOKEN_LENGTH_MAX } from '../token/decode.js'
import type { ClaimRow } from './revoke-claims.js'

interface TokenBoxProps {
  readonly value: string
  readonly onChange: (token: string) => void
  /** Offers to name these claims in the place of the token. */
  readonly onClaims?: (rows: readonly ClaimRow[]) => void
}

/** Claims that people know, in the order in which they ask for them. */
const KNOWN = [
  ['iss', 'Issuer'],
  ['sub', 'Subject'],
  ['client_id', 'Client'],
  ['azp', 'Client'],
  ['aud', 'Audience'],
  ['sid', 'Session'],
  ['jti', 'Token id'],
  ['scope', 'Scope'],
] as const
const TIMES = [
  ['iat', 'Issued'],
  ['nbf', 'Not before'],
  ['exp', 'Ends'],
] as const
const OFFERED = [
  ['sub', 'Everything of this person'],
  ['sid', 'This session'],
  ['client_id', 'Everything of this application'],
] as const

export function TokenBox({ value, onChange, onClaims }: TokenBoxProps) {
  const decoded = useMemo(() => (value === '' ? undefined : decode(value)), [value])
  return (
    <div class="stack">
      <Field
        label="Token"
        hint="It is read in this browser. The service gets it to verify it, and keeps nothing but its id."
        problem={value.length > TOKEN_LENGTH_MAX ? 'This is longer than any token may be.' : undefined}
      >
        {(ids) => (
          <textarea
            {...ids}
            class="mono"
            rows={4}
            value={value}
            autoComplete="off"
            autoCapitalize="none"
            spellcheck={false}
            placeholder="eyJhbGciOi… (“Bearer” in front does no harm)"
            onInput={(event) => onChange(cleanToken(event.currentTarget.value))}
          />
        )}
      </Field>
      {value !== '' && decoded === undefined && (
        <Notice title="This is no JWT">
          It may be an opaque token, which says nothing by itself. The service will say whether it knows it.
        </Notice>
      )}
      {decoded !== undefined && <Said decoded={decoded} {...(onClaims === undefined ? {} : { onClaims })} />}
    </div>
  )
}

function Said({ decoded, onClaims }: { readonly decoded: Decoded } & Pick<TokenBoxProps, 'onClaims'>) {
  const { claims } = decoded
  const offered = OFFERED.filter(([name]) => typeof claims[name] === 'string')
  return (
    <section class="stack-tight appears" aria-label="What the token says of itself">
      <h2 class="heading-small">What it says of itself</h2>
      <dl class="facts">
        {KNOWN.filter(([name]) => claims[name] !== undefined).map(([name, label]) => (
          <Fact key={name} label={label} name={name} value={textOf(claims[name])} />
        ))}
        {TIMES.filter(([name]) => typeof claims[name] === 'number').map(([name, label]) => (
          <Fact key={name} label={label} name={name} value={timeText(claims[name] as number)} />
        ))}
      </dl>
      {claims.jti === undefined && (
        <p class="hint">It has no id (jti): it is revoked by a digest of what was signed.</p>
      )}
      {onClaims !== undefined && offered.length > 0 && (
        <div class="row">
          <span class="faint">Or rather:</span>
          {offered.map(([name, label]) => (
            <button
              type="button"
              class="button button-small"
              key={name}
              onClick={() => onClaims([{ name, value: String(claims[name]) }])}
            >
              {label}
            </button>
          ))}
        </div>
      )}
    </section>
  )
}

function Fact({
  label,
  name,
  value,
}: {
  readonly label: string
  readonly name: string
  readonly value: string
}) {
  return (
    <>
      <dt>
        {label} <code class="faint">{name}</code>
      </dt>
      <dd class="mono">{value}</dd>
    </>
  )
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  const isList = Array.isArray(value) && value.every((member) => typeof member === 'string')
  return isList ? value.join(', ') : JSON.stringify(value)
}

function timeText(seconds: number): string {
  return Number.isFinite(new Date(seconds * 1000).getTime())
    ? `${exactTime(seconds)} (${relativeTime(seconds)})`
    : String(seconds)
}
