/** The file of the embedded store: what cannot be read is told, and kept as it is; what was kept is there again. */
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  copyFile,
  mkdir,
  mkdtemp,
  open as openFile,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { open as openLmdb } from 'lmdb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PRUNE_GRACE_SECONDS } from '../../src/core/revocation.js'
import { digestsOf, parseTarget } from '../../src/core/target.js'
import { hasCode } from '../../src/errors.js'
import { LmdbStore, type LmdbStoreOptions } from '../../src/stores/lmdb.js'
import { entry } from './contract.js'

const run = promisify(execFile)
const now = Math.floor(Date.now() / 1000)
const PAGE = 4096

let base: string
let path: string
let data: string
const opened: LmdbStore[] = []
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'rescind-file-'))
  path = join(base, 'store')
  data = join(path, 'rescind.mdb')
})
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
  await rm(base, { recursive: true })
})

function open(options: Partial<LmdbStoreOptions> = {}): LmdbStore {
  const store = LmdbStore.open({ path, ...options })
  opened.push(store)
  return store
}

const put = (store: LmdbStore, sub: string, at = now, life = 1800) =>
  store.put(parseTarget({ sub }), entry({ at, end: at + life }), { now: at })

const find = async (store: LmdbStore, sub: string) =>
  (await store.find((shapes) => shapes.flatMap((shape) => digestsOf(shape, { claims: { sub } })))).length

/** A store with some revocations, closed. */
async function makeStore(count = 200): Promise<void> {
  const store = open()
  await Promise.all(Array.from({ length: count }, (_, i) => put(store, `person-${i}`)))
  await store.close()
}

async function changeByte(at: number, change: (byte: number) => number): Promise<void> {
  const bytes = await readFile(data)
  bytes[at] = change(bytes[at] as number)
  await writeFile(data, bytes)
}

/** Opening must fail with the code, name the file, and change nothing of it. */
async function expectKept(code: 'ERR_STORE_CORRUPT', words: RegExp): Promise<void> {
  const before = await readFile(data).catch(() => undefined)
  for (let i = 0; i < 2; i++) {
    const failure = await Promise.resolve()
      .then(() => open())
      .catch((error: unknown) => error)
    expect(failure).toSatisfy((error) => hasCode(error, code))
    expect((failure as Error).message).toMatch(words)
    expect((failure as Error).message).toContain(path)
    expect((failure as Error).message).toContain('move it away or put a backup in its place')
  }
  expect(await readFile(data).catch(() => undefined)).toEqual(before)
}

describe('a store on disk', () => {
  it('remembers all of it when it is opened again, in the same epoch', async () => {
    const first = open()
    await put(first, 'alice')
    await put(first, 'bob')
    await first.restore(parseTarget({ sub: 'bob' }), { now: now + 300 })
    const position = await first.position()
    const list = await first.list({ now, limit: 10 })
    await first.close()
    const second = open()
    expect(await second.position()).toBe(position)
    expect((await second.readLog(position, 96)).records).toHaveLength(0)
    expect(await second.list({ now, limit: 10 })).toEqual(list)
    expect(await find(second, 'alice')).toBe(1)
    // The restore too, and with it the later time of what comes after.
    expect((await put(second, 'bob')).state.entries).toMatchObject([{ at: now + 301 }])
  })

  it('remembers a restore by a fast clock until the grace after it, and no longer', async () => {
    const store = open()
    await put(store, 'alice', now, 1)
    await store.restore(parseTarget({ sub: 'alice' }), { now: now + 300 })
    const passBy = async (at: number) => {
      for (let i = 0; i < 20; i++) await put(store, `passer-${at}-${i}`, at, 60)
    }
    await passBy(now + PRUNE_GRACE_SECONDS + 100)
    expect(await find(store, 'alice')).toBe(1)
    await passBy(now + PRUNE_GRACE_SECONDS + 300)
    expect(await find(store, 'alice')).toBe(0)
  })

  it('reads what another process has written meanwhile, even within one turn', async () => {
    const store = open()
    await put(store, 'alice')
    const script = `
      import { LmdbStore } from ${JSON.stringify(join(import.meta.dirname, '../../src/stores/lmdb.ts'))}
      import { parseTarget } from ${JSON.stringify(join(import.meta.dirname, '../../src/core/target.ts'))}
      const store = LmdbStore.open({ path: ${JSON.stringify(path)} })
      await store.put(parseTarget({ sub: 'bob' }), { at: ${now}, end: ${now + 60}, issuedBefore: ${now} }, { now: ${now} })
      await store.close()`
    const before = find(store, 'bob')
    execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
    const after = find(store, 'bob')
    expect([await before, await after]).toEqual([0, 1])
  })

  it('writes what waits when it is closed, and is for its owner alone', async () => {
    const store = open()
    const waiting = put(store, 'alice')
    await store.close()
    expect((await waiting).state.entries).toHaveLength(1)
    expect(await find(open(), 'alice')).toBe(1)
    if (process.platform === 'win32') return
    expect((await stat(data)).mode & 0o777).toBe(0o600)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })

  it('is another history when a backup is put in its place', async () => {
    const first = open()
    await put(first, 'alice')
    const common = await first.position()
    await copyFile(data, join(base, 'backup'))
    await put(first, 'bob')
    const position = await first.position()
    await first.close()
    await copyFile(join(base, 'backup'), data)
    const second = open()
    const changed = (error: unknown) => hasCode(error, 'ERR_LOG_CHANGED')
    await expect(second.readLog(position, 96)).rejects.toSatisfy(changed)
    await put(second, 'carol')
    await expect(second.readLog(position, 96)).rejects.toSatisfy(changed)
    await put(second, 'dave')
    await expect(second.readLog(position, 96)).rejects.toSatisfy(changed)
    await expect(second.changes(position, 10)).rejects.toSatisfy(changed)
    expect((await second.readLog(common, 96)).records).toHaveLength(2 * 32)
  })

  it('goes on from a beginning that was killed, where nothing was acknowledged yet', async () => {
    await mkdir(path)
    await writeFile(data, '')
    const store = open()
    await put(store, 'alice')
    expect(await find(store, 'alice')).toBe(1)
  })

  it('has a bound of entries, and takes new ones when old ones have ended', async () => {
    const store = open({ entriesMax: 3 })
    for (const sub of ['a', 'b', 'c']) await put(store, sub, now, 60)
    await expect(put(store, 'd', now, 60)).rejects.toSatisfy((error) => hasCode(error, 'ERR_STORE_FULL'))
    await put(store, 'a', now + 1, 60)
    expect((await store.list({ now, limit: 10 })).revocations.map(({ target }) => target.sub).sort()).toEqual(
      ['a', 'b', 'c'],
    )
    await put(store, 'd', now + 10_000)
    expect(
      (await store.list({ now: now + 10_000, limit: 10 })).revocations.map(({ target }) => target.sub),
    ).toEqual(['d'])
  })

  it('has a bound of bytes, past which nothing is lost, and goes on when old ones have ended', async () => {
    const store = open({ bytesMax: 2 ** 20 })
    let count = 0
    const fill = async (at: number) => {
      for (; count < 100_000; count += 100)
        await Promise.all(Array.from({ length: 100 }, (_, i) => put(store, `person-${count + i}`, at)))
    }
    await expect(fill(now)).rejects.toSatisfy((error) => hasCode(error, 'ERR_STORE_FULL'))
    expect(count).toBeGreaterThan(1000)
    for (let i = 0; i < count; i += 97) expect(await find(store, `person-${i}`)).toBe(1)
    expect(await store.restore(parseTarget({ sub: 'person-0' }), { now })).toMatchObject({ changed: true })
    const later = now + 1800 + 2 * PRUNE_GRACE_SECONDS
    await put(store, 'later', later)
    expect(await find(store, 'later')).toBe(1)
  })

  it('does not grow while as many end as come, and keeps what has not ended', async () => {
    const store = open()
    await put(store, 'long', now, 100_000_000)
    const sizes: number[] = []
    // Each of these has ended, with the grace, 100 later.
    const step = Math.ceil((60 + PRUNE_GRACE_SECONDS) / 100)
    for (let i = 0; i < 6000; i += 20) {
      await Promise.all(
        Array.from({ length: 20 }, (_, n) => put(store, `person-${i + n}`, now + (i + n) * step, 60)),
      )
      sizes.push((await stat(data)).size)
    }
    expect(sizes.at(-1)).toBeLessThanOrEqual(2 * (sizes[60] as number))
    expect(await find(store, 'long')).toBe(1)
    expect(await find(store, 'person-0')).toBe(0)
    expect(await find(store, 'person-5999')).toBe(1)
    const { revocations } = await store.list({ now: now + 6000 * step, limit: 10 })
    expect(revocations.map(({ target }) => target.sub)).toContain('long')
    // What was taken away from the middle of the log is not missed by who reads it.
    let read = 0
    for (let position: string | undefined, isEnd = false; !isEnd; read++) {
      const page = await store.readLog(position, 1 << 16)
      ;({ position, isEnd } = page)
    }
    expect(read).toBeLessThan(10)
  })
})

describe('a file that cannot be read is told, and kept as it is', () => {
  it.each([
    ['garbage', () => randomBytes(64 * 1024)],
    ['a short text', () => Buffer.from('{"revoked":[]}')],
    ['zeros', () => Buffer.alloc(64 * 1024)],
  ])('%s', async (_, make) => {
    await mkdir(path)
    await writeFile(data, make())
    await expectKept('ERR_STORE_CORRUPT', /is no file of the embedded store/)
  })

  it('cut off, at any length', async () => {
    await makeStore()
    const whole = await readFile(data)
    expect(whole.length).toBeGreaterThan(8 * PAGE)
    for (let pages = 1; pages < whole.length / PAGE; pages++) {
      await writeFile(data, whole)
      await truncate(data, pages * PAGE - (pages % 2 === 0 ? 100 : 0))
      await expectKept('ERR_STORE_CORRUPT', /cut off/)
    }
    await truncate(data, 0)
    await expectKept('ERR_STORE_CORRUPT', /is empty, and was not/)
    await rm(data)
    await expectKept('ERR_STORE_CORRUPT', /is missing/)
    await writeFile(data, whole)
    expect(await find(open(), 'person-7')).toBe(1)
  })

  it('with another page in place of one of its first two', async () => {
    await makeStore()
    const whole = await readFile(data)
    for (const page of [0, 1]) {
      const bytes = Buffer.from(whole)
      randomBytes(PAGE).copy(bytes, page * PAGE)
      await writeFile(data, bytes)
      await expectKept('ERR_STORE_CORRUPT', /is no file of the embedded store|is damaged/)
    }
  })

  it('of another version of LMDB', async () => {
    await makeStore()
    await changeByte(28, (byte) => byte + 1)
    await expectKept('ERR_STORE_CORRUPT', /another version of LMDB/)
    await changeByte(28, (byte) => byte - 1)
    for (const at of [PAGE + 28, PAGE + 49]) {
      await changeByte(at, (byte) => byte + 1)
      await expectKept('ERR_STORE_CORRUPT', /its second page does not make sense/)
      await changeByte(at, (byte) => byte - 1)
    }
    expect(await find(open(), 'person-1')).toBe(1)
  })

  it('of a later version of ours, by its mark or by what stands in it', async () => {
    await makeStore()
    await writeFile(join(path, 'FORMAT'), 'rescind-store 2\n')
    await expectKept('ERR_STORE_CORRUPT', /another version of Rescind/)
    await writeFile(join(path, 'FORMAT'), 'rescind-store 1\n')
    const raw = openLmdb({ path: data, noSubdir: true, overlappingSync: false, encoding: 'string' })
    raw.openDB<string, string>({ name: 'rescind', encoding: 'string' }).putSync('format', 'rescind-store 2')
    await raw.close()
    await expectKept('ERR_STORE_CORRUPT', /another version of Rescind/)
  })

  it('of another program', async () => {
    await mkdir(path)
    const raw = openLmdb<string, string>({
      path: data,
      noSubdir: true,
      overlappingSync: false,
      encoding: 'string',
    })
    raw.putSync('mine', 'not yours')
    await raw.close()
    await expectKept('ERR_STORE_CORRUPT', /belongs to another program/)
  })

  it('taken away or replaced while it is open', async () => {
    await makeStore()
    const store = open()
    await copyFile(data, `${data}.backup`)
    await rename(data, `${data}.moved`)
    const corrupt = (error: unknown) => hasCode(error, 'ERR_STORE_CORRUPT')
    for (const attempt of [() => put(store, 'new'), () => find(store, 'person-1'), () => store.ping()])
      await expect(attempt()).rejects.toSatisfy(corrupt)
    await rename(`${data}.backup`, data)
    await expect(find(store, 'person-1')).rejects.toSatisfy(corrupt)
    await expect(store.readLog(undefined, 96)).rejects.toSatisfy(corrupt)
  })

  it('with a revocation, a shape or a part of the log that does not make sense: never "clear"', async () => {
    await makeStore(3)
    const { digest } = parseTarget({ sub: 'person-1' })
    const damage = async (name: string, key: string | number, value: string | Buffer) => {
      const raw = openLmdb({ path: data, noSubdir: true, overlappingSync: false, encoding: 'string' })
      const options =
        name === 'log'
          ? ({ encoding: 'binary', keyEncoding: 'uint32' } as const)
          : ({ encoding: 'string' } as const)
      const database = raw.openDB<string | Buffer, string | number>({ name, ...options })
      const before = database.get(key) as string | Buffer
      database.putSync(key, value)
      await raw.close()
      return before
    }
    const corrupt = (error: unknown) => hasCode(error, 'ERR_STORE_CORRUPT')
    for (const value of [
      '',
      '{}',
      '[1,2,["sub"],[5],[]]',
      '[1,0,["sub"],["person-1"],[[1,"2",3,null,null]]]',
    ]) {
      const before = await damage('rows', digest, value)
      const store = open()
      await expect(find(store, 'person-1')).rejects.toSatisfy(corrupt)
      await expect(put(store, 'person-1')).rejects.toSatisfy(corrupt)
      await store.close()
      await damage('rows', digest, before)
    }
    const before = await damage('rescind', 'shapes', '[[1]]')
    await expect(find(open(), 'person-1')).rejects.toSatisfy(corrupt)
    await damage('rescind', 'shapes', before)
    const chunk = (await damage('log', 1, Buffer.alloc(100))) as Buffer
    expect(chunk).toHaveLength(4 + 3 * 32)
    await expect(open().readLog(undefined, 960)).rejects.toSatisfy(corrupt)
    const forged = Buffer.from(chunk)
    forged[4 + 32 + 16] = 0
    await damage('log', 1, forged)
    await expect(open().readLog(undefined, 960)).rejects.toSatisfy(corrupt)
    await damage('log', 1, chunk)
    const store = open()
    expect(await find(store, 'person-1')).toBe(1)
    expect((await store.readLog(undefined, 960)).records).toHaveLength(3 * 32)
  })
})

it('a full disk refuses a revocation, loses none, and is told as full', { timeout: 60_000 }, async () => {
  // A bound of the file size, which a process may not exceed, in place of a disk of that size.
  const script = join(import.meta.dirname, 'lmdb-full.ts')
  const { stdout } = await run('sh', [
    '-c',
    `ulimit -f 600; exec "$0" --import tsx "$1" "$2"`,
    process.execPath,
    script,
    path,
  ])
  const { count, code, found, after, restored } = JSON.parse(stdout) as Record<string, unknown>
  expect(code).toBe('ERR_STORE_FULL')
  expect(count).toBeGreaterThan(100)
  expect(found).toBe(count)
  expect(after).toBe('ERR_STORE_FULL')
  expect(restored).toBe(0)
  const store = open()
  for (let i = 0; i < Number(count); i += 7) expect(await find(store, `person-${i}`)).toBe(1)
  await put(store, 'room-again')
  expect(await find(store, 'room-again')).toBe(1)
})

it('a folder where nothing may be written is told', async () => {
  await writeFile(path, 'a file, and no folder')
  expect(() => open()).toThrow(expect.objectContaining({ code: 'ERR_STORE_UNAVAILABLE' }))
  expect(await readFile(path, 'utf8')).toBe('a file, and no folder')
})

it('options that cannot be used are told together', () => {
  expect(() => LmdbStore.open({ path: '', entriesMax: 0, bytesMax: 5 })).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG_INVALID',
      problems: [expect.any(String), expect.any(String), expect.any(String)],
    }),
  )
})

it('is on the disk before it is acknowledged: another opening of the file has it', async () => {
  const store = open()
  for (let i = 0; i < 20; i++) {
    await put(store, `person-${i}`)
    const file = await openFile(data)
    // By a copy of the bytes, as a crash would leave them; the lock is not needed for that.
    const copy = join(base, `copy-${i}`)
    await mkdir(copy)
    await writeFile(join(copy, 'rescind.mdb'), await file.readFile())
    await file.close()
    expect(await find(open({ path: copy }), `person-${i}`)).toBe(1)
  }
})
