/** The shapes that a node looks for: those that the store told of, and those that were used here before it did. */
import type { Shape } from '../core/target.js'
import { shapeKey } from '../stores/store.js'

export class ShapesInUse {
  readonly #onChanged: (shapes: readonly Shape[]) => void
  #all: readonly Shape[] = []
  /** The shapes that the store told of. */
  #told: readonly Shape[] = []
  /** Those used here before the store told of them: a read under way may not have seen them yet. */
  #own: readonly Shape[] = []

  /** `onChanged`: told of all of them when they are others than before. */
  constructor(onChanged: (shapes: readonly Shape[]) => void) {
    this.#onChanged = onChanged
  }

  /** The store tells of these. */
  use(shapes: readonly Shape[]): void {
    if (shapes === this.#told) return
    this.#told = shapes
    this.#own = this.#own.filter((shape) => !includesShape(shapes, shape))
    this.#set()
  }

  /** This one is used here. */
  add(shape: Shape): void {
    if (includesShape(this.#all, shape)) return
    this.#own = [...this.#own, shape]
    this.#set()
  }

  #set(): void {
    const shapes = [...this.#told, ...this.#own]
    const before = this.#all
    if (shapes.length === before.length && shapes.every((shape) => includesShape(before, shape))) return
    this.#all = shapes
    this.#onChanged(shapes)
  }
}

function includesShape(shapes: readonly Shape[], shape: Shape): boolean {
  const key = shapeKey(shape)
  return shapes.some((other) => shapeKey(other) === key)
}
