import { expect, it } from 'vitest'
import { LINE_BYTES_MAX, linesOf, type Line } from '../src/lines.js'

async function read(...chunks: (string | Buffer)[]): Promise<Line[]> {
  async function* input() {
    yield* chunks
  }
  const lines: Line[] = []
  for await (const line of linesOf(input())) lines.push(line)
  return lines
}

it('lines are the same however the stream is cut', async () => {
  const expected = [
    { number: 1, bytes: 3, text: 'ü' },
    { number: 2, bytes: 4, text: '' },
    { number: 3, bytes: 7, text: 'b' },
    { number: 4, bytes: 8, text: 'c' },
  ]
  const bytes = Buffer.from('ü\n\nb\r\nc')
  expect(await read(bytes)).toEqual(expected)
  expect(await read(...Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(expected)
})

it('a line that is too long is told, and those after it are read', async () => {
  const long = 'x'.repeat(LINE_BYTES_MAX + 1)
  expect((await read(`a\n${long}\nb\n`)).map(({ text, problem }) => text ?? problem)).toEqual([
    'a',
    'is too long',
    'b',
  ])
})

it('a line of another encoding is told, and not read as somebody else', async () => {
  const latin1 = Buffer.from('{"target":{"sub":"J\xfcrgen"}}\n', 'latin1')
  expect((await read(latin1, 'b\n')).map(({ text, problem }) => text ?? problem)).toEqual([
    'is not UTF-8',
    'b',
  ])
})
