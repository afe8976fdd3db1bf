/** Back and on through the pages of a list. Nothing where there is one page. */

interface PagerProps {
  /** Of what the pages are. */
  readonly label: string
  /** Of this page, from 1 on. */
  readonly number: number
  readonly hasNext: boolean
  readonly onPrevious: () => void
  readonly onNext: () => void
}

export function Pager({ label, number, hasNext, onPrevious, onNext }: PagerProps) {
  if (number === 1 && !hasNext) return null
  return (
    <nav class="row pager" aria-label={label}>
      <button type="button" class="button button-small" disabled={number === 1} onClick={onPrevious}>
        Previous
      </button>
      <span class="faint" role="status">
        Page {number}
      </span>
      <button type="button" class="button button-small" disabled={!hasNext} onClick={onNext}>
        Next
      </button>
    </nav>
  )
}
