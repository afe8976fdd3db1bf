/** The audit trail, a page at a time: all of it, or what was done under one revocation. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Pager } from '../pieces/pager.js'
import { Awaited } from '../pieces/state.js'
import { ask } from '../service/ask.js'
import { tick } from '../service/live.js'
import type { AuditEntry } from '../service/types.js'
import { useLoad } from '../service/use-load.js'

const PAGE_LENGTH = 50

interface TrailProps {
  /** The id of a revocation; absent for all that was done. */
  readonly revocation?: string
  readonly children: (entries: readonly AuditEntry[]) => ComponentChildren
}

export function Trail({ revocation, children }: TrailProps) {
  /** The cursors of the pages before this one. */
  const [cursors, setCursors] = useState<readonly string[]>([])
  const cursor = cursors.at(-1)
  const query = new URLSearchParams({ limit: String(PAGE_LENGTH) })
  if (cursor !== undefined) query.set('cursor', cursor)
  if (revocation !== undefined) query.set('revocation', revocation)
  const trail = useLoad(
    (signal) => ask<{ entries: AuditEntry[]; cursor?: string }>(`/api/v1/audit?${query}`, { signal }),
    String(query),
    // Later pages stand still.
    cursor === undefined ? tick.value : 0,
  )
  return (
    <div aria-busy={trail.isLoading}>
      <Awaited loaded={trail} what="the audit trail">
        {({ entries, cursor: next }) => (
          <>
            {children(entries)}
            <Pager
              label="Pages of the trail"
              number={cursors.length + 1}
              hasNext={next !== undefined}
              onPrevious={() => setCursors(cursors.slice(0, -1))}
              onNext={() => next !== undefined && setCursors([...cursors, next])}
            />
          </>
        )}
      </Awaited>
    </div>
  )
}
