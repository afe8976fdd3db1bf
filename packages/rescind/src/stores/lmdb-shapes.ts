/** The shapes in use of the embedded store, with the latest end of each: one text, read with every check. */
import { PRUNE_GRACE_SECONDS } from '../core/revocation.js'
import type { Shape } from '../core/target.js'
import type { LmdbFile } from './lmdb-file.js'
import { unreadable } from './lmdb-header.js'
import { shapeKey, SHAPES_MAX, shapesExceeded } from './store.js'

interface ShapeInUse {
  readonly shape: Shape
  readonly end: number
}

/** Ends are rounded up to so many seconds, so that the text does not change with every revocation. */
const END_STEP_SECONDS = 3600

export class LmdbShapes {
  readonly #file: LmdbFile
  #text = ''
  #known: readonly ShapeInUse[] = []
  /** Kept between changes, so that who holds it sees at a glance that nothing came into use. */
  #shapes: readonly Shape[] = []

  constructor(file: LmdbFile) {
    this.#file = file
  }

  inUse(): readonly Shape[] {
    this.#learn()
    return this.#shapes
  }

  /** Makes sure, in a transaction, that every check looks under this shape. */
  use(shape: Shape, end: number, now: number): void {
    this.#learn()
    const key = shapeKey(shape)
    const held = this.#known.find((known) => shapeKey(known.shape) === key)
    if (held !== undefined && held.end >= end) return
    const others = this.#known.filter(
      (known) => known !== held && (held !== undefined || known.end + PRUNE_GRACE_SECONDS > now),
    )
    if (others.length >= SHAPES_MAX) throw shapesExceeded()
    const rounded = Math.ceil(end / END_STEP_SECONDS) * END_STEP_SECONDS
    const next = [...others, { shape, end: rounded }]
    void this.#file.meta.put('shapes', JSON.stringify(next.map((known) => [known.end, known.shape])))
  }

  #learn(): void {
    const text = this.#file.meta.get('shapes') ?? ''
    if (text === this.#text) return
    const known = parse(text)
    if (known === undefined) throw unreadable(this.#file.path, 'is damaged: its shapes do not make sense')
    const before = this.#shapes
    const isSame =
      known.length === before.length &&
      known.every(({ shape }) => before.some((other) => shapeKey(other) === shapeKey(shape)))
    this.#text = text
    this.#known = known
    if (!isSame) this.#shapes = known.map(({ shape }) => shape)
  }
}

function parse(text: string): ShapeInUse[] | undefined {
  let lines: unknown
  try {
    lines = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(lines) || lines.length > SHAPES_MAX) return undefined
  const known = (lines as unknown[]).map((line) => {
    const [end, shape] = Array.isArray(line) ? (line as unknown[]) : []
    return { end, shape }
  })
  const isRight = known.every(
    ({ end, shape }) =>
      Number.isSafeInteger(end) && Array.isArray(shape) && shape.every((name) => typeof name === 'string'),
  )
  return isRight ? (known as ShapeInUse[]) : undefined
}
