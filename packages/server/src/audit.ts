/**
 * The audit trail: who revoked or restored what, when and why, and who made or changed a client. An entry is bounded,
 * holds no token, and never undoes or hides the change that it tells of: where it cannot be kept, the log says so.
 */
import { type Digest, revocationId, type Target } from 'rescind'
import type { Client } from './clients/client.js'
import { failureFields } from './log.js'
import type { Parts } from './parts.js'
import type { Records } from './records/records.js'

export interface AuditEntry {
  /** In seconds since 1970. */
  readonly at: number
  /** The id of the client; `user@host` of who used the command on the store itself. */
  readonly client: string
  readonly operation: 'revoke' | 'restore'
  /** One token, every token that carries the claims, or every token. */
  readonly scope: 'token' | 'claims' | 'everything'
  /** Absent for everything, and for one whose entry would be too long; `{ '#digest': ID }` where only the id is known. */
  readonly target?: Target | undefined
  readonly reason?: string | undefined
  readonly via: 'oauth' | 'api' | 'command'
}

export interface RecordedChange extends Omit<AuditEntry, 'at' | 'client'> {
  readonly client: Client
}

export const CLIENT_OPERATIONS = ['make-client', 'change-client', 'remove-client', 'make-key'] as const

/** What was done to a client. */
export interface ClientAuditEntry {
  readonly at: number
  readonly client: string
  readonly operation: (typeof CLIENT_OPERATIONS)[number]
  /** The id of the client that it was done to. */
  readonly subject: string
  readonly via: 'api' | 'command'
}

/** What a node gave back to a store that had lost it: how many statements and restores. Each restore has its own entry. */
export interface GiftAuditEntry {
  readonly at: number
  readonly client: string
  readonly operation: 'give-back'
  readonly revoked: number
  readonly restored: number
  readonly via: 'api'
}

type AnyEntry = AuditEntry | ClientAuditEntry | GiftAuditEntry

/** What an entry may take, in characters. What is longer loses its target, and the end of its reason. */
export const ENTRY_LENGTH_MAX = 4096
const REASON_LENGTH_MAX = 512
/** The name in a target of which only the id is known. */
const UNNAMED = '#digest'

/** Keeps a change that was made, and counts it. Never throws. */
export async function recordChange(parts: Parts, change: RecordedChange): Promise<void> {
  const { metrics, now } = parts
  const { client, operation, scope, target, reason, via } = change
  metrics.changes.inc({ operation, scope })
  const entry: AuditEntry = {
    at: Math.floor(now() / 1000),
    client: client.id,
    operation,
    scope,
    target,
    reason,
    via,
  }
  await append(parts, entry)
}

/** Keeps what was done to a client. Never throws. */
export async function recordClientChange(
  parts: Parts,
  { client, ...change }: Pick<ClientAuditEntry, 'operation' | 'subject'> & { client: Client },
): Promise<void> {
  await append(parts, { at: Math.floor(parts.now() / 1000), client: client.id, ...change, via: 'api' })
}

/** Keeps what was given back, with the ids of what was restored: whoever gives a restore undoes. Never throws. */
export async function recordGift(
  parts: Parts,
  { client, revoked, restored }: { client: Client; revoked: number; restored: readonly Digest[] },
): Promise<void> {
  const restore = { client, operation: 'restore', via: 'api' } as const
  const restores = restored.map((id) =>
    id === revocationId('everything')
      ? recordChange(parts, { ...restore, scope: 'everything' })
      : recordChange(parts, { ...restore, scope: 'claims', target: { [UNNAMED]: id } }),
  )
  await Promise.all(restores)
  const at = Math.floor(parts.now() / 1000)
  const counts = { revoked, restored: restored.length }
  await append(parts, { at, client: client.id, operation: 'give-back', ...counts, via: 'api' })
}

async function append({ records, log }: Parts, entry: AnyEntry): Promise<void> {
  try {
    await appendEntry(records, entry)
  } catch (error) {
    const { client, operation, via } = entry
    log.error(
      { ...failureFields(error), client, operation, via },
      'a change was made, and the audit trail could not be written',
    )
  }
}

/**
 * Keeps an entry, to be found again by the id of the revocation that it tells of. Throws the failures of the records.
 */
export async function appendEntry(records: Records, entry: AnyEntry): Promise<void> {
  await records.append(auditText(entry), 'scope' in entry ? idOf(entry) : undefined)
}

function idOf({ target }: AuditEntry): string {
  const known = target?.[UNNAMED]
  return typeof known === 'string' ? known : revocationId(target ?? 'everything')
}

/** The entry as it is kept, within its bound. */
function auditText(entry: AnyEntry): string {
  const bounded = 'reason' in entry ? { ...entry, reason: entry.reason?.slice(0, REASON_LENGTH_MAX) } : entry
  const whole = JSON.stringify(bounded)
  return whole.length <= ENTRY_LENGTH_MAX ? whole : JSON.stringify({ ...bounded, target: undefined })
}
