/** The lines of a stream, one after the other, in bounded memory: a line that cannot be read is told as such and skipped. */
import { isUtf8 } from 'node:buffer'

export type Line = {
  /** From 1. */
  readonly number: number
  /** How many bytes of the stream end with it. */
  readonly bytes: number
} & (
  | { readonly text: string; readonly problem?: undefined }
  /** Longer than `LINE_BYTES_MAX`, or of another encoding: read leniently, it would name somebody else. */
  | { readonly text?: undefined; readonly problem: 'is too long' | 'is not UTF-8' }
)

export const LINE_BYTES_MAX = 65_536
const NEWLINE = 0x0a

export async function* linesOf(input: AsyncIterable<Buffer | string>): AsyncGenerator<Line, void> {
  let number = 0
  let bytes = 0
  /** What has been read of the line that has not ended. */
  let pieces: Buffer[] = []
  let length = 0
  const end = (): Line => {
    const line = Buffer.concat(pieces)
    const isTooLong = length > LINE_BYTES_MAX
    pieces = []
    length = 0
    number++
    if (isTooLong) return { number, bytes, problem: 'is too long' }
    if (!isUtf8(line)) return { number, bytes, problem: 'is not UTF-8' }
    return { number, bytes, text: line.toString('utf8').replace(/\r$/, '') }
  }
  for await (const given of input) {
    const chunk = typeof given === 'string' ? Buffer.from(given) : given
    let from = 0
    while (from < chunk.length) {
      const at = chunk.indexOf(NEWLINE, from)
      const piece = chunk.subarray(from, at === -1 ? chunk.length : at)
      length += piece.length
      bytes += piece.length
      if (length <= LINE_BYTES_MAX) pieces.push(piece)
      else pieces = []
      if (at === -1) break
      bytes++
      yield end()
      from = at + 1
    }
  }
  if (length > 0) yield end()
}
