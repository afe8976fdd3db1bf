/** What a request names: claims, one token, or everything. */
import {
  type Receipt,
  type RevokeOptions,
  scopeOf,
  type Scope,
  type Target,
  VerifiedToken,
  hasCode,
} from 'rescind'
import type { Client } from '../clients/client.js'
import type { Parts } from '../parts.js'
import { recordChange } from '../audit.js'

export interface Named {
  readonly scope: Scope
  /** Undefined for everything. */
  readonly target: Target | undefined
  /** As the library takes it. */
  readonly subject: Target | VerifiedToken | 'everything'
}

export interface NamedBody {
  readonly target?: Target | undefined
  readonly token?: string | undefined
}

export async function namedBy(parts: Parts, { target, token }: NamedBody): Promise<Named> {
  if (token !== undefined) {
    const subject = await parts.issuers.verified(token, parts.manager.now())
    return { scope: 'token', target: subject.target, subject }
  }
  if (target === undefined) return { scope: 'everything', target: undefined, subject: 'everything' }
  return { scope: scopeOf(Object.keys(target)), target, subject: target }
}

/** Revokes it in the name of a client, and keeps that in the audit trail. Throws as the library does. */
export async function revokeNamed(
  parts: Parts,
  client: Client,
  named: Named,
  options: RevokeOptions,
): Promise<Receipt> {
  const { scope, target, subject } = named
  const record = () =>
    recordChange(parts, { client, operation: 'revoke', scope, target, reason: options.reason, via: 'api' })
  const startedAt = performance.now()
  try {
    const receipt = await revokeSubject(parts, subject, { ...options, actor: client.id })
    if (receipt.ack === 'everywhere') parts.metrics.observePropagation(performance.now() - startedAt)
    await record()
    return receipt
  } catch (error) {
    // It is revoked all the same.
    if (hasCode(error, 'ERR_ACK_NOT_REACHED')) await record()
    throw error
  }
}

function revokeSubject(
  { manager }: Parts,
  subject: Named['subject'],
  options: RevokeOptions,
): Promise<Receipt> {
  if (subject === 'everything') return manager.revokeAll(options)
  if (subject instanceof VerifiedToken) {
    const { issuedBefore: _, ...rest } = options
    return manager.revokeToken(subject, rest)
  }
  return manager.revoke(subject, options)
}
