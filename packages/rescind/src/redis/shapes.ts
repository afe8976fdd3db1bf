/**
 * The list of shapes in use, as Redis holds it: a text of the epoch and the number of partitions, then a line for each
 * shape: `END NAMES_JSON`.
 */
import { CLAIM_NAME_LENGTH_MAX, isShape, type Shape, TARGET_CLAIMS_MAX } from '../core/target.js'
import { shapeKey, SHAPES_MAX } from '../stores/store.js'
import { corrupt } from './record.js'

export interface StoredShapes {
  readonly epoch: string
  /** 0 when nothing was ever written. */
  readonly partitions: number
  readonly shapes: readonly Shape[]
  /** Until when each is in use, in seconds since 1970. */
  readonly ends: readonly number[]
}

/** The longest line of a shape: every character of its names written as `\\u0000`. */
const SHAPE_LENGTH_MAX = 16 + TARGET_CLAIMS_MAX * (6 * CLAIM_NAME_LENGTH_MAX + 3)

/** Reads the shapes in use. Throws `ERR_STORE_CORRUPT` for anything that the script would not have written. */
export function parseShapes(text: string): StoredShapes {
  const lines = text.split('\n', SHAPES_MAX + 2)
  const head = /^([0-9a-f]{16}) (\d{1,2})$/.exec(lines[0] ?? '')
  if (head === null || lines.length > SHAPES_MAX + 1) throw corrupt('the list of shapes')
  const told = lines.slice(1).map((line) => ({ end: parseInt(line, 10), names: parseNames(line) }))
  // Whoever may write can bring into use what no target is of. Nothing is to be found there, and the others go on.
  const inUse = told.filter(({ names }) => isShape(names))
  return {
    epoch: head[1] as string,
    partitions: Number(head[2]),
    shapes: inUse.map(({ names }) => names),
    ends: inUse.map(({ end }) => end),
  }
}

function parseNames(line: string): readonly string[] {
  const text = line.length > SHAPE_LENGTH_MAX ? undefined : /^\d{1,10} (\[.*\])$/s.exec(line)?.[1]
  const names = text === undefined ? undefined : parseJson(text)
  const isTexts = Array.isArray(names) && names.every((name) => typeof name === 'string')
  if (!isTexts || shapeKey(names) !== text) throw corrupt('the list of shapes')
  return names
}

/** Undefined for what is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
