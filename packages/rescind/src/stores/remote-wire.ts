/**
 * What a service and a `RemoteStore` say to each other: the contract of a store as JSON (its log goes as bytes: `remote-frame`). Both ends write and read with these functions, and what is read is checked whole: they throw
 * `ERR_OPTION_INVALID` for what is of another form, and never show what it was.
 */
import type { Digest } from '../core/digest.js'
import { GENERATION_MAX, type Mark } from '../core/mark.js'
import { ANY_TIME, ENTRIES_MAX, type Entry, type Revocation, type State } from '../core/revocation.js'
import {
  CLAIM_VALUE_LENGTH_MAX,
  EVERYTHING,
  isShape,
  type ParsedTarget,
  parseTarget,
  type Shape,
  type Target,
  TARGET_CLAIMS_MAX,
  targetOf,
} from '../core/target.js'
import { RescindError } from '../errors.js'
import {
  digest,
  type Fields,
  flagIn,
  integer,
  list,
  malformed,
  numberIn,
  object,
  text,
  textIn,
  timeIn,
} from './remote-fields.js'
import {
  type Advancement,
  type Change,
  type Changes,
  type Held,
  KNOWN_SHAPES_MAX,
  type LiveNode,
  NODES_MAX,
  type NodeStatus,
  type Page,
  type Stored,
} from './store.js'

export { jsonFrom } from './remote-fields.js'

/** How many digests one check looks under at the most: 64 shapes of 64 combinations. */
export const DIGESTS_MAX = 4096
/** How many changes, or revocations, one answer holds. */
export const ROWS_MAX = 1000
export const POSITION_LENGTH_MAX = 8192
/** A service is silent on a stream for no longer, in milliseconds; who hears nothing for three times that begins anew. */
export const HEARTBEAT_MS = 5000

const REASON_LENGTH_MAX = 4096
export const ID_LENGTH_MAX = 256
export const TEXT_LENGTH_MAX = 1024
const TAG = /^[A-Za-z0-9_-]{22}$/

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** A check: what is looked under, and of which shapes that was made. */
export interface FindRequest {
  readonly digests: readonly Digest[]
  readonly tag: string
}

export interface PutRequest {
  readonly target: ParsedTarget
  readonly entry: Entry
  readonly now: number
  readonly ack: 'accepted' | 'replicated'
}

export interface RestoreRequest {
  readonly target: ParsedTarget
  readonly now: number
  readonly known?: State
}

export interface AdvanceRequest {
  readonly family: Digest
  readonly mark: Mark
  readonly now: number
  readonly end: number
  readonly ack: 'accepted' | 'replicated'
}

export function tagFrom(value: unknown): string {
  if (typeof value !== 'string' || (value !== '' && !TAG.test(value))) throw malformed('a tag of shapes')
  return value
}

export function shapesFrom(value: unknown): readonly Shape[] {
  const shapes = list(value, KNOWN_SHAPES_MAX, 'shapes')
  if (!shapes.every(isShape)) throw malformed('a shape')
  return shapes
}

/** What a target is on the way: its claims, or `everything`. */
export function targetToJson(target: ParsedTarget): Json {
  return target.shape.length === 0 ? 'everything' : targetOf(target)
}

/** Checked anew, and its digest computed anew. Throws `ERR_TARGET_INVALID`. */
function parsedTargetFrom(value: unknown): ParsedTarget {
  return value === 'everything' ? EVERYTHING : parseTarget(value)
}

export function findFrom(value: unknown): FindRequest {
  const request = object(value, 'a check')
  return { digests: list(request.digests, DIGESTS_MAX, 'digests').map(digest), tag: tagFrom(request.tag) }
}

export function putFrom(value: unknown): PutRequest {
  const request = object(value, 'a revocation')
  return {
    target: parsedTargetFrom(request.target),
    entry: entryFrom(request.entry),
    now: timeIn(request, 'now'),
    ack: ackIn(request),
  }
}

export function advanceFrom(value: unknown): AdvanceRequest {
  const request = object(value, 'a step of a family')
  return {
    family: digest(request.family),
    mark: markFrom(request.mark),
    now: timeIn(request, 'now'),
    end: timeIn(request, 'end'),
    ack: ackIn(request),
  }
}

export function advancementToJson({ mark, isMoved, shortfall }: Advancement): Json {
  return {
    isMoved,
    ...(mark === undefined ? {} : { mark: mark as unknown as Json }),
    ...(shortfall === undefined ? {} : { shortfall: shortfall.message }),
  }
}

export function advancementFrom(value: unknown): Advancement {
  const answer = object(value, 'a step of a family')
  const mark = answer.mark === undefined ? undefined : markFrom(answer.mark)
  return { mark, isMoved: flagIn(answer, 'isMoved'), ...shortfallIn(answer) }
}

export function restoreFrom(value: unknown): RestoreRequest {
  const request = object(value, 'a restore')
  return {
    target: parsedTargetFrom(request.target),
    now: timeIn(request, 'now'),
    ...(request.known === undefined ? {} : { known: stateFrom(request.known) }),
  }
}

export function storedToJson({ state, position, shortfall }: Stored): Json {
  return {
    state: state as unknown as Json,
    position,
    ...(shortfall === undefined ? {} : { shortfall: shortfall.message }),
  }
}

export function storedFrom(value: unknown): Stored {
  const answer = object(value, 'what was stored')
  return {
    state: stateFrom(answer.state),
    position: textIn(answer, 'position', POSITION_LENGTH_MAX),
    ...shortfallIn(answer),
  }
}

export function stateFrom(value: unknown): State {
  const state = object(value, 'a state')
  return {
    restoredAt: timeIn(state, 'restoredAt'),
    entries: list(state.entries, ENTRIES_MAX, 'statements').map(entryFrom),
  }
}

export function entryFrom(value: unknown): Entry {
  const entry = object(value, 'a statement')
  const issuedBefore = integer(entry.issuedBefore, ANY_TIME, 'issuedBefore')
  return { at: timeIn(entry, 'at'), end: timeIn(entry, 'end'), issuedBefore, ...detailsIn(entry) }
}

/** What is held under digests that were asked about, and under no others. */
export function heldFrom(value: unknown, asked: readonly string[]): readonly Held[] {
  const wanted = new Set(asked)
  return list(value, asked.length, 'what is held').map((member) => {
    const held = object(member, 'what is held')
    const under = digest(held.digest)
    if (!wanted.has(under)) throw malformed('a digest')
    return { digest: under, target: targetFrom(held.target), state: stateFrom(held.state) }
  })
}

export function pageFrom(value: unknown): Page {
  const page = object(value, 'a page')
  const revocations = list(page.revocations, ROWS_MAX, 'revocations').map(revocationFrom)
  return page.cursor === undefined
    ? { revocations }
    : { revocations, cursor: textIn(page, 'cursor', POSITION_LENGTH_MAX) }
}

export function changesFrom(value: unknown): Changes {
  const answer = object(value, 'changes')
  return {
    changes: list(answer.changes, ROWS_MAX, 'changes').map(changeFrom),
    position: textIn(answer, 'position', POSITION_LENGTH_MAX),
  }
}

export function nodeFrom(value: unknown): NodeStatus {
  const node = object(value, 'a node')
  return {
    id: textIn(node, 'id', ID_LENGTH_MAX),
    name: textIn(node, 'name', TEXT_LENGTH_MAX),
    position: textIn(node, 'position', POSITION_LENGTH_MAX),
    stalenessMs: numberIn(node, 'stalenessMs', -1),
    entries: numberIn(node, 'entries'),
  }
}

export function liveNodesFrom(value: unknown): readonly LiveNode[] {
  return list(object(value, 'nodes').nodes, NODES_MAX, 'nodes').map((node) => ({
    ...nodeFrom(node),
    ageMs: numberIn(object(node, 'a node'), 'ageMs'),
  }))
}

function changeFrom(value: unknown): Change {
  const change = object(value, 'a change')
  const position = textIn(change, 'position', POSITION_LENGTH_MAX)
  if (change.type === 'revoked')
    return { type: 'revoked', position, revocation: revocationFrom(change.revocation) }
  if (change.type !== 'restored') throw malformed('the type of a change')
  const id = digest(change.id)
  return change.target === undefined
    ? { type: 'restored', position, id }
    : { type: 'restored', position, id, target: targetFrom(change.target) }
}

function revocationFrom(value: unknown): Revocation {
  const revocation = object(value, 'a revocation')
  return {
    id: digest(revocation.id),
    target: targetFrom(revocation.target),
    issuedBefore: revocation.issuedBefore === null ? null : timeIn(revocation, 'issuedBefore'),
    expiresAt: timeIn(revocation, 'expiresAt'),
    revokedAt: timeIn(revocation, 'revokedAt'),
    ...detailsIn(revocation),
  }
}

/** A target to show: one that is known by its digest alone is no target to write. */
function targetFrom(value: unknown): Target {
  const members = Object.entries(object(value, 'a target'))
  if (members.length > TARGET_CLAIMS_MAX) throw malformed('a target')
  const target = Object.create(null) as Record<string, string>
  for (const [name, member] of members) target[name] = text(member, CLAIM_VALUE_LENGTH_MAX, 'a claim')
  return target
}

function markFrom(value: unknown): Mark {
  const mark = object(value, 'a mark')
  return {
    generation: integer(mark.generation, GENERATION_MAX, 'generation'),
    token: digest(mark.token),
    usedAt: timeIn(mark, 'usedAt'),
  }
}

function ackIn({ ack = 'accepted' }: Fields): 'accepted' | 'replicated' {
  if (ack !== 'accepted' && ack !== 'replicated') throw malformed('ack')
  return ack
}

function shortfallIn(answer: Fields): { shortfall?: RescindError } {
  if (answer.shortfall === undefined) return {}
  const message = textIn(answer, 'shortfall', TEXT_LENGTH_MAX)
  return { shortfall: new RescindError('ERR_ACK_NOT_REACHED', message) }
}

function detailsIn({ reason, actor }: Fields): { reason?: string; actor?: string } {
  return {
    ...(reason === undefined ? {} : { reason: text(reason, REASON_LENGTH_MAX, 'reason') }),
    ...(actor === undefined ? {} : { actor: text(actor, REASON_LENGTH_MAX, 'actor') }),
  }
}
