/** A line of an import: a revocation as `export` and `list --json` write it, with every field of `/revocations/bulk`. */
import { z } from 'zod'
import { readJson } from '../api/json.js'
import type { BulkLine, BulkOutcome } from './backend/backend.js'
import { QUOTED_LENGTH_MAX } from './failure.js'
import type { Line } from '../lines.js'
import { DURATION_MAX_SECONDS } from './time.js'

const time = z.union([
  z.number(),
  z.iso.datetime({ offset: true }).transform((date) => Date.parse(date) / 1000),
])

/** What may stand in a line. Whatever else does was meant to say something: an end with a typing error, say. */
const schema = z.strictObject({
  target: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  expiresAt: time.optional(),
  lifetimeSeconds: z.int().min(1).max(DURATION_MAX_SECONDS).optional(),
  issuedBefore: time.nullable().optional(),
  reason: z.string().optional(),
  actor: z.string().optional(),
  // Of the store that the line comes from, and made anew by this one.
  id: z.unknown().optional(),
  revokedAt: z.unknown().optional(),
})

export type Read = { readonly wish: BulkLine } | { readonly outcome: BulkOutcome }

/** Never throws; what is wrong with a line is named by its field and without its value. `now`: seconds since 1970. */
export function readBulkLine({ number: line, text, problem }: Line, now: number): Read {
  const refuse = (message: string): Read => ({
    outcome: { line, status: 'refused', code: 'LINE_INVALID', message },
  })
  if (problem !== undefined) return refuse(`the line ${problem}`)
  const json = readJson(text)
  if (json.problem !== undefined) return refuse(`the line ${json.problem}`)
  const { data, error } = schema.safeParse(json.value)
  if (data === undefined) return refuse(error.issues.map(problemOf).join('; '))
  const { target, expiresAt, lifetimeSeconds, issuedBefore, reason, actor } = data
  if (Object.keys(target).length === 0)
    return refuse('an empty target means everything: `rescind revoke --everything` does that')
  if (expiresAt !== undefined && lifetimeSeconds !== undefined)
    return refuse('give one of expiresAt and lifetimeSeconds')
  const end = lifetimeSeconds === undefined ? expiresAt : Math.ceil(now) + lifetimeSeconds
  return { wish: { line, target, expiresAt: end, issuedBefore, reason, actor } }
}

function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return `${issue.path.join('.') || 'line'}: ${issue.message}`
  const names = issue.keys.map((key) => (key.length > QUOTED_LENGTH_MAX ? '"…"' : `"${key}"`))
  return `it says what no line has: ${names.join(', ')}`
}
