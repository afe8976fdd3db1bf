/** What stands for a target, and what a revocation of it would change. */
import type { Digest } from './core/digest.js'
import { ANY_TIME, covers, type Entry, type Revocation, toRevocation } from './core/revocation.js'
import { type ParsedTarget, type Target, targetOf } from './core/target.js'
import { type Scope, scopeOf } from './statement.js'
import type { Store } from './stores/store.js'

/** All that is revoked for one target. */
export interface Standing {
  readonly id: Digest
  readonly target: Target
  readonly scope: Scope
  /** When it was last restored, in seconds since 1970; `null`: never, as far as the store remembers. */
  readonly restoredAt: number | null
  readonly revocations: readonly Revocation[]
}

/** What a revocation would do, before it is done. */
export interface Preview {
  readonly target: Target
  readonly scope: Scope
  readonly issuedBefore: number | null
  readonly expiresAt: number
  /** `new`, or `extends` a revocation that stands, or `none`: it says as much already. */
  readonly effect: 'new' | 'extends' | 'none'
  /** What stands already under this target. */
  readonly standing: readonly Revocation[]
}

/** What stands under an id, the longest first; undefined where nothing does. `now`: seconds since 1970. */
export async function standingUnder(
  store: Store,
  id: Digest,
  now: () => number,
): Promise<Standing | undefined> {
  const [held] = await store.find(() => [id])
  if (held === undefined) return undefined
  const { digest, target, state } = held
  const at = now()
  const standing = state.entries.filter(({ end }) => at < end).sort((a, b) => b.end - a.end)
  if (standing.length === 0) return undefined
  return {
    id: digest,
    target,
    scope: scopeOf(Object.keys(target)),
    restoredAt: state.restoredAt === 0 ? null : state.restoredAt,
    revocations: standing.map((entry) => toRevocation(digest, target, entry)),
  }
}

/** What it would change to state this of a target. */
export async function previewOf(
  store: Store,
  target: ParsedTarget,
  entry: Entry,
  now: () => number,
): Promise<Preview> {
  const held = await store.find(() => [target.digest])
  const at = now()
  const standing = (held[0]?.state.entries ?? []).filter(({ end }) => at < end)
  return {
    target: targetOf(target),
    scope: scopeOf(target.shape),
    issuedBefore: entry.issuedBefore === ANY_TIME ? null : entry.issuedBefore,
    expiresAt: entry.end,
    effect: standing.some((other) => covers(other, entry)) ? 'none' : standing.length > 0 ? 'extends' : 'new',
    standing: standing.map((other) => toRevocation(target.digest, targetOf(target), other)),
  }
}
