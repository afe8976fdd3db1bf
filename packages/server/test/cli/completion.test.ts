import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { debianPackage } from '../../../rescind/test/support/debian-package.js'
import { completedCommands } from '../../src/cli/completion/tree.js'
import { makeProgram } from '../../src/cli/program.js'
import type { Terminal } from '../../src/cli/terminal.js'
import { run } from './support/command.js'

/** The shells are fetched where they are not there yet. */
const FETCH_TIMEOUT_MS = 120_000

describe('in a real bash', () => {
  let folder: string
  let script: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rescind-completion-'))
    script = join(folder, 'rescind.bash')
    writeFileSync(script, (await run(['completion', 'bash'])).out)
    writeFileSync(join(folder, 'key.txt'), '')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  /** What bash offers after these words, the last of which is begun. */
  function offered(...words: string[]): string[] {
    const program = `set -u; source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}
_rescind rescind "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr, status } = spawnSync(
      'bash',
      ['-c', program, 'bash', script, 'rescind', ...words],
      {
        encoding: 'utf8',
      },
    )
    expect(stderr).toBe('')
    expect(status).toBe(0)
    return stdout.split('\n').filter(Boolean)
  }

  it('commands, subcommands, options and choices are offered where they belong', () => {
    expect(offered('re')).toEqual(['revoke', 'restore'])
    expect(offered('clients', '')).toEqual(expect.arrayContaining(['make', 'rotate', 'disable']))
    expect(offered('clients', '')).not.toContain('revoke')
    expect(offered('revoke', '--every')).toEqual(expect.arrayContaining(['--everything', '--everywhere']))
    expect(offered('list', '--every')).toEqual([])
    expect(offered('revoke', '--ack', '')).toEqual(['accepted', 'replicated', 'everywhere'])
    expect(offered('revoke', '--ack', '=', 'rep')).toEqual(['replicated'])
    expect(offered('list', '--order', 'ending')).toEqual(['ending-first', 'ending-last'])
    expect(offered('--json', 'clients', 'make', '--ro')).toEqual(['--role'])
    expect(offered('completion', '')).toEqual(['bash', 'zsh', 'fish'])
    expect(offered('list', '--no-')).toEqual(['--no-color'])
  })

  it('files are left to bash where a file is wanted', () => {
    expect(offered('revoke', '--token-file', 'k')).toEqual([])
    const { stdout } = spawnSync('bash', ['--norc', '-c', 'source "$0"; complete -p rescind', script], {
      encoding: 'utf8',
    })
    expect(stdout).toContain('-o default')
  })

  it('the word of a value is not taken for a command', () => {
    expect(offered('revoke', '--reason', 'clients', '--tok')).toEqual(['--token-file'])
  })
})

it.each(['bash', 'zsh', 'fish'])('the completion for %s knows every command and option', async (shell) => {
  const { out, code } = await run(['completion', shell])
  expect(code).toBe(0)
  for (const { path, options, argument } of completedCommands(makeProgram({} as Terminal, false))) {
    expect(out).toContain(path)
    for (const { names, value } of options) {
      for (const name of names) expect(out).toContain(name.replace(/^-+/, ''))
      if (value.kind === 'choice') for (const choice of value.choices) expect(out).toContain(choice)
    }
    if (argument.kind === 'choice') for (const choice of argument.choices) expect(out).toContain(choice)
  }
})

describe('in a real fish', () => {
  /** What fish offers for this line, without the descriptions. */
  async function offered(line: string): Promise<string[]> {
    const { root, env } = await debianPackage('fish')
    const { out } = await run(['completion', 'fish'])
    const { stdout, stderr } = spawnSync(
      join(root, 'usr/bin/fish'),
      ['--no-config', '-c', 'eval "$completion"; complete -C "$line"'],
      { env: { ...env, completion: out, line, HOME: tmpdir() }, encoding: 'utf8' },
    )
    expect(stderr).toBe('')
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((each) => each.split('\t')[0] as string)
      .sort()
  }

  it(
    'the same is offered',
    async () => {
      expect(await offered('rescind re')).toEqual(['restore', 'revoke'])
      expect(await offered('rescind clients ')).toEqual(expect.arrayContaining(['make', 'rotate']))
      expect(await offered('rescind revoke --every')).toEqual(['--everything', '--everywhere'])
      expect(await offered('rescind revoke --ack ')).toEqual(['accepted', 'everywhere', 'replicated'])
      expect(await offered('rescind completion ')).toEqual(['bash', 'fish', 'zsh'])
    },
    FETCH_TIMEOUT_MS,
  )
})

describe('in a real zsh', () => {
  /** What the function hands to zsh's own `_describe` and `compadd`, which show it. */
  async function offered(...words: string[]): Promise<string[]> {
    const { root, env } = await debianPackage('zsh')
    const { out } = await run(['completion', 'zsh'])
    const program = `module_path=($root/usr/lib/*/zsh/*(/))
compdef() { }
_describe() { print -rl -- \${(P)2} }
compadd() { shift; print -rl -- "$@" }
_files() { print FILES }
_message() { }
eval "$completion"
words=("$@"); CURRENT=$#; PREFIX=\${words[CURRENT]}
_rescind`
    const { stdout, stderr } = spawnSync(
      join(root, 'bin/zsh'),
      ['-f', '-c', program, 'zsh', 'rescind', ...words],
      { env: { ...env, root, completion: out }, encoding: 'utf8' },
    )
    expect(stderr).toBe('')
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((each) => each.replace(/:.*/, ''))
  }

  it(
    'the same is offered',
    async () => {
      expect(await offered('re')).toEqual(expect.arrayContaining(['revoke', 'restore']))
      expect(await offered('clients', '')).toEqual([
        'list',
        'make',
        'rotate',
        'disable',
        'enable',
        'remove',
        'help',
      ])
      expect(await offered('revoke', '--every')).toEqual(
        expect.arrayContaining(['--everything', '--everywhere']),
      )
      expect(await offered('revoke', '--ack', '')).toEqual(['accepted', 'replicated', 'everywhere'])
      expect(await offered('revoke', '--token-file', '')).toEqual(['FILES'])
      expect(await offered('completion', '')).toEqual(['bash', 'zsh', 'fish'])
      expect(await offered('import', '')).toEqual(['FILES'])
    },
    FETCH_TIMEOUT_MS,
  )
})
