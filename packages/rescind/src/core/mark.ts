/**
 * The mark of a family of refresh tokens says "used up to here": which generation was used last, by which token, and
 * when. One family has one mark, which only moves forward.
 *
 * Pure functions; times are whole seconds since 1970; the clock is an argument.
 */
import type { Digest } from './digest.js'
import { TIME_MAX } from './revocation.js'

/** The last generation there can be: a rotation every second reaches it after 136 years. */
export const GENERATION_MAX = 0xffff_ffff
/** The generation of a family that has begun, and whose first token, of generation 1, was not used yet. */
export const BEGINNING = 0

/** Up to where the refresh tokens of a family were used. */
export interface Mark {
  /** The generation that was used last; `BEGINNING`: none yet. */
  readonly generation: number
  /** Which token of that generation was used: the digest of its name. */
  readonly token: Digest
  /** When it was used first. */
  readonly usedAt: number
}

/** What became of a step forward. */
export interface Advanced {
  /** The mark as it now stands; undefined where the family is not known. */
  readonly mark: Mark | undefined
  /** This very step moved it. */
  readonly isMoved: boolean
}

/** What a mark says of the token that was presented with `wanted`. */
export type Usage = 'first' | 'again' | 'used' | 'forgotten'

/**
 * Moves a mark to `wanted` if that is further. The beginning makes one where there is none, and nothing else does: a
 * store that has lost the mark must not take an old token for the newest. Of two tokens of one generation the first
 * stays.
 */
export function advance(held: Mark | undefined, wanted: Mark): Advanced {
  if (held === undefined)
    return wanted.generation === BEGINNING
      ? { mark: wanted, isMoved: true }
      : { mark: undefined, isMoved: false }
  return wanted.generation > held.generation
    ? { mark: wanted, isMoved: true }
    : { mark: held, isMoved: false }
}

/**
 * Was it used before? `first`: no. `again`: it is the last that was used, less than `graceSeconds` ago. `used`: it was
 * used before that, or another of its generation was. `forgotten`: the family is not known. The only place that
 * decides it.
 *
 * Another token of the same generation is `used` within the grace too: if each holder of a copy could go on with a
 * token of his own, a thief who follows the client's every step would never be seen.
 */
export function usageOf({ mark, isMoved }: Advanced, wanted: Mark, graceSeconds: number): Usage {
  if (mark === undefined) return 'forgotten'
  if (isMoved) return 'first'
  const isSame = mark.generation === wanted.generation && mark.token === wanted.token
  // A node whose clock is behind that of the first one must not make the grace longer.
  return isSame && Math.abs(wanted.usedAt - mark.usedAt) < graceSeconds ? 'again' : 'used'
}

export const MARK_FORMAT = 1
/** `FORMAT GENERATION USED_AT TOKEN`: as text, so that a person can read it and a script compare it. */
const PACKED = new RegExp(`^${MARK_FORMAT} (\\d{1,10}) (\\d{1,10}) ([A-Za-z0-9_-]{22})$`)

export function packMark({ generation, token, usedAt }: Mark): string {
  return `${MARK_FORMAT} ${generation} ${usedAt} ${token}`
}

/** Undefined for a text that `packMark` would not have written. */
export function parseMark(text: string): Mark | undefined {
  const [, generation, usedAt, token] = PACKED.exec(text) ?? []
  if (generation === undefined || usedAt === undefined || token === undefined) return undefined
  const mark = { generation: Number(generation), token, usedAt: Number(usedAt) }
  return mark.generation <= GENERATION_MAX && mark.usedAt <= TIME_MAX ? mark : undefined
}
