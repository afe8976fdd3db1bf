/** How long a revocation lasts: as long as such tokens live, for some time, or until a time. The bounds are told first. */
import { Choices, Field } from '../pieces/field.js'

/** What stands in the fields. */
export interface Life {
  readonly kind: 'tokens' | 'for' | 'until'
  readonly count: string
  readonly unit: Unit
  /** A local time, as the browser gives it. */
  readonly until: string
}

/** As the service takes it. */
export interface LifeTimes {
  readonly lifetimeSeconds?: number
  readonly expiresAt?: number
}

const UNITS = { minutes: 60, hours: 3600, days: 86_400, years: 31_536_000 } as const
type Unit = keyof typeof UNITS

/** Ten years: the service takes no more. */
const LIFE_MAX_SECONDS = 315_360_000
const LIFE_MIN_SECONDS = 60
const BOUNDS = 'From a minute to 10 years.'

export const TOKENS_LIFE: Life = { kind: 'tokens', count: '30', unit: 'days', until: '' }

/** Undefined where the fields say nothing that the service takes. */
export function timesOf({ kind, count, unit, until }: Life, nowMs = Date.now()): LifeTimes | undefined {
  if (kind === 'tokens') return {}
  const isCount = /^\d{1,9}$/.test(count)
  const seconds =
    kind === 'for' ? (isCount ? Number(count) * UNITS[unit] : NaN) : (Date.parse(until) - nowMs) / 1000
  if (!(seconds >= LIFE_MIN_SECONDS && seconds <= LIFE_MAX_SECONDS)) return undefined
  return kind === 'for' ? { lifetimeSeconds: seconds } : { expiresAt: Math.floor(Date.parse(until) / 1000) }
}

interface LifeFieldProps {
  readonly life: Life
  readonly onChange: (life: Life) => void
}

export function LifeField({ life, onChange }: LifeFieldProps) {
  const { kind, count, unit, until } = life
  const isEmpty = kind === 'for' ? count === '' : until === ''
  const problem = isEmpty || timesOf(life) !== undefined ? undefined : BOUNDS
  return (
    <div class="stack">
      <Choices<Life['kind']>
        legend="How long"
        hint={kind === 'tokens' ? 'Until the last such token has ended.' : undefined}
        value={kind}
        options={[
          ['tokens', 'As long as the tokens'],
          ['for', 'For some time'],
          ['until', 'Until a time'],
        ]}
        onChange={(next) => onChange({ ...life, kind: next })}
      />
      {kind === 'for' && (
        <Field label="It lasts" hint={BOUNDS} problem={problem}>
          {(ids) => (
            <div class="row">
              <input
                {...ids}
                type="text"
                inputMode="numeric"
                class="input-short"
                value={count}
                maxLength={9}
                onInput={(event) => onChange({ ...life, count: event.currentTarget.value.trim() })}
              />
              <select
                aria-label="Unit"
                value={unit}
                onChange={(event) => onChange({ ...life, unit: event.currentTarget.value as Unit })}
              >
                {Object.keys(UNITS).map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </div>
          )}
        </Field>
      )}
      {kind === 'until' && (
        <Field label="It ends" hint={`${BOUNDS} By the clock of this browser.`} problem={problem}>
          {(ids) => (
            <input
              {...ids}
              type="datetime-local"
              value={until}
              onInput={(event) => onChange({ ...life, until: event.currentTarget.value })}
            />
          )}
        </Field>
      )}
    </div>
  )
}
