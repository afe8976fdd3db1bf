/**
 * The shapes in use, as a check needs them: which digests to look for, in 32-bit words and without making
 * anything on the way.
 */
import { DIGEST_WORDS, TargetHasher } from './target-hash.js'
import {
  combinationsOf,
  readTexts,
  type Shape,
  type Subject,
  type Target,
  targetOf,
  TOKEN_DIGEST,
} from './target.js'

export { DIGEST_WORDS }

/**
 * The digests that a subject may be revoked under, kept with one that is asked about again. The first stands in
 * fields of the subject itself: checking many tokens is waiting for memory, and an array lies two steps further.
 */
export class KnownDigests {
  /** The set that made them; another set makes others. */
  knownBy: object | undefined = undefined
  /** How many words there are, 0 to 4 of them here. */
  knownCount = 0
  known0 = 0
  known1 = 0
  known2 = 0
  known3 = 0
  /** Those of the other digests. */
  knownRest: Int32Array | undefined = undefined
}

/** Room for the largest subject: 64 shapes of 64 combinations. */
const scratch = new Int32Array(64 * 64 * DIGEST_WORDS)

export class ProbeSet {
  readonly shapes: readonly Shape[]
  /** Tokens may be revoked by their own digest: claims without a usable `jti` cannot tell. */
  readonly usesTokenDigest: boolean
  /** Where `write` leaves the digests, until the next call of any set. */
  readonly words = scratch
  readonly #probes: readonly Probe[]

  constructor(shapes: readonly Shape[]) {
    this.shapes = shapes
    this.usesTokenDigest = shapes.some((shape) => shape[0] === TOKEN_DIGEST)
    this.#probes = shapes.map((shape) => ({
      shape,
      hasher: new TargetHasher(shape),
      values: shape.map(() => ''),
    }))
  }

  /**
   * Writes the digests of a subject to `words`, and returns how many words there are.
   * Throws `ERR_CLAIM_INVALID` for a claim that cannot be compared in full.
   */
  write(subject: Subject): number {
    let end = 0
    for (let i = 0; i < this.#probes.length; i++) {
      const { shape, hasher, values } = this.#probes[i] as Probe
      switch (readTexts(shape, subject, values)) {
        case 'none':
          break
        case 'texts':
          hasher.digestInto(values, scratch, end)
          end += DIGEST_WORDS
          break
        case 'other':
          for (const combination of combinationsOf(shape, subject)) {
            hasher.digestInto(combination, scratch, end)
            end += DIGEST_WORDS
          }
      }
    }
    return end
  }

  /** Keeps the digests with a subject. Throws as `write`. */
  remember(subject: KnownDigests & Subject): void {
    const count = this.write(subject)
    const words = this.words
    subject.knownCount = count
    subject.known0 = words[0] as number
    subject.known1 = words[1] as number
    subject.known2 = words[2] as number
    subject.known3 = words[3] as number
    subject.knownRest = count > DIGEST_WORDS ? words.slice(DIGEST_WORDS, count) : undefined
    subject.knownBy = this
  }

  /** The target of the digest that `write` puts at this place, counted in digests. */
  targetAt(subject: Subject, place: number): Target | undefined {
    let left = place
    for (const { shape, values } of this.#probes) {
      const found = readTexts(shape, subject, values)
      if (found === 'none') continue
      const combinations = found === 'texts' ? [values] : combinationsOf(shape, subject)
      const mine = combinations[left]
      if (mine !== undefined) return targetOf({ shape, values: mine })
      left -= combinations.length
    }
    return undefined
  }
}

interface Probe {
  readonly shape: Shape
  readonly hasher: TargetHasher
  /** Filled anew for each subject. */
  readonly values: string[]
}
