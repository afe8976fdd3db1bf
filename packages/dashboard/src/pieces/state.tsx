/** What stands where something is not there: nothing yet, nothing at all, or a failure, and what can be done. */
import type { ComponentChildren } from 'preact'
import { explain } from '../service/ask.js'
import type { Loaded } from '../service/use-load.js'

export type Tone = 'plain' | 'good' | 'warning' | 'danger'

interface NoticeProps {
  readonly tone?: Tone
  readonly title?: string
  readonly children?: ComponentChildren
  /** Read out at once: for what a person waits for, and failures. */
  readonly isAlert?: boolean
}

export function Notice({ tone = 'plain', title, children, isAlert = false }: NoticeProps) {
  return (
    <div class={`notice notice-${tone} appears`} role={isAlert ? 'alert' : undefined}>
      {title !== undefined && <b>{title}</b>}
      {children !== undefined && <div>{children}</div>}
    </div>
  )
}

export function Failure({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  const { title, detail } = explain(error)
  return (
    <Notice tone="danger" title={title} isAlert>
      <p>{detail}</p>
      {onRetry !== undefined && (
        <p>
          <button type="button" class="button button-small" onClick={onRetry}>
            Try again
          </button>
        </p>
      )}
    </Notice>
  )
}

export function Loading({ what }: { readonly what: string }) {
  return (
    <p class="loading" role="status">
      Reading {what}…
    </p>
  )
}

export function Empty({
  title,
  children,
}: {
  readonly title: string
  readonly children?: ComponentChildren
}) {
  return (
    <div class="empty">
      <b>{title}</b>
      {children}
    </div>
  )
}

interface AwaitedProps<T> {
  readonly loaded: Loaded<T>
  readonly what: string
  readonly children: (value: T) => ComponentChildren
}

/** The value, or what stands in its place. A failure to read it again stands above what was known. */
export function Awaited<T>({ loaded, what, children }: AwaitedProps<T>) {
  const { value, error, reload } = loaded
  if (value === undefined)
    return error === undefined ? <Loading what={what} /> : <Failure error={error} onRetry={reload} />
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {children(value)}
    </>
  )
}
