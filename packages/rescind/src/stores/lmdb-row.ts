/** What the embedded store keeps under a digest: target and state, as JSON in one form, read back with suspicion. */
import { ENTRIES_MAX, type Entry, type State } from '../core/revocation.js'
import { type ParsedTarget, type Target, targetOf } from '../core/target.js'

export interface Row {
  readonly target: Target
  readonly state: State
  /**
   * The latest end that the row ever had, or the time of its restore: it is kept for the grace beyond, so that a
   * restore outlives what it ended, and every clock by which somebody could revoke again with an earlier time.
   */
  readonly keptUntil: number
}

/** `[keptUntil, restoredAt, names, values, [[at, end, issuedBefore, reason, actor] …]]` */
type Packed = [number, number, string[], string[], [number, number, number, string | null, string | null][]]

export function packRow({ shape, values }: ParsedTarget, state: State, keptUntil: number): string {
  const entries = state.entries.map(({ at, end, issuedBefore, reason, actor }) => [
    at,
    end,
    issuedBefore,
    reason ?? null,
    actor ?? null,
  ])
  return JSON.stringify([keptUntil, state.restoredAt, shape, values, entries])
}

/** Undefined for a text that `packRow` would not have written. */
export function parseRow(text: string): Row | undefined {
  let packed: unknown
  try {
    packed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isPacked(packed)) return undefined
  const [keptUntil, restoredAt, shape, values, statements] = packed
  const entries = statements.map(([at, end, issuedBefore, reason, actor]): Entry => ({
    at,
    end,
    issuedBefore,
    ...(reason === null ? {} : { reason }),
    ...(actor === null ? {} : { actor }),
  }))
  return { target: targetOf({ shape, values }), state: { restoredAt, entries }, keptUntil }
}

function isPacked(value: unknown): value is Packed {
  if (!Array.isArray(value) || value.length !== 5) return false
  const [keptUntil, restoredAt, shape, values, entries] = value as unknown[]
  return (
    isTime(keptUntil) &&
    isTime(restoredAt) &&
    isTexts(shape) &&
    isTexts(values) &&
    shape.length === values.length &&
    Array.isArray(entries) &&
    entries.length <= ENTRIES_MAX &&
    entries.every(isStatement)
  )
}

function isStatement(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 5) return false
  const [at, end, issuedBefore, reason, actor] = value as unknown[]
  return (
    [at, end, issuedBefore].every(isTime) &&
    [reason, actor].every((text) => text === null || typeof text === 'string')
  )
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
