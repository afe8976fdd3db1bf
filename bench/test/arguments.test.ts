import { describe, expect, test } from 'vitest'
import { readArguments } from '../src/arguments.js'

const names = ['check', 'verify']

describe('readArguments', () => {
  test('reads a name with the defaults', () => {
    const command = readArguments(['check'], names)
    expect(command).toEqual({ kind: 'run', name: 'check', json: false, quick: false, rounds: 5 })
  })

  test('reads options before and after the name', () => {
    const command = readArguments(['--json', 'verify', '--rounds', '50', '--quick'], names)
    expect(command).toEqual({ kind: 'run', name: 'verify', json: true, quick: true, rounds: 50 })
  })

  test('reads which systems are wanted', () => {
    expect(readArguments(['check', '--only', 'redis'], names)).toMatchObject({ kind: 'run', only: 'redis' })
  })

  test('lists without any argument, and helps when asked', () => {
    expect(readArguments([], names)).toEqual({ kind: 'list' })
    expect(readArguments(['check', '--help'], names)).toEqual({ kind: 'help' })
    expect(readArguments(['-h'], names)).toEqual({ kind: 'help' })
  })

  test.each([
    [['chekc'], 'there is no benchmark "chekc"'],
    [['check', 'verify'], 'one benchmark at a time'],
    [['--json'], 'no benchmark is named'],
    [['check', '--fast'], "'--fast'"],
    [['check', '--json=yes'], '--json'],
    [['check', '--rounds'], '--rounds'],
    [['check', '--rounds', '0'], '--rounds takes a whole number from 1 to 50'],
    [['check', '--rounds', '51'], '--rounds takes a whole number from 1 to 50'],
    [['check', '--rounds', '2.5'], '--rounds takes a whole number from 1 to 50'],
    [['check', '--rounds', '1e1'], '--rounds takes a whole number from 1 to 50'],
    [['check', '--rounds', ''], '--rounds takes a whole number from 1 to 50'],
  ])('refuses %j in one line that names the benchmarks', (args, what) => {
    const command = readArguments(args, names)
    expect(command.kind).toBe('invalid')
    const { message } = command as { message: string }
    expect(message).toContain(what)
    expect(message).toContain('check, verify')
    expect(message).not.toContain('\n')
  })
})
