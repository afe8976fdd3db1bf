/**
 * Chance that depends on nothing but its seed. Streams are forked by name, so that one more draw in one part of a
 * simulation does not change all the others.
 */
const GOLDEN = 0x9e37_79b9
const FNV_START = 0x811c_9dc5
const FNV_FACTOR = 0x0100_0193

export class Chance {
  readonly #seed: number
  #state: number

  constructor(seed: number) {
    this.#seed = mix(seed + GOLDEN)
    this.#state = this.#seed
  }

  /** Another stream, the same for the same seed and name whatever was drawn before. */
  fork(name: string): Chance {
    return new Chance(hashText(this.#seed, name))
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + GOLDEN) >>> 0
    return mix(this.#state) / 2 ** 32
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  is(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)] as T
  }

  /** One of the keys, as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries(weights) as [T, number][]
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [choice, weight] of entries) if ((left -= weight) < 0) return choice
    return (entries.at(-1) as [T, number])[0]
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.whole(0, 255)))
  }
}

/** A running 32-bit hash over texts (FNV-1a). */
export function hashText(hash: number, text: string): number {
  let value = hash
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), FNV_FACTOR)
  return value >>> 0
}

export const HASH_START = FNV_START

/** The finalizer of splitmix32. */
function mix(value: number): number {
  let mixed = value >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
