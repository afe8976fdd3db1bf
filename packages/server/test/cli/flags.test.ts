import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BackendFlags, placeOf } from '../../src/cli/backend/flags.js'
import { run } from './support/command.js'

const REDIS_URL = 'redis://127.0.0.1:1'
const RESCIND_URL = 'http://127.0.0.1:1'
const RESCIND_KEY = 'rsk_of-nobody'

describe('where a command is sent', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rescind-flags-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  /** What the library would open, or the service that is asked. */
  function placed(env: Readonly<Record<string, string>>, flags: BackendFlags = {}) {
    const place = placeOf(flags, env)
    return place.kind === 'remote' ? place.url.origin : place.env.RESCIND_STORE
  }

  it('is decided once, and RESCIND_STORE decides where more than one would do', () => {
    const all = { REDIS_URL, RESCIND_URL, RESCIND_KEY, RESCIND_DATA_DIR: folder }
    expect(placed({ REDIS_URL })).toBe('redis')
    expect(placed({ REDIS_URL, RESCIND_DATA_DIR: folder })).toBe('redis')
    expect(placed({ RESCIND_DATA_DIR: folder })).toBe('lmdb')
    expect(placed({ RESCIND_URL, RESCIND_KEY })).toBe(RESCIND_URL)
    expect(placed({ ...all, RESCIND_STORE: 'redis' })).toBe('redis')
    expect(placed({ ...all, RESCIND_STORE: 'lmdb' })).toBe('lmdb')
    expect(placed({ ...all, RESCIND_STORE: 'remote' })).toBe(RESCIND_URL)
    expect(placed({ ...all, RESCIND_STORE: 'remote' }, { dataDir: folder })).toBe('lmdb')
    expect(placed({ ...all, RESCIND_STORE: 'lmdb' }, { redis: REDIS_URL })).toBe('redis')
    expect(placed({ ...all, RESCIND_STORE: 'memory' }, { url: RESCIND_URL })).toBe(RESCIND_URL)
    expect(() => placed(all)).toThrow('both set')
    expect(() => placed({ REDIS_URL, RESCIND_STORE: 'remote' })).toThrow('--url')
    expect(() => placed({ REDIS_URL, RESCIND_STORE: 'rediss' })).toThrow('RESCIND_STORE')
  })

  it('is never a memory that ends with the command', async () => {
    for (const where of [{}, { REDIS_URL }, { RESCIND_URL, RESCIND_KEY }, { RESCIND_DATA_DIR: folder }]) {
      const env = { ...where, RESCIND_STORE: 'memory' }
      const { code, out, err } = await run(['revoke', '--claim', 'sub=lost'], { env })
      expect(out).toBe('')
      expect(err).toContain('RESCIND_STORE')
      expect(code).toBe(2)
    }
  })

  it('is told by the files of variables too', () => {
    const fileOf = (name: string, text: string) => {
      writeFileSync(join(folder, name), `${text}\n`)
      return { [`${name}_FILE`]: join(folder, name) }
    }
    const url = fileOf('RESCIND_URL', RESCIND_URL)
    const key = fileOf('RESCIND_KEY', RESCIND_KEY)
    const namespace = fileOf('RESCIND_NAMESPACE', 'other')
    expect(placeOf({}, { ...url, ...key, RESCIND_DATA_DIR: folder })).toMatchObject({
      kind: 'remote',
      url: new URL(RESCIND_URL),
      key: RESCIND_KEY,
    })
    expect(placed({ ...fileOf('RESCIND_DATA_DIR', folder) })).toBe('lmdb')
    expect(placed({ ...fileOf('RESCIND_STORE', 'redis'), REDIS_URL, RESCIND_DATA_DIR: folder })).toBe('redis')
    expect(placeOf({}, { ...namespace, REDIS_URL })).toMatchObject({
      config: { namespace: 'other' },
      text: 'Redis, namespace other',
    })
    expect(placeOf({ namespace: 'flag' }, { ...namespace, REDIS_URL })).toMatchObject({
      env: { RESCIND_NAMESPACE: 'flag' },
      text: 'Redis, namespace flag',
    })
    expect(() => placed({ ...url, ...key, REDIS_URL })).toThrow('both set')
    expect(() => placed({ ...url, RESCIND_URL, RESCIND_KEY })).toThrow('RESCIND_URL_FILE')
    expect(() => placed({ RESCIND_URL_FILE: join(folder, 'no-such-file') })).toThrow('RESCIND_URL_FILE')
    // Of an environment that was read, the library must find each variable in one form alone.
    const read = placeOf({}, { ...fileOf('RESCIND_STORE', 'lmdb'), ...fileOf('RESCIND_DATA_DIR', folder) })
    expect(Object.keys(read.kind === 'local' ? read.env : {})).not.toContain('RESCIND_STORE_FILE')
  })
})
