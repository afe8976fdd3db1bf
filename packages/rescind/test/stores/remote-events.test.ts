/** Streams of server-sent events are read as the standard says, however they are cut. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventReader, type ServerSentEvent } from '../../src/stores/remote-events.js'

function readAll(text: string, cuts: readonly number[] = []): ServerSentEvent[] {
  const bytes = new TextEncoder().encode(text)
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const reader = new EventReader()
  return [...places, bytes.length].flatMap((end, i) => reader.read(bytes.subarray(places[i - 1] ?? 0, end)))
}

describe('a stream of events', () => {
  it('has fields, comments, and ids that stay', () => {
    const text =
      ': hello\n\nevent: revoked\nid: 1\ndata: {"a"\ndata: :1}\n\ndata:no space\n\nid\ndata: x\nretry: 5\nnonsense\n\nevent: nothing\n\n'
    expect(readAll(text)).toEqual([
      { event: 'revoked', data: '{"a"\n:1}', lastEventId: '1' },
      { event: 'message', data: 'no space', lastEventId: '1' },
      { event: 'message', data: 'x', lastEventId: '' },
    ])
  })

  it('is the same with each of the three line ends, and cut anywhere', () => {
    const field = fc.constantFrom('id: 7', 'event: é𝒳', 'data: ä', 'data:', ': comment', '', 'data: a: b')
    fc.assert(
      fc.property(
        fc.array(field, { maxLength: 30 }),
        fc.constantFrom('\n', '\r', '\r\n'),
        fc.array(fc.nat(400)),
        (lines, end, cuts) => {
          const whole = lines.map((line) => line + '\n').join('')
          const wanted = readAll(whole)
          // The last line end of CR waits for what may follow.
          const text = lines.map((line) => line + end).join('')
          expect(readAll(text, cuts)).toEqual(wanted)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('has a bound for a line, and for an event of many lines', () => {
    expect(() => readAll(`data: ${'x'.repeat(1_100_000)}`)).toThrow('an event')
    expect(() => readAll(`data: ${'x'.repeat(1000)}\n`.repeat(1100))).toThrow('an event')
    expect(readAll(`data: ${'x'.repeat(1_000_000)}\n\n`)).toHaveLength(1)
  })
})
