/** What to look for in the list. A token is not looked for: it would stand in an address. */
import { useState } from 'preact/hooks'
import { Field } from '../pieces/field.js'
import { hrefTo } from '../router.js'
import { looksLikeToken } from '../token/decode.js'
import { type Filter, isEmptyFilter } from './revocation-list.js'

interface FiltersProps {
  readonly filter: Filter
  readonly onChange: (filter: Filter) => void
}

export function Filters({ filter, onChange }: FiltersProps) {
  const [draft, setDraft] = useState(filter)
  const hasToken = Object.values(draft).some(looksLikeToken)
  const isClaim = draft.claim === '' || /^[^=]+=./.test(draft.claim)
  const text = (name: keyof Filter) => ({
    value: draft[name],
    maxLength: 256,
    spellcheck: false,
    autoCapitalize: 'none' as const,
    onInput: (event: { currentTarget: HTMLInputElement }) =>
      setDraft({ ...draft, [name]: event.currentTarget.value }),
  })
  return (
    <form
      class="filters"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        if (!hasToken && isClaim) onChange(draft)
      }}
    >
      <div class="filters-main">
        <Field
          label="Look for"
          problem={hasToken ? 'This looks like a token: paste it under Check instead.' : undefined}
        >
          {(ids) => (
            <input
              {...ids}
              {...text('search')}
              type="search"
              placeholder="A claim’s value, reason, client or id"
            />
          )}
        </Field>
        <button class="button" type="submit">
          Look
        </button>
      </div>
      <details open={filter.claim !== '' || filter.actor !== '' || filter.since !== ''}>
        <summary>More filters</summary>
        <div class="filters-more">
          <Field label="Claim" problem={isClaim ? undefined : 'Write it as NAME=VALUE.'}>
            {(ids) => <input {...ids} {...text('claim')} type="text" class="mono" placeholder="sub=alice" />}
          </Field>
          <Field label="Revoked by">
            {(ids) => <input {...ids} {...text('actor')} type="text" placeholder="Id of a client" />}
          </Field>
          <Field label="Revoked since">
            {(ids) => <input {...ids} {...text('since')} type="datetime-local" />}
          </Field>
        </div>
      </details>
      {!isEmptyFilter(filter) && (
        <a class="faint" href={hrefTo('revocations')}>
          Clear all filters
        </a>
      )}
    </form>
  )
}
