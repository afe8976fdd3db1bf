/** Why something is done, for the audit trail: for everybody to read, so never a token. */
import { TextField } from '../pieces/field.js'
import { looksLikeToken } from '../token/decode.js'

/** As the service takes it at most. */
const LENGTH_MAX = 512

export function mayBeReason(text: string): boolean {
  return !looksLikeToken(text)
}

interface ReasonFieldProps {
  readonly value: string
  readonly onInput: (value: string) => void
}

export function ReasonField({ value, onInput }: ReasonFieldProps) {
  return (
    <TextField
      label="Reason"
      hint="For the audit trail and whoever looks later. Optional; never a token."
      problem={
        mayBeReason(value) ? undefined : 'This looks like a token. It would be kept for everybody to read.'
      }
      value={value}
      onInput={onInput}
      maxLength={LENGTH_MAX}
      placeholder="Stolen phone, ticket 4711"
    />
  )
}
