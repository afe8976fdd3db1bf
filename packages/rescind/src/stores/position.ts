/**
 * Places in the change log, as text that says which history it belongs to: `EPOCH:SEGMENT:OFFSET:CHAIN`, one
 * part for each partition, joined by `;`. The chain value makes a place self-proving: another history, or an
 * older state of the same, does not continue it. Everybody but the store takes the text as it is.
 */

/** A place in the log of one partition. */
export interface Position {
  /** 16 hex digits; empty for a log that was never written to. */
  readonly epoch: string
  readonly segment: number
  readonly offset: number
  /** The running hash over everything before it. */
  readonly chain: number
}

/** Before everything, in a log that may not exist yet. */
export const ORIGIN: Position = { epoch: '', segment: 0, offset: 0, chain: 0 }

const PART = /^([0-9a-f]{16}|):(\d{1,10}):(\d{1,16}):([0-9a-f]{8})$/

export function formatPosition(parts: readonly (Position | undefined)[]): string {
  return parts
    .map((part) => {
      if (part === undefined) return ''
      const { epoch, segment, offset, chain } = part
      return `${epoch}:${segment}:${offset}:${chain.toString(16).padStart(8, '0')}`
    })
    .join(';')
}

/** The parts of a position; undefined for a text that is none. An empty part is undefined. */
export function parsePosition(text: string): (Position | undefined)[] | undefined {
  const parts: (Position | undefined)[] = []
  for (const part of text.split(';')) {
    if (part === '') {
      parts.push(undefined)
      continue
    }
    const match = PART.exec(part)
    if (match === null) return undefined
    const [, epoch = '', segment, offset, chain = ''] = match
    parts.push({ epoch, segment: Number(segment), offset: Number(offset), chain: parseInt(chain, 16) })
  }
  return parts
}

/** True when a reader at `position` has read everything up to `wanted`; parts left empty do not matter. */
export function hasReached(position: string, wanted: string): boolean {
  const have = parsePosition(position) ?? []
  const need = parsePosition(wanted)
  if (need === undefined) return false
  return need.every((part, i) => {
    const at = have[i]
    if (part === undefined) return true
    if (at === undefined || at.epoch !== part.epoch) return false
    if (at.segment !== part.segment) return at.segment > part.segment
    // At the same place only the same chain says that it is the same history.
    return at.offset > part.offset || (at.offset === part.offset && at.chain === part.chain)
  })
}
