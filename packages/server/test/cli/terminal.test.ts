import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { containsToken } from '../../../rescind/test/support/canary.js'
import { namedBy } from '../../../rescind/test/support/net-namespaces.js'
import { until } from '../../../rescind/test/support/until.js'
import { type Place, PLACES } from './support/backends.js'
import { MAIN, run } from './support/command.js'

const hasScript = spawnSync('script', ['--version']).status === 0 || 'there is no script of util-linux'

/** Whatever has not ended by itself then never would; its code is null. */
const ENDED_TIMEOUT_MS = 30_000

/** The command on a terminal of its own, by `script` of util-linux. */
class OnTerminal {
  text = ''
  readonly child
  readonly ended: Promise<number | null>

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    const line = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ')
    this.child = spawn('script', ['-qefc', line, '/dev/null'], {
      env: { PATH: process.env.PATH, TERM: 'xterm', ...env },
      timeout: ENDED_TIMEOUT_MS,
    })
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.text += text))
    this.ended = new Promise((resolve) => this.child.once('close', resolve))
  }
}

describe.skipIf(hasScript !== true)(namedBy('on a terminal', hasScript), () => {
  let place: Place
  beforeAll(async () => {
    place = await (PLACES['the embedded store'] as () => Promise<Place>)()
  })
  afterAll(() => place[Symbol.asyncDispose]())

  it('there are colours, but where they are not wanted', async () => {
    const args = ['revoke', '--claim', 'sub=alice']
    const coloured = new OnTerminal(args, place.env)
    expect(await coloured.ended).toBe(0)
    expect(coloured.text).toContain('\u001b[31mRevoked\u001b[39m')
    const plain = new OnTerminal(args, { ...place.env, NO_COLOR: '1' })
    expect(await plain.ended).toBe(0)
    const asked = new OnTerminal([...args, '--no-color'], place.env)
    expect(await asked.ended).toBe(0)
    const json = new OnTerminal([...args, '--json'], place.env)
    await json.ended
    for (const { text } of [plain, asked, json]) expect(text).not.toContain('\u001b[')
  })

  it('a token that is typed is not shown', async () => {
    const token = await place.issuer.sign({ sub: 'typed' })
    const asking = new OnTerminal(['check'], place.env)
    await until(() => asking.text.includes('not shown'), { what: 'the question' })
    asking.child.stdin.write(`${token}\r`)
    expect(await asking.ended).toBe(0)
    expect(asking.text).toContain('Clear')
    expect(containsToken(asking.text)).toBe(false)
  })

  it('Ctrl-C at a hidden question ends as it does everywhere', async () => {
    const asking = new OnTerminal(['check'], place.env)
    await until(() => asking.text.includes('not shown'), { what: 'the question' })
    asking.child.stdin.write('\u0003')
    expect(await asking.ended).toBe(130)
    expect(asking.text).toContain('given up')
    expect(asking.text).not.toContain('defect')
  })

  it('everything is revoked for the word alone', async () => {
    const refused = new OnTerminal(['revoke', '--everything'], place.env)
    await until(() => refused.text.includes('Type "everything"'), { what: 'the question' })
    refused.child.stdin.write('yes\r')
    expect(await refused.ended).toBe(2)
    expect((await run(['check', '--claim', 'sub=x'], { env: place.env })).code).toBe(0)
    const confirmed = new OnTerminal(['revoke', '--everything'], place.env)
    await until(() => confirmed.text.includes('Type "everything"'), { what: 'the question' })
    confirmed.child.stdin.write('everything\r')
    expect(await confirmed.ended).toBe(0)
    expect((await run(['check', '--claim', 'sub=x'], { env: place.env })).code).toBe(3)
    await run(['restore', '--everything'], { env: place.env })
  })

  it('a bar shows how far an import is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rescind-bar-'))
    try {
      const file = join(folder, 'lines.ndjson')
      writeFileSync(file, Array.from({ length: 3000 }, (_, i) => `{"target":{"sub":"bar-${i}"}}`).join('\n'))
      const importing = new OnTerminal(['import', file], place.env)
      expect(await importing.ended).toBe(0)
      expect(importing.text).toMatch(/Importing .*%/)
      expect(importing.text).toContain('3000 lines: 3000 revoked')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('an import that cannot begin ends, and leaves the terminal as it was', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rescind-begin-'))
    try {
      const file = join(folder, 'lines.ndjson')
      writeFileSync(file, '{"target":{"sub":"begin"}}\n')
      for (const flags of [
        ['--from', '0'],
        ['--from', '2', '--state', join(folder, 'state')],
        ['--state', file],
      ]) {
        const importing = new OnTerminal(['import', file, ...flags], place.env)
        expect(await importing.ended).toBe(2)
        expect(importing.text).toContain(flags[0])
        const cursor = [...importing.text.matchAll(/\u001b\[\?25([hl])/g)].map(([, shown]) => shown)
        expect(cursor.at(-1) ?? 'h').toBe('h')
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('what others have written cannot steer it', async () => {
    await run(['revoke', '--claim', 'sub=evil', '--reason', '\u001b[2Jgone\u202e'], { env: place.env })
    const listed = new OnTerminal(['list', '--claim', 'sub=evil', '--no-color'], place.env)
    expect(await listed.ended).toBe(0)
    expect(listed.text).toContain('\ufffd[2Jgone\ufffd')
    expect(listed.text).not.toContain('\u001b')
  })
})
