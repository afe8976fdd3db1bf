/**
 * A target: a set of claims with their values. A token matches when it carries all of them.
 * `{ iss, jti }` is one token, `{ sub }` a person everywhere, `{ sid }` a session, `{ client_id }` an
 * application, `{ sub, client_id }` a person in one application.
 *
 * What cannot be compared safely is an error, never a match by accident: only own properties are read, 1 and
 * "1" are the same value, and lone surrogates, empty texts, unsafe integers and over-long values are refused.
 */
import { RescindError } from '../errors.js'
import { type Digest, targetDigest, textDigest } from './digest.js'
import type { KnownDigests } from './probe.js'
import { isWellFormed } from './text.js'

/** What a claim of a target may be: text, numbers below 2^53, booleans. 1 and `"1"` are the same. */
export type ClaimValue = string | number | boolean

/** Claim names with their values, as users write it: `{ sub: 'alice' }`. */
export type Target = Readonly<Record<string, ClaimValue>>

/** The claims of a token, as parsed from its payload. Only own properties are read. */
export type Claims = Readonly<Record<string, unknown>>

/** The sorted claim names of a target. Every node knows the shapes in use; a check costs one probe a shape. */
export type Shape = readonly string[]

/** A target that was checked: sorted names, canonical values, digest. */
export interface ParsedTarget {
  readonly shape: Shape
  readonly values: readonly string[]
  readonly digest: Digest
}

/** What a check is made of: claims, and the token's own digest where the token has no usable `jti`. */
export interface Subject extends Partial<KnownDigests> {
  readonly claims: Claims
  /** SHA-256 (base64url) of the signing input `header.payload`, or of an opaque token. */
  readonly tokenDigest?: string | undefined
}

/**
 * The reserved name for a token without `jti`. Its value is a SHA-256 digest; it is never read from a
 * payload, so no issuer can forge it.
 */
export const TOKEN_DIGEST = '#sha256'

/**
 * The reserved name in the target of a revocation of which only the digest is known: a store lost it, and a node
 * gave it back. Its value is the digest. It can be listed, and no target can be made of it.
 */
export const TARGET_UNNAMED = '#digest'

export const TARGET_CLAIMS_MAX = 8
/** In UTF-16 units. */
export const CLAIM_NAME_LENGTH_MAX = 128
/** In UTF-16 units. */
export const CLAIM_VALUE_LENGTH_MAX = 1024
/** How many members of arrays (multiplied over the claims of a shape) one check compares. */
export const CLAIM_COMBINATIONS_MAX = 64

/** The empty target: everything. Only `revokeAll` makes it. */
export const EVERYTHING: ParsedTarget = { shape: [], values: [], digest: targetDigest([], []) }

/** Reads a target from a caller. Throws `ERR_TARGET_INVALID`, naming the claim and never its value. */
export function parseTarget(input: unknown): ParsedTarget {
  try {
    return readTarget(input)
  } catch (cause) {
    if (cause instanceof RescindError) throw cause
    throw new RescindError('ERR_TARGET_INVALID', 'the target cannot be read: it throws', { cause })
  }
}

/**
 * The id of what is revoked for a target: the digest under which a store holds it. `'everything'` stands for `revokeAll`.
 * Throws `ERR_TARGET_INVALID`.
 */
export function revocationId(target: Target | 'everything'): Digest {
  return target === 'everything' ? EVERYTHING.digest : parseTarget(target).digest
}

function readTarget(input: unknown): ParsedTarget {
  if (typeof input !== 'object' || input === null || !isPlain(input)) {
    throw invalid('a target is a plain object of claims, such as { sub: "alice" }')
  }
  if (Object.getOwnPropertySymbols(input).length > 0) throw invalid('a target has no symbol keys')
  const names = Object.keys(input)
  if (names.length === 0) throw invalid('the target is empty; to revoke everything, call revokeAll()')
  if (names.length > TARGET_CLAIMS_MAX) throw invalid(`a target has at most ${TARGET_CLAIMS_MAX} claims`)
  // ASCII names, which nearly all are, sort alike by code unit and by UTF-8 byte; others need the bytes.
  const shape = names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const values = shape.map((name) => {
    checkName(name, shape)
    return parseValue(name, (input as Record<string, unknown>)[name])
  })
  return { shape, values, digest: targetDigest(shape, values) }
}

/** Can a target be of this shape? Under one of another order, or with a name twice, no target would be found. */
export function isShape(value: unknown): value is Shape {
  return (
    Array.isArray(value) &&
    value.length <= TARGET_CLAIMS_MAX &&
    value.every(
      (name: unknown, _, shape) => typeof name === 'string' && problemOf(name, shape) === undefined,
    ) &&
    isAscending(value as string[])
  )
}

/** By UTF-8 bytes, and none twice. */
export function isAscending(shape: Shape): boolean {
  return shape.every(
    (name, i) => i === 0 || Buffer.compare(Buffer.from(shape[i - 1] as string), Buffer.from(name)) < 0,
  )
}

/** The target as an object, with canonical (text) values. */
export function targetOf(parsed: Pick<ParsedTarget, 'shape' | 'values'>): Target {
  const target: Record<string, ClaimValue> = Object.create(null) as Record<string, ClaimValue>
  parsed.shape.forEach((name, i) => (target[name] = parsed.values[i] as string))
  return target
}

/** The name of one token: `(iss, jti)`, without a usable `jti` the digest of what was signed. */
export function nameToken(claims: Claims, signed: string): Target {
  const jti = own(claims, 'jti')
  const iss = own(claims, 'iss')
  if (isNameable(jti)) {
    if (isNameable(iss)) return { iss, jti }
    if (iss === undefined) return { jti }
  }
  return { [TOKEN_DIGEST]: textDigest(signed) }
}

/**
 * The digests of every target of this shape that the subject matches: none when a claim is absent or cannot
 * stand in a target, several when a claim is an array (any member matches).
 * Throws `ERR_CLAIM_INVALID` for a claim that cannot be compared in full, so that the caller denies.
 */
export function digestsOf(shape: Shape, subject: Subject): Digest[] {
  return combinationsOf(shape, subject).map((values) => targetDigest(shape, values))
}

/** The values of those targets, in the order of the shape's names. */
export function combinationsOf(shape: Shape, subject: Subject): string[][] {
  let combinations: string[][] = [[]]
  for (const name of shape) {
    const values =
      name === TOKEN_DIGEST ? tokenDigestOf(subject) : claimValues(name, own(subject.claims, name))
    if (values.length === 0) return []
    if (combinations.length * values.length > CLAIM_COMBINATIONS_MAX) {
      throw new RescindError(
        'ERR_CLAIM_INVALID',
        `the claim "${printable(name)}" has too many members to compare: at most ${CLAIM_COMBINATIONS_MAX} in all`,
      )
    }
    combinations = combinations.flatMap((head) => values.map((value) => [...head, value]))
  }
  return combinations
}

/**
 * The usual case without making anything: fills `values` when every claim of the shape is one text. `none` when
 * the subject lacks a claim; `other` when `combinationsOf` has to look closer.
 */
export function readTexts(shape: Shape, subject: Subject, values: string[]): 'texts' | 'none' | 'other' {
  for (let i = 0; i < shape.length; i++) {
    const name = shape[i] as string
    const value = name === TOKEN_DIGEST ? subject.tokenDigest : own(subject.claims, name)
    if (value === undefined) return 'none'
    if (typeof value !== 'string' || !isComparableText(value)) return 'other'
    values[i] = value
  }
  return 'texts'
}

/** True when claims alone cannot tell whether this token was revoked by its digest. */
export function isUnnamed(shapes: readonly Shape[], subject: Subject): boolean {
  if (subject.tokenDigest !== undefined) return false
  if (!shapes.some((shape) => shape[0] === TOKEN_DIGEST)) return false
  const jti = own(subject.claims, 'jti')
  const iss = own(subject.claims, 'iss')
  return !(isNameable(jti) && (iss === undefined || isNameable(iss)))
}

/** An own property, and nothing inherited. */
export function own(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

function tokenDigestOf(subject: Subject): string[] {
  return subject.tokenDigest === undefined ? [] : [subject.tokenDigest]
}

/** The comparable values of a token's claim. Values that no target can hold match nothing. */
function claimValues(name: string, value: unknown): string[] {
  if (!Array.isArray(value)) return scalarValues(name, value)
  if (value.length > CLAIM_COMBINATIONS_MAX) {
    throw new RescindError(
      'ERR_CLAIM_INVALID',
      `the claim "${printable(name)}" has too many members to compare: at most ${CLAIM_COMBINATIONS_MAX}`,
    )
  }
  return [...new Set(value.flatMap((member: unknown) => scalarValues(name, member)))]
}

function scalarValues(name: string, value: unknown): string[] {
  switch (typeof value) {
    case 'string':
      return isComparableText(value) ? [value] : []
    case 'boolean':
      return [String(value)]
    case 'number':
      // JSON numbers past 2^53 have lost digits: two persons could share one value, so it is not guessed.
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw new RescindError(
          'ERR_CLAIM_INVALID',
          `the claim "${printable(name)}" is a number that has lost digits; have the issuer send it as a string`,
        )
      }
      return Number.isFinite(value) ? [canonicalNumber(value)] : []
    default:
      return []
  }
}

function parseValue(name: string, value: unknown): string {
  const claim = `the claim "${printable(name)}"`
  switch (typeof value) {
    case 'string':
      if (value === '') throw invalid(`${claim} is empty`)
      if (value.length > CLAIM_VALUE_LENGTH_MAX) {
        throw invalid(`${claim} is longer than ${CLAIM_VALUE_LENGTH_MAX} characters`)
      }
      if (!value.isWellFormed()) throw invalid(`${claim} is not well-formed Unicode (a lone surrogate)`)
      if (name === TOKEN_DIGEST && !/^[A-Za-z0-9_-]{43}$/.test(value)) {
        throw invalid(`${claim} must be a SHA-256 digest in base64url`)
      }
      return value
    case 'boolean':
      return String(value)
    case 'number':
      if (!Number.isFinite(value)) throw invalid(`${claim} is not a finite number`)
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw invalid(`${claim} is a number past 2^53, which loses digits; give it as a string`)
      }
      return canonicalNumber(value)
    case 'undefined':
      throw invalid(`${claim} is undefined; a target never means "everything" by omission`)
    default:
      throw invalid(
        Array.isArray(value)
          ? `${claim} is an array; revoke one target for each value`
          : `${claim} must be a string, a number or a boolean`,
      )
  }
}

function checkName(name: string, shape: Shape): void {
  const problem = problemOf(name, shape)
  if (problem !== undefined) throw invalid(problem)
}

function problemOf(name: string, shape: readonly unknown[]): string | undefined {
  if (name === '' || name.length > CLAIM_NAME_LENGTH_MAX || !name.isWellFormed())
    return `a claim name is well-formed text of 1 to ${CLAIM_NAME_LENGTH_MAX} characters`
  if (name === TOKEN_DIGEST && shape.length > 1) return `"${TOKEN_DIGEST}" names one token and stands alone`
  if (name.startsWith('#') && name !== TOKEN_DIGEST) return `claim names that begin with "#" are reserved`
  return undefined
}

function isNameable(value: unknown): value is ClaimValue {
  if (typeof value === 'string') return isComparableText(value)
  return (
    typeof value === 'number' &&
    (Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value)))
  )
}

function isComparableText(value: string): boolean {
  return value !== '' && value.length <= CLAIM_VALUE_LENGTH_MAX && isWellFormed(value)
}

function canonicalNumber(value: number): string {
  return String(value === 0 ? 0 : value)
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || isForeignObjectPrototype(prototype)
}

/** `Object.prototype` of another realm (worker, vm, test runner): it has no prototype of its own. */
function isForeignObjectPrototype(prototype: unknown): boolean {
  return (
    typeof prototype === 'object' &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'hasOwnProperty')
  )
}

/** A claim name for a message: cut, and without control characters. */
function printable(name: string): string {
  return name.slice(0, CLAIM_NAME_LENGTH_MAX).replace(/[^\x20-\x7e]/g, '?')
}

function invalid(message: string): RescindError {
  return new RescindError('ERR_TARGET_INVALID', message)
}
