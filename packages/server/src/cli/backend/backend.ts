/**
 * What the command can be sent to, as one contract: a store that it opens by itself (Redis, the embedded file), or a
 * service that it asks over HTTP. The same scenario runs on all of them in `test/cli/backends.test.ts`.
 *
 * - A token is verified before anything of it is believed or written; it is never in a message.
 * - Failures are `RescindError`s, whose message says what happened and what to do.
 * - `check` never answers `clear` for a failure.
 */
import type {
  AckLevel,
  Change,
  CheckResult,
  Claims,
  Finding,
  InspectedServer,
  ListQuery,
  LiveNode,
  Page,
  Preview,
  Receipt,
  RescindError,
  Target,
} from 'rescind'
import type { ClientPatch, MadeKey, NewClient, Rotation, ShownClient } from '../../clients/client-desk.js'

/** What a command is about. */
export type Subject = { readonly token: string } | { readonly target: Target } | { readonly everything: true }

/** How it shall be revoked. Times are seconds since 1970. */
export interface RevokeWish {
  readonly reason?: string | undefined
  readonly actor?: string | undefined
  readonly expiresAt?: number | undefined
  /** `null`: whenever the token was issued. */
  readonly issuedBefore?: number | null | undefined
  readonly ack?: AckLevel | undefined
  readonly timeoutMs?: number | undefined
}

/** A revocation of an import, with its line. */
export interface BulkLine {
  readonly line: number
  readonly target: Target
  readonly expiresAt?: number | undefined
  readonly issuedBefore?: number | null | undefined
  readonly reason?: string | undefined
  readonly actor?: string | undefined
}

/** `unchanged`: it stood already. `ended`: its end lies in the past. `refused`: it cannot be revoked, and why. */
export type BulkOutcome =
  | { readonly line: number; readonly status: 'revoked' | 'unchanged' | 'ended' }
  | { readonly line: number; readonly status: 'refused'; readonly code: string; readonly message: string }

export interface Diagnosis {
  /** The worst first. */
  readonly findings: readonly DiagnosisFinding[]
  readonly servers: readonly InspectedServer[]
  readonly worst: 'critical' | 'warning' | 'info' | 'none'
}

/** As the library's, with codes of the embedded file and of the service beside those of Redis. */
export type DiagnosisFinding = Omit<Finding, 'code'> & { readonly code: string }

/** What the service counted of late, where a service is asked. */
export interface Traffic {
  readonly minutes: number
  readonly revoked: number
  readonly restored: number
  /** By answer: `allowed`, or the code of a denial. */
  readonly checks: Readonly<Record<string, number>>
}

/** Who may ask the service. Throws `ERR_OPTION_INVALID` for what cannot be done, with what to do instead. */
export interface ClientBook {
  list(): Promise<readonly ShownClient[]>
  make(client: NewClient): Promise<MadeKey>
  /** A new key beside the others. */
  rotate(id: string, rotation: Rotation): Promise<MadeKey>
  change(id: string, patch: ClientPatch): Promise<ShownClient>
  remove(id: string): Promise<void>
}

/** For `bench`: one check each, of claims. */
export interface Checkers {
  /** From memory, where this backend has the revocations in memory. */
  readonly memory?: (claims: Claims) => void
  /** How many are in memory. */
  readonly entries: number
  readonly strict: (claims: Claims) => Promise<void>
}

export interface WatchOptions {
  readonly after?: string | undefined
  readonly signal: AbortSignal
  /** Told, and perhaps often: undefined while changes are heard, and why not while they are not. */
  readonly onHeard: (failure: RescindError | undefined) => void
}

export interface Backend {
  /** For people: where it is, without a secret. */
  readonly place: string
  /** What is unsafe about the way there. */
  readonly caution?: string | undefined
  revoke(subject: Subject, wish: RevokeWish): Promise<Receipt>
  /** What `revoke` would do; writes nothing. */
  preview(subject: Subject, wish: RevokeWish): Promise<Preview>
  /** True when there was something to restore. */
  restore(
    subject: Subject,
    note: { reason?: string | undefined; actor?: string | undefined },
  ): Promise<boolean>
  /** From the store itself, not from a memory. */
  check(subject: { readonly token: string } | { readonly claims: Claims }): Promise<CheckResult>
  list(query: ListQuery): Promise<Page>
  /** Every change in order, from now on or after a position, until the signal. */
  watch(options: WatchOptions): AsyncIterable<Change>
  /** One outcome a line, in order. Throws when the store fails: then any of the lines may have been done. */
  revokeMany(lines: readonly BulkLine[]): Promise<readonly BulkOutcome[]>
  nodes(): Promise<readonly LiveNode[]>
  /** Undefined where nobody counts. */
  traffic(): Promise<Traffic | undefined>
  /** `user`: the ACL user to judge; `revokes`: it may write. */
  doctor(options: { user?: string | undefined; revokes?: boolean | undefined }): Promise<Diagnosis>
  readonly clients: ClientBook
  checkers(): Promise<Checkers>
  /** Idempotent. */
  close(): Promise<void>
}

/** How many lines of an import are sent at once. */
export const BULK_LINES = 500
