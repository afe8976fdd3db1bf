/** What a route asks of a token: checked once, and kept in the form that the gate decides by. */
import { type Claims, own } from './core/target.js'
import { RescindError } from './errors.js'
import { type FreshnessPlan, type FreshnessPolicy, planFreshness, wrongFreshnessOption } from './freshness.js'
import type { TokenSource } from './token/credentials.js'

/** What a route asks for. */
export interface Policy extends FreshnessPolicy {
  /** Scopes that the token must have, all of them: a list, or text with spaces. Default: none. */
  readonly scope?: string | readonly string[] | undefined
  /** What `aud` must name: one of these is enough. Default: what the verifier asks for. */
  readonly audience?: string | readonly string[] | undefined
  /** What `iss` must be, exactly: one of these. Default: what the verifier asks for. */
  readonly issuer?: string | readonly string[] | undefined
  /** Where tokens are taken from. Default: only the `Authorization` header. */
  readonly tokenFrom?: readonly TokenSource[] | undefined
}

/** A policy that was checked, with what the gate's own options add. */
export interface Plan extends FreshnessPlan {
  readonly scopes: readonly string[]
  readonly audiences: readonly string[] | undefined
  readonly issuers: readonly string[] | undefined
  readonly sources: readonly TokenSource[]
  readonly isHeaderOnly: boolean
}

const HEADER_ONLY: readonly TokenSource[] = ['header']
const SOURCES: readonly TokenSource[] = ['header', 'form', 'query']
const POLICY_OPTIONS = [
  ...['scope', 'audience', 'issuer', 'tokenFrom'],
  ...['consistency', 'stalenessMaxMs', 'onUnknown', 'staleMaxSeconds'],
]

/** Throws `ERR_OPTION_INVALID` for a policy that cannot be understood. `defaults`: the gate's own options. */
export function planPolicy(policy: Policy, defaults: FreshnessPolicy): Plan {
  checkPolicy(policy)
  const sources = policy.tokenFrom ?? HEADER_ONLY
  return {
    ...planFreshness(policy, defaults),
    scopes: scopeList(policy.scope),
    audiences: oneOrMore(policy.audience),
    issuers: oneOrMore(policy.issuer),
    sources,
    isHeaderOnly: sources.length === 1 && sources[0] === 'header',
  }
}

/** The scopes of a token: `scope` as text with spaces (RFC 9068 §2.2.3), or a list; else `scp`, as some issuers name it. */
export function scopesOf(claims: Claims): readonly string[] {
  const value = own(claims, 'scope') ?? own(claims, 'scp')
  if (Array.isArray(value)) return value.filter((scope): scope is string => typeof scope === 'string')
  return typeof value === 'string' ? scopeList(value) : []
}

function oneOrMore(names: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof names === 'string' ? [names] : names
}

/** For `aud`: one text, or several (RFC 7519 §4.1.3). */
export function isOneOf(claim: unknown, accepted: readonly string[]): boolean {
  if (typeof claim === 'string') return accepted.includes(claim)
  return Array.isArray(claim) && claim.some((one) => accepted.includes(one as string))
}

/** Throws for what a typed caller cannot write: a misspelt option must not open a route. */
function checkPolicy(policy: Policy): void {
  const { scope, tokenFrom } = policy
  const isText = (value: unknown) => typeof value === 'string'
  // None at all would be a route for nobody: a mistake.
  const isName = (value: unknown) => typeof value === 'string' && value !== ''
  const isNames = (value: unknown) =>
    value === undefined || isName(value) || (Array.isArray(value) && value.length > 0 && value.every(isName))
  const isList = (value: unknown) => Array.isArray(value) && value.every(isText)
  const isSources = (value: unknown) =>
    isList(value) &&
    tokenFrom?.length !== 0 &&
    tokenFrom?.every((source) => SOURCES.includes(source)) === true
  const wrong =
    Object.keys(policy).find((name) => !POLICY_OPTIONS.includes(name)) ??
    (scope === undefined || isText(scope) || isList(scope) ? undefined : 'scope') ??
    (['audience', 'issuer'] as const).find((name) => !isNames(policy[name])) ??
    (tokenFrom === undefined || isSources(tokenFrom) ? undefined : 'tokenFrom') ??
    wrongFreshnessOption(policy)
  if (wrong === undefined) return
  throw new RescindError(
    'ERR_OPTION_INVALID',
    `the policy of a route has an option "${wrong}" that cannot be used`,
  )
}

function scopeList(scope: string | readonly string[] | undefined): readonly string[] {
  if (scope === undefined) return []
  return typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : scope
}
