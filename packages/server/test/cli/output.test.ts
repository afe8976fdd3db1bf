import { describe, expect, it } from 'vitest'
import { Output } from '../../src/cli/output.js'
import type { Terminal } from '../../src/cli/terminal.js'

const terminal = { env: {}, isHuman: false } as Terminal

describe('a table that comes in pieces', () => {
  it('has one head, and columns that never get narrower', () => {
    const rowsOf = new Output(terminal, {}).tableInPieces(['WHO', 'WHY'])
    const lines = [
      ...rowsOf([]),
      ...rowsOf([['alice', 'a']]),
      ...rowsOf([
        ['bo', 'b'],
        ['somebody', 'c'],
      ]),
      ...rowsOf([['x', 'd']]),
    ]
    expect(lines).toEqual(['WHO    WHY', 'alice  a', 'bo        b', 'somebody  c', 'x         d'])
  })
})
