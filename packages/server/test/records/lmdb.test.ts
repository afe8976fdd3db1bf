import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFile } from 'rescind/lmdb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { whenThisProcessEnds } from '../../../rescind/test/support/leash.js'
import { LmdbRecords } from '../../src/records/lmdb.js'
import { describeRecords } from './contract.js'

describeRecords('LmdbRecords', {
  open: async (trailMax) => {
    const folder = mkdtempSync(join(tmpdir(), 'rescind-records-'))
    const [records, other] = [new LmdbRecords({ folder, trailMax }), new LmdbRecords({ folder, trailMax })]
    const stop = async () => {
      await Promise.all([records.close(), other.close()])
      rmSync(folder, { recursive: true })
    }
    return { records, other, stop }
  },
})

describe('LmdbRecords in a folder', () => {
  let folder: string
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'rescind-records-'))))
  afterEach(() => rmSync(folder, { recursive: true }))

  it('are there again when they are opened anew, readable for their owner only', async () => {
    const first = new LmdbRecords({ folder, trailMax: 100 })
    await first.write('client', 'a', 'x')
    await first.write('once', 'b', 'y', { lifeSeconds: 60 })
    const id = await first.append('z')
    await first.close()
    expect(statSync(join(folder, 'records.mdb')).mode & 0o777).toBe(0o600)
    const second = new LmdbRecords({ folder, trailMax: 100 })
    expect(await second.read('client', 'a')).toBe('x')
    expect(await second.read('once', 'b')).toBe('y')
    expect(await second.trail({ limit: 10 })).toEqual({ entries: [{ id, text: 'z' }] })
    await second.close()
  })

  it('remove what has ended when something is written', async () => {
    let now = 1_700_000_000_000
    const records = new LmdbRecords({ folder, trailMax: 100, now: () => now })
    for (let i = 0; i < 500; i++)
      await records.write('once', `id ${i}`, 'x'.repeat(4000), { lifeSeconds: 60 })
    const bytes = statSync(join(folder, 'records.mdb')).size
    for (let round = 0; round < 5; round++) {
      now += 61_000
      for (let i = 0; i < 500; i++)
        await records.write('once', `round ${round} id ${i}`, 'x'.repeat(4000), { lifeSeconds: 60 })
    }
    // Pages that are free again are used: five times as much would have been written otherwise.
    expect(statSync(join(folder, 'records.mdb')).size).toBeLessThan(2.5 * bytes)
    await records.close()
  })

  it('keep nothing of entries that are gone', async () => {
    const records = new LmdbRecords({ folder, trailMax: 100 })
    for (let i = 0; i < 250; i++) await records.append('x', `about-${i % 7}`)
    await records.close()
    const { root } = openFile(join(folder, 'records.mdb'), 2 ** 30)
    for (const name of ['trail', 'abouts', 'about'])
      expect(root.openDB({ name, encoding: 'string' }).getKeysCount(), name).toBe(100)
    await root.close()
  })

  it('keep what was acknowledged to a process that was killed in the middle of writing', async () => {
    const child = fork(new URL('./lmdb-child.ts', import.meta.url), [folder], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    child.once(
      'exit',
      whenThisProcessEnds(() => child.kill('SIGKILL')),
    )
    const told: number[] = []
    const many = new Promise<void>((resolve) =>
      child.on('message', (number: number) => {
        told.push(number)
        if (told.length === 200) resolve()
      }),
    )
    await many
    child.kill('SIGKILL')
    await once(child, 'exit')
    const records = new LmdbRecords({ folder, trailMax: 1000 })
    const { entries } = await records.trail({ limit: 1000 })
    const kept = new Set(entries.map(({ text }) => Number(text)))
    expect(told.filter((number) => !kept.has(number))).toEqual([])
    for (const number of told) expect(await records.read('client', String(number))).toBe('x')
    await records.close()
  })

  it('leave a file that is none of theirs as it is', () => {
    const path = join(folder, 'records.mdb')
    writeFileSync(path, 'something else'.repeat(1000))
    expect(() => new LmdbRecords({ folder, trailMax: 100 })).toThrow(/records\.mdb .*left as it is/)
    expect(statSync(path).size).toBe(14_000)
  })
})
