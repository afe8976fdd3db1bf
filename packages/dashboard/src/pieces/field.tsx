/** A labelled input with its hint and its problem, each tied to it for who cannot see them. */
import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

export interface FieldIds {
  readonly id: string
  readonly 'aria-describedby': string | undefined
  readonly 'aria-invalid': 'true' | undefined
}

interface FieldProps {
  readonly label: string
  readonly hint?: ComponentChildren
  readonly problem?: string | undefined
  readonly children: (ids: FieldIds) => ComponentChildren
}

export function Field({ label, hint, problem, children }: FieldProps) {
  const id = useId()
  const told = [hint !== undefined && `${id}-hint`, problem !== undefined && `${id}-problem`].filter(Boolean)
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        'aria-describedby': told.length > 0 ? told.join(' ') : undefined,
        'aria-invalid': problem === undefined ? undefined : 'true',
      })}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {problem !== undefined && (
        <p class="problem" id={`${id}-problem`} role="alert">
          {problem}
        </p>
      )}
    </div>
  )
}

interface TextFieldProps extends Omit<FieldProps, 'children'> {
  readonly value: string
  readonly onInput: (value: string) => void
  /** For names and values that programs read: not spelled, not completed. */
  readonly isCode?: boolean
  readonly maxLength?: number
  readonly placeholder?: string
}

export function TextField({
  value,
  onInput,
  isCode = false,
  maxLength,
  placeholder,
  ...field
}: TextFieldProps) {
  return (
    <Field {...field}>
      {(ids) => (
        <input
          {...ids}
          type="text"
          class={isCode ? 'mono' : undefined}
          value={value}
          maxLength={maxLength}
          placeholder={placeholder}
          autoComplete="off"
          autoCapitalize={isCode ? 'none' : undefined}
          spellcheck={!isCode}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  )
}

interface ChoicesProps<T extends string> {
  readonly legend: string
  readonly hint?: string | undefined
  readonly value: T
  readonly options: readonly (readonly [value: T, label: string])[]
  readonly onChange: (value: T) => void
}

/** One of a few, all of them to be seen. */
export function Choices<T extends string>({ legend, hint, value, options, onChange }: ChoicesProps<T>) {
  const id = useId()
  return (
    <fieldset class="stack-tight" aria-describedby={hint === undefined ? undefined : `${id}-hint`}>
      <legend class="legend">{legend}</legend>
      <div class="choices">
        {options.map(([option, label]) => (
          <label class="choice" key={option}>
            <input
              type="radio"
              name={id}
              value={option}
              checked={option === value}
              onChange={() => onChange(option)}
            />
            <span>{label}</span>
          </label>
        ))}
      </div>
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </fieldset>
  )
}
