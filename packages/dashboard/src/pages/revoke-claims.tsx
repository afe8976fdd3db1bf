/** A target by its claims: up to eight, all of which a token must carry. */
import { useId } from 'preact/hooks'
import { Icon } from '../pieces/icon.js'
import { looksLikeToken } from '../token/decode.js'

export interface ClaimRow {
  readonly name: string
  readonly value: string
}

const CLAIMS_MAX = 8
const NAMES = ['sub', 'sid', 'client_id', 'iss', 'jti', 'aud']

export function emptyClaims(): readonly ClaimRow[] {
  return [{ name: 'sub', value: '' }]
}

/** Undefined while something is missing, or cannot be. */
export function targetOfRows(rows: readonly ClaimRow[]): Readonly<Record<string, string>> | undefined {
  const claims = rows.map(({ name, value }) => [name.trim(), value.trim()] as const)
  const isWhole = claims.every(([name, value]) => name !== '' && value !== '')
  return isWhole && problemOf(rows) === undefined ? Object.fromEntries(claims) : undefined
}

function problemOf(rows: readonly ClaimRow[]): string | undefined {
  if (rows.some(({ value }) => looksLikeToken(value)))
    return 'A value looks like a token, which nobody should read here: choose “A token” and paste it there.'
  const names = rows.map(({ name }) => name.trim()).filter((name) => name !== '')
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  return twice === undefined ? undefined : `The claim ${twice} stands there twice.`
}

interface ClaimRowsProps {
  readonly rows: readonly ClaimRow[]
  readonly onChange: (rows: readonly ClaimRow[]) => void
}

export function ClaimRows({ rows, onChange }: ClaimRowsProps) {
  const id = useId()
  const problem = problemOf(rows)
  const change = (at: number, part: Partial<ClaimRow>) =>
    onChange(rows.map((row, i) => (i === at ? { ...row, ...part } : row)))
  return (
    <fieldset class="stack-tight" aria-describedby={`${id}-hint`}>
      <legend class="legend">Tokens that carry all of these claims</legend>
      <datalist id={`${id}-names`}>
        {NAMES.map((name) => (
          <option value={name} key={name} />
        ))}
      </datalist>
      <div class="claim-rows">
        {rows.map(({ name, value }, i) => (
          <div class="claim-row" key={i}>
            <input
              type="text"
              class="mono"
              aria-label={`Name of claim ${i + 1}`}
              list={`${id}-names`}
              value={name}
              maxLength={128}
              autoCapitalize="none"
              spellcheck={false}
              onInput={(event) => change(i, { name: event.currentTarget.value })}
            />
            <input
              type="text"
              class="mono"
              aria-label={`Value of claim ${i + 1}`}
              value={value}
              maxLength={1024}
              autoCapitalize="none"
              autoComplete="off"
              spellcheck={false}
              aria-invalid={looksLikeToken(value) ? 'true' : undefined}
              onInput={(event) => change(i, { value: event.currentTarget.value })}
            />
            <button
              type="button"
              class="icon-button"
              aria-label={`Remove claim ${i + 1}`}
              disabled={rows.length === 1}
              onClick={() => onChange(rows.filter((_, other) => other !== i))}
            >
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <p class="hint" id={`${id}-hint`}>
        <code>sub</code> is a person, <code>sid</code> a session, <code>client_id</code> an application; two
        together are a person in one application.
      </p>
      <div>
        <button
          type="button"
          class="button button-small"
          disabled={rows.length >= CLAIMS_MAX}
          onClick={() => onChange([...rows, { name: '', value: '' }])}
        >
          Add a claim
        </button>
      </div>
    </fieldset>
  )
}
