/**
 * The shapes that a node knows to be in use, as Redis tells of them. Those of before are kept beside: were only
 * their key lost, the records would still be found.
 */
import type { Shape } from '../core/target.js'
import { KNOWN_SHAPES_MAX, shapeKey } from '../stores/store.js'
import { partitionsDiffer } from './failure.js'
import { parseShapes, type StoredShapes } from './shapes.js'

const NOTHING: StoredShapes = { epoch: '', partitions: 0, shapes: [], ends: [] }

export class KnownShapes {
  readonly #partitions: number
  readonly #now: () => number
  readonly #onOtherHistory: () => void
  #text: string | null = null
  #told = NOTHING
  /** The shapes that Redis told of, and until when they are in use. */
  #ends = new Map<string, number>()
  #hasLost = false

  /** `onOtherHistory` is called when Redis tells of another history than before. `now`: seconds since 1970. */
  constructor(partitions: number, now: () => number, onOtherHistory: () => void) {
    this.#partitions = partitions
    this.#now = now
    this.#onOtherHistory = onOtherHistory
  }

  /** The same array while nothing came into use. */
  get shapes(): readonly Shape[] {
    return this.#told.shapes
  }

  /** Of the history that they belong to; empty when Redis tells of none. */
  get epoch(): string {
    return this.#told.epoch
  }

  /** Takes over what Redis tells. Throws `ERR_STORE_CORRUPT` and `ERR_PARTITIONS_DIFFER`. */
  learn(text: string | null): void {
    if (text === this.#text) return
    const told = text === null ? NOTHING : parseShapes(text)
    if (told.partitions !== 0 && told.partitions !== this.#partitions) throw partitionsDiffer()
    const before = this.#told
    if (before.epoch !== '' && told.epoch !== before.epoch) this.#onOtherHistory()
    const ends = new Map(told.shapes.map((shape, i) => [shapeKey(shape), told.ends[i] as number]))
    const now = this.#now()
    this.#hasLost ||= [...this.#ends].some(([shape, end]) => end > now && !ends.has(shape))
    this.#ends = ends
    const known = new Map(before.shapes.map((shape) => [shapeKey(shape), shape]))
    for (const shape of told.shapes) known.set(shapeKey(shape), shape)
    // The bound: shapes of long ago are given up for those that are told of.
    if (known.size > KNOWN_SHAPES_MAX) {
      known.clear()
      for (const shape of told.shapes) known.set(shapeKey(shape), shape)
    }
    this.#text = text
    const isSame =
      known.size === before.shapes.length && before.shapes.every((shape) => known.has(shapeKey(shape)))
    this.#told = { ...told, shapes: isSame ? before.shapes : [...known.values()] }
  }

  /** True, once, when a shape is not told of any more before its end: nobody else would look under it. */
  takeLoss(): boolean {
    const hasLost = this.#hasLost
    this.#hasLost = false
    return hasLost
  }

  /** True when some shape is in use that was not among these. */
  hasOthersThan(shapes: readonly Shape[]): boolean {
    if (shapes === this.shapes) return false
    const known = new Set(shapes.map(shapeKey))
    return this.shapes.some((shape) => !known.has(shapeKey(shape)))
  }
}
