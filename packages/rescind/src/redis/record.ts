/**
 * The readable texts that Redis holds: the record of a target, and the list of shapes in use.
 *
 * Record: `1 RESTORED_AT TARGET_JSON`, then a line for each statement: `AT END ISSUED_BEFORE DETAILS_JSON`.
 * Shapes: the epoch and the number of partitions, then a line for each shape: `END NAMES_JSON`.
 */
import type { Entry, State } from '../core/revocation.js'
import type { Shape, Target } from '../core/target.js'
import { RescindError } from '../errors.js'
import { FORMAT_VERSION } from '../core/record.js'
import { SHAPES_MAX } from '../stores/store.js'

export interface StoredRecord {
  readonly target: Target
  readonly state: State
}

export interface StoredShapes {
  readonly epoch: string
  /** 0 when nothing was ever written. */
  readonly partitions: number
  readonly shapes: readonly Shape[]
}

const HEAD = /^(\d{1,3}) (\d{1,10}) (\{.*\})$/s
const LINE = /^(\d{1,10}) (\d{1,10}) (\d{1,10}) (\{.*\})$/s

/** Reads a record. Throws `ERR_STORE_CORRUPT` for anything that was not written by the script. */
export function parseRecord(text: string): StoredRecord {
  const lines = text.split('\n')
  const head = HEAD.exec(lines[0] ?? '')
  if (head === null || Number(head[1]) !== FORMAT_VERSION) throw corrupt('a record')
  const entries = lines.slice(1).map((line): Entry => {
    const parts = LINE.exec(line)
    if (parts === null) throw corrupt('a record')
    const details = parseJson(parts[4] as string) as { reason?: unknown; actor?: unknown }
    return {
      at: Number(parts[1]),
      end: Number(parts[2]),
      issuedBefore: Number(parts[3]),
      ...(typeof details.reason === 'string' ? { reason: details.reason } : {}),
      ...(typeof details.actor === 'string' ? { actor: details.actor } : {}),
    }
  })
  return { target: parseJson(head[3] as string) as Target, state: { restoredAt: Number(head[2]), entries } }
}

/** Reads the shapes in use. */
export function parseShapes(text: string): StoredShapes {
  const lines = text.split('\n')
  const head = /^([0-9a-f]{16}) (\d{1,2})$/.exec(lines[0] ?? '')
  if (head === null || lines.length > SHAPES_MAX + 1) throw corrupt('the list of shapes')
  const shapes = lines.slice(1).map((line): Shape => {
    const names = parseJson(line.slice(line.indexOf(' ') + 1))
    if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
      throw corrupt('the list of shapes')
    return names
  })
  return { epoch: head[1] as string, partitions: Number(head[2]), shapes }
}

export function detailsText(entry: Entry): string {
  const { reason, actor } = entry
  return JSON.stringify({
    ...(reason === undefined ? {} : { reason }),
    ...(actor === undefined ? {} : { actor }),
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new RescindError(
      'ERR_STORE_CORRUPT',
      'Redis holds a text that is not JSON where a record should stand',
      {
        cause: new Error((cause as Error).name),
      },
    )
  }
}

function corrupt(what: string): RescindError {
  return new RescindError(
    'ERR_STORE_CORRUPT',
    `Redis holds ${what} that this version cannot read; upgrade this node, or give Rescind a namespace of its own`,
  )
}
