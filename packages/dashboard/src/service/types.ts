/** What the service answers, as far as this page reads it: `/openapi.json` says it whole. Times are seconds since 1970. */

export type Target = Readonly<Record<string, string>>
export type Scope = 'token' | 'claims' | 'everything'
export type AckLevel = 'accepted' | 'replicated' | 'everywhere'

export interface Revocation {
  readonly id: string
  readonly target: Target
  /** `null`: whenever the token was issued. */
  readonly issuedBefore: number | null
  readonly expiresAt: number
  readonly revokedAt: number
  readonly reason?: string
  readonly actor?: string
}

export interface Receipt extends Revocation {
  readonly ack: AckLevel
  /** The nodes that have it, and how long after the store each had told so. */
  readonly confirmations?: readonly { readonly name: string; readonly afterMs: number }[]
}

export interface Preview {
  readonly target: Target
  readonly scope: Scope
  readonly issuedBefore: number | null
  readonly expiresAt: number
  readonly effect: 'new' | 'extends' | 'none'
  readonly standing: readonly Revocation[]
}

export interface Standing {
  readonly id: string
  readonly target: Target
  readonly scope: Scope
  readonly restoredAt: number | null
  readonly revocations: readonly Revocation[]
}

export interface RevocationPage {
  readonly revocations: readonly Revocation[]
  readonly cursor?: string
}

export type CheckAnswer =
  | { readonly status: 'revoked'; readonly revocation: Revocation }
  | { readonly status: 'clear' }
  | { readonly status: 'invalid'; readonly code: string; readonly detail: string }

export interface LiveNode {
  readonly id: string
  readonly name: string
  readonly position: string
  readonly stalenessMs: number
  readonly entries: number
  readonly ageMs: number
}

export interface Minute {
  readonly at: number
  readonly revoked: number
  readonly restored: number
  readonly checks: Readonly<Record<string, number>>
}

export interface Statistics {
  readonly minutes: readonly Minute[]
  /** Of revocations through this service that waited for every node: until the last of them had it. Absent before one. */
  readonly propagation?: { readonly count: number; readonly p50Ms: number; readonly p99Ms: number }
}

export interface Finding {
  readonly code: string
  readonly severity: 'critical' | 'warning' | 'info'
  readonly meaning: string
  readonly action: string
  readonly server?: string
}

export interface Status {
  readonly version: string
  readonly store: { readonly kind: string; readonly isUp: boolean; readonly failure?: string }
  readonly freshness: {
    readonly isFresh: boolean
    readonly stalenessMs: number | null
    readonly stalenessMaxMs: number
    readonly entries: number
  }
  readonly issuers: readonly string[]
  readonly doctor?: { readonly worst: Finding['severity'] | 'none'; readonly findings: readonly Finding[] }
}

export interface AuditEntry {
  readonly id: string
  readonly at: number
  readonly client: string
  readonly operation: string
  readonly scope?: Scope
  readonly target?: Target
  readonly reason?: string
  readonly subject?: string
  readonly via: string
  /** Of what a node gave back to its store. */
  readonly revoked?: number
  readonly restored?: number
}

export interface ClientKey {
  readonly id?: string
  readonly name?: string
  readonly expiresAt?: number
}

export interface ServiceClient {
  readonly id: string
  readonly name?: string
  readonly roles: readonly string[]
  readonly audiences: readonly string[] | '*'
  readonly isDisabled: boolean
  readonly source: 'config' | 'records'
  readonly keys: readonly ClientKey[]
}

export interface MadeKey {
  readonly client: ServiceClient
  readonly key?: string
}
