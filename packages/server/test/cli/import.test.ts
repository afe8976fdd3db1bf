import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { LmdbRecords } from '../../src/records/lmdb.js'
import { type Place, PLACES } from './support/backends.js'
import { run, runBash, runJson, start } from './support/command.js'

const LINES = 10_000
const TEST_TIMEOUT_MS = 240_000

interface Summary {
  readonly isWhole: boolean
  readonly lines: number
  readonly revoked: number
  readonly unchanged: number
  readonly ended: number
  readonly refused: number
}

describe.each(Object.keys(PLACES))('into %s an import', (name) => {
  let place: Place
  let folder: string
  beforeAll(async () => {
    place = await (PLACES[name] as () => Promise<Place>)()
    folder = mkdtempSync(join(tmpdir(), 'rescind-import-'))
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true })
    await place[Symbol.asyncDispose]()
  })
  const exported = async () => {
    const { code, out } = await run(['export'], { env: place.env })
    expect(code).toBe(0)
    return out
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { target: { sub: string }; expiresAt: number; reason: string })
  }

  it(
    'that is killed, and stopped, and goes on, loses no line and does none twice',
    async () => {
      const file = join(folder, 'all.ndjson')
      const state = join(folder, 'state')
      const expiresAt = Math.floor(Date.now() / 1000) + 86_400
      writeFileSync(
        file,
        Array.from({ length: LINES }, (_, i) =>
          JSON.stringify({
            target: { sub: `user-${i}` },
            expiresAt,
            issuedBefore: null,
            reason: `number ${i}`,
          }),
        ).join('\n'),
      )
      const begin = () => start(['import', file, '--state', state, '--json'], { env: place.env })

      const killed = begin()
      await until(() => existsSync(state), { what: 'the state', timeoutMs: 30_000 })
      killed.child.kill('SIGKILL')
      expect((await killed.ended).signal).toBe('SIGKILL')
      const before = linesIn(state)
      expect(before).toBeGreaterThan(0)
      expect(before).toBeLessThan(LINES)

      const stopped = begin()
      await until(() => linesIn(state) > before, { what: 'more lines', timeoutMs: 60_000 })
      stopped.child.kill('SIGINT')
      const ended = await stopped.ended
      expect(ended.code).toBe(130)
      const half = JSON.parse(ended.out) as Summary
      expect(half).toMatchObject({ isWhole: false, lines: linesIn(state), refused: 0 })
      expect(half.lines).toBeLessThan(LINES)
      // What it says was done stands.
      const subs = new Set((await exported()).map(({ target }) => target.sub))
      for (let i = 0; i < half.lines; i++) expect(subs.has(`user-${i}`)).toBe(true)

      const resumed = await begin().ended
      expect(resumed.code).toBe(0)
      const rest = JSON.parse(resumed.out) as Summary
      expect(rest).toMatchObject({ isWhole: true, lines: LINES, refused: 0, ended: 0 })
      // It went on, and did not begin anew.
      expect(rest.revoked + rest.unchanged).toBe(LINES - half.lines)

      const all = await exported()
      expect(all).toHaveLength(LINES)
      expect(new Set(all.map(({ target }) => target.sub)).size).toBe(LINES)
      for (const { target, expiresAt: end, reason } of all) {
        expect(end).toBe(expiresAt)
        expect(reason).toBe(target.sub.replace('user-', 'number '))
      }
      // All is done: the same command again does nothing.
      expect(JSON.parse((await begin().ended).out)).toMatchObject({ revoked: 0, unchanged: 0, lines: LINES })
    },
    TEST_TIMEOUT_MS,
  )

  it('is exported to a pipe that is closed early without a complaint', async () => {
    const { code, out, err } = await runBash('"$@" export | head -n 2; exit ${PIPESTATUS[0]}', {
      env: place.env,
    })
    expect(out.trim().split('\n')).toHaveLength(2)
    expect(err).toBe('')
    expect(code).toBe(0)
  })

  it('names the lines that it refuses, does the others, and says so by its exit code', async () => {
    const soon = Math.floor(Date.now() / 1000) + 3600
    const lines = [
      '{"target":{"sub":"good-1"},"id":"of another store","revokedAt":1,"actor":"somebody"}',
      'no JSON',
      '{"target":{}}',
      `{"target":{"sub":"ended"},"expiresAt":1000}`,
      '',
      '{"target":{"sub":["a"]}}',
      `{"target":{"sub":"${'x'.repeat(2000)}"}}`,
      `{"target":{"sub":"${'x'.repeat(100_000)}"}}`,
      `{"target":{"sub":"good-2"},"expiresAt":${soon},"issuedBefore":null}`,
    ]
    const input = `${lines.join('\n')}\n`
    const ran = await run(['import'], { env: place.env, input })
    expect(ran.code).toBe(9)
    expect(ran.out).toBe('9 lines: 2 revoked, 0 stood already, 1 had ended, 5 refused\n')
    const refused = ran.err.trim().split('\n')
    expect(refused.map((line) => /^line (\d):/.exec(line)?.[1])).toEqual(['2', '3', '6', '7', '8'])
    expect(ran.err).toContain('revoke --everything')
    expect(ran.err).not.toContain('xxx')
    for (const sub of ['good-1', 'good-2'])
      expect((await run(['check', '--claim', `sub=${sub}`], { env: place.env })).code).toBe(3)
    const told = await run(['import', '--json'], { env: place.env, input })
    expect(
      told.err
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { line: 2, status: 'refused', code: 'LINE_INVALID', message: expect.any(String) },
      { line: 3, status: 'refused', code: 'LINE_INVALID', message: expect.any(String) },
      { line: 6, status: 'refused', code: 'LINE_INVALID', message: expect.any(String) },
      {
        line: 7,
        status: 'refused',
        code: expect.stringMatching(/^(ERR_TARGET|LINE)_INVALID$/),
        message: expect.any(String),
      },
      { line: 8, status: 'refused', code: 'LINE_INVALID', message: expect.any(String) },
    ])
    const fromLine = await run(['import', '--from', '9', '--json'], { env: place.env, input })
    expect(fromLine.code).toBe(0)
    expect(JSON.parse(fromLine.out)).toMatchObject({ lines: 9, refused: 0, ended: 0 })
  })

  it('takes an end in every form, and passes over nothing that it does not know', async () => {
    const day = 86_400
    const begun = Math.floor(Date.now() / 1000)
    const lines = [
      '{"target":{"sub":"day"},"lifetimeSeconds":86400,"issuedBefore":null}',
      `{"target":{"sub":"iso"},"expiresAt":"${new Date((begun + day) * 1000).toISOString()}"}`,
      `{"target":{"sub":"typo"},"expiresat":${begun + day}}`,
      `{"target":{"sub":"both"},"expiresAt":${begun + day},"lifetimeSeconds":86400}`,
      '{"target":{"sub":"endless"},"lifetimeSeconds":0}',
      '{"target":{"sub":"wide","__proto__":"narrow"}}',
      `{"target":{"sub":"long"},"${'x'.repeat(5000)}":1}`,
    ]
    const { code, out, err } = await run(['import'], { env: place.env, input: lines.join('\n') })
    expect(out).toBe('7 lines: 2 revoked, 0 stood already, 0 had ended, 5 refused\n')
    expect(code).toBe(9)
    const told = err.trim().split('\n')
    expect(told.map((line) => line.slice(0, 7))).toEqual([
      'line 3:',
      'line 4:',
      'line 5:',
      'line 6:',
      'line 7:',
    ])
    expect(told[0]).toContain('"expiresat"')
    expect(told[1]).toContain('lifetimeSeconds')
    expect(told[2]).toContain('lifetimeSeconds')
    expect(told[3]).toContain('__proto__')
    expect(told[4]?.length).toBeLessThan(200)
    for (const sub of ['day', 'iso']) {
      const [found] = (await runJson(['list', '--claim', `sub=${sub}`], { env: place.env })).revocations as {
        expiresAt: number
      }[]
      expect(found?.expiresAt).toBeGreaterThanOrEqual(begun + day)
      expect(found?.expiresAt).toBeLessThanOrEqual(begun + day + 60)
    }
    for (const sub of ['typo', 'both', 'endless', 'wide', 'long'])
      expect((await run(['check', '--claim', `sub=${sub}`], { env: place.env })).code).toBe(0)
  })
})

describe('an import', () => {
  it('is of who imports it in the trail, and of who revoked it in the list', async () => {
    await using place = await (PLACES['the embedded store'] as () => Promise<Place>)()
    const { env } = place
    const input = '{"target":{"sub":"of-alice"},"actor":"alice"}\n{"target":{"sub":"of-nobody"}}\n'
    expect((await run(['import'], { env, input })).code).toBe(0)
    const { revocations } = (await runJson(['list'], { env })) as unknown as {
      revocations: { target: { sub: string }; actor?: string }[]
    }
    expect(Object.fromEntries(revocations.map(({ target, actor }) => [target.sub, actor]))).toEqual({
      'of-alice': 'alice',
      'of-nobody': 'tester@here',
    })
    const records = new LmdbRecords({ folder: env.RESCIND_DATA_DIR as string, trailMax: 1000 })
    try {
      const { entries } = await records.trail({ limit: 10 })
      expect(entries.map(({ text }) => JSON.parse(text) as unknown)).toEqual([
        expect.objectContaining({ client: 'tester@here', via: 'command' }),
        expect.objectContaining({ client: 'tester@here', via: 'command' }),
      ])
    } finally {
      await records.close()
    }
  })

  it('names every line that it refuses to a program, and to a person no more than can be read', async () => {
    await using place = await (PLACES['the embedded store'] as () => Promise<Place>)()
    const { env } = place
    const input = 'no JSON\n'.repeat(600)
    const json = await run(['import', '--json'], { env, input })
    const told = json.err.trim().split('\n')
    expect(told.map((line) => (JSON.parse(line) as { line: number }).line)).toEqual(
      Array.from({ length: 600 }, (_, i) => i + 1),
    )
    const human = (await run(['import'], { env, input })).err.trim().split('\n')
    expect(human).toHaveLength(21)
    expect(human.at(-1)).toBe('… and 580 more: --json names them all')
    const few = await run(['import'], { env, input: 'no JSON\n'.repeat(20) })
    expect(few.err).not.toContain('more')
  })

  it('goes on to its end where nobody reads what it complains about', async () => {
    await using place = await (PLACES['the embedded store'] as () => Promise<Place>)()
    const importing = start(['import'], { env: place.env })
    importing.child.stderr.destroy()
    const good = Array.from({ length: 1200 }, (_, i) => `{"target":{"sub":"unheard-${i}"}}`)
    importing.child.stdin.end(['no JSON', ...good].join('\n'))
    const { code, out } = await importing.ended
    expect(out).toBe('1201 lines: 1200 revoked, 0 stood already, 0 had ended, 1 refused\n')
    expect(code).toBe(9)
  })

  it('goes on from its state where lines were added, and not where what it has done is another', async () => {
    await using place = await (PLACES['the embedded store'] as () => Promise<Place>)()
    const folder = mkdtempSync(join(tmpdir(), 'rescind-state-'))
    try {
      const state = join(folder, 'state')
      const { env } = place
      const importing = (...subs: string[]) => {
        const lines = subs.map((sub) => (sub === '' ? '' : `{"target":{"sub":"${sub}"}}`))
        return run(['import', '--state', state], { env, input: lines.join('\n') })
      }
      const isRevoked = async (sub: string) =>
        (await run(['check', '--claim', `sub=${sub}`], { env })).code === 3
      expect((await importing('', 'b', 'd')).out).toBe(
        '3 lines: 2 revoked, 0 stood already, 0 had ended, 0 refused\n',
      )
      const again = await importing('', 'b', 'd')
      expect(again.out).toBe('3 lines: 0 revoked, 0 stood already, 0 had ended, 0 refused\n')
      expect(again.err).toContain('nothing was added')
      const added = await importing('', 'b', 'd', 'e')
      expect(added.out).toBe('4 lines: 1 revoked, 0 stood already, 0 had ended, 0 refused\n')
      expect(added.err).toBe('')
      expect(await isRevoked('e')).toBe(true)
      const others = [
        ['a', 'b', 'd', 'e'],
        ['', 'b', 'c', 'd', 'e'],
        ['', 'b', 'd', 'f', 'g'],
        ['', 'b', 'd'],
        [''],
        [],
      ]
      const before = readFileSync(state, 'utf8')
      for (const subs of others) {
        const other = await importing(...subs)
        expect(other.err).toContain('belongs to something else')
        expect(other.err).not.toContain('Go on')
        expect(other.code).toBe(2)
        expect(readFileSync(state, 'utf8')).toBe(before)
      }
      for (const sub of ['a', 'c', 'f', 'g']) expect(await isRevoked(sub)).toBe(false)
      writeFileSync(state, '{}')
      expect((await importing('', 'b')).err).toContain('none of ours')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

function linesIn(state: string): number {
  return (JSON.parse(readFileSync(state, 'utf8')) as { lines: number }).lines
}
