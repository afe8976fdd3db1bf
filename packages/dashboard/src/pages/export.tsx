/** The list as a file, one revocation a line (NDJSON), as `rescind import` takes it. Read piece by piece; it may be stopped. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { explain } from '../service/ask.js'
import { type Filter, readPage } from './revocation-list.js'

const BATCH = 1000
/** More than a browser should hold: `rescind export` has no bound. */
const EXPORT_MAX = 1_000_000

type State =
  | { readonly at: 'idle' }
  | { readonly at: 'reading'; readonly count: number }
  | { readonly at: 'failed'; readonly detail: string }
  | { readonly at: 'cut'; readonly count: number }

export function ExportButton({ filter }: { readonly filter: Filter }) {
  const [state, setState] = useState<State>({ at: 'idle' })
  const stop = useRef<AbortController | undefined>(undefined)

  // Who leaves the page, or looks for something else, wants no file any more.
  useEffect(() => () => stop.current?.abort(), [])

  const run = async () => {
    const leaving = new AbortController()
    stop.current = leaving
    const pieces: string[] = []
    let count = 0
    let cursor: string | undefined
    try {
      do {
        setState({ at: 'reading', count })
        const page = await readPage({ filter, cursor, signal: leaving.signal, length: BATCH })
        pieces.push(page.revocations.map((revocation) => `${JSON.stringify(revocation)}\n`).join(''))
        count += page.revocations.length
        cursor = page.cursor
      } while (cursor !== undefined && count < EXPORT_MAX)
      save(new Blob(pieces, { type: 'application/x-ndjson' }))
      setState(cursor === undefined ? { at: 'idle' } : { at: 'cut', count })
    } catch (error) {
      if (leaving.signal.aborted) setState({ at: 'idle' })
      else setState({ at: 'failed', detail: explain(error).title })
    }
  }

  if (state.at === 'reading')
    return (
      <button type="button" class="button" onClick={() => stop.current?.abort()}>
        <span role="status">{state.count.toLocaleString('en')} read</span> – stop
      </button>
    )
  return (
    <button type="button" class="button" onClick={() => void run()}>
      {state.at === 'failed' ? `${state.detail}: export again` : 'Export'}
      {state.at === 'cut' && (
        <span role="status">
          {' '}
          – the first {state.count.toLocaleString('en')} were saved, and there are more: use rescind export
        </span>
      )}
    </button>
  )
}

function save(blob: Blob): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = `revocations-${new Date().toISOString().slice(0, 10)}.ndjson`
  link.click()
  // The download has begun when the click has returned; a second is for browsers that take longer.
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}
