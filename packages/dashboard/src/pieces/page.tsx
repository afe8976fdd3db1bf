/** The head of a page and its place: the title is told when the page is opened, and the focus goes to it. */
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

interface PageProps {
  readonly title: string
  readonly lead?: ComponentChildren
  readonly actions?: ComponentChildren
  readonly isNarrow?: boolean
  readonly children: ComponentChildren
}

/** At the first page the browser's own place is the right one; when somebody has signed in, the page is what is new. */
let takesFocus = false

/** The next page that is opened takes the focus. */
export function focusNextPage(): void {
  takesFocus = true
}

export function Page({ title, lead, actions, isNarrow = false, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  useLayoutEffect(() => {
    document.title = `${title} – Rescind`
    if (takesFocus) {
      heading.current?.focus({ preventScroll: true })
      scrollTo(0, 0)
    }
    focusNextPage()
  }, [title])
  return (
    <div class={`page ${isNarrow ? 'page-narrow' : ''}`}>
      <header class="page-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {lead !== undefined && <p>{lead}</p>}
        </div>
        {actions !== undefined && <div class="row">{actions}</div>}
      </header>
      {children}
    </div>
  )
}
