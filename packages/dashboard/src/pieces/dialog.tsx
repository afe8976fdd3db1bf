/** A dialog over the page: the focus stays in it, and goes back where it was. Escape closes it where it may be closed. */
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useId, useRef } from 'preact/hooks'

interface DialogProps {
  readonly title: string
  /** Absent: it is closed by what is done in it alone. */
  readonly onClose?: (() => void) | undefined
  readonly children: ComponentChildren
}

export function Dialog({ title, onClose, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const isOver = useRef(false)
  const id = useId()
  useLayoutEffect(() => {
    const before = document.activeElement
    const dialog = ref.current
    dialog?.showModal()
    return () => {
      // While it is open, nothing behind it takes the focus.
      isOver.current = true
      dialog?.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose?.()
      }}
      onClose={() => {
        // A second Escape closes it by itself, whatever was said to the first.
        if (isOver.current) return
        if (onClose === undefined) ref.current?.showModal()
        else onClose()
      }}
    >
      <div class="stack">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  )
}
