import type * as Fs from 'node:fs'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Config, configSchema } from '../src/config/schema.js'
import { Signer } from '../src/signer.js'

/** What happens when a file is made, and nothing is written to it yet. */
const meanwhile = vi.hoisted(() => ({ run: undefined as (() => void) | undefined, hasLinks: true }))
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>()
  return {
    ...fs,
    linkSync: (...[existing, path]: Parameters<typeof fs.linkSync>) => {
      if (!meanwhile.hasLinks) throw Object.assign(new Error('no links here'), { code: 'EPERM' })
      fs.linkSync(existing, path)
    },
    writeFileSync: (...[path, data, options]: Parameters<typeof fs.writeFileSync>) => {
      const { run } = meanwhile
      meanwhile.run = undefined
      if (run === undefined) return fs.writeFileSync(path, data, options)
      fs.writeFileSync(path, '', options)
      run()
      fs.writeFileSync(path, data)
    },
  }
})

let folder: string
let config: Config
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rescind-signer-'))
  config = configSchema.parse({ dataDir: folder })
})
afterEach(() => {
  meanwhile.run = undefined
  meanwhile.hasLinks = true
  rmSync(folder, { recursive: true })
})

const kidOf = (signer: Signer) => signer.jwks.keys[0]?.kid

it('keeps the key that it makes, for its owner only, and finds it again', async () => {
  const first = await Signer.open(config, true)
  expect(kidOf(await Signer.open(config, true))).toBe(kidOf(first))
  expect(readdirSync(folder)).toEqual(['signing-key.pem'])
  expect(statSync(join(folder, 'signing-key.pem')).mode & 0o777).toBe(0o600)
})

it('is kept on a file system without links, too', async () => {
  meanwhile.hasLinks = false
  const first = await Signer.open(config, true)
  expect(kidOf(await Signer.open(config, true))).toBe(kidOf(first))
  expect(readdirSync(folder)).toEqual(['signing-key.pem'])
})

it('stands there whole or not at all, also where its process is killed', async () => {
  const path = join(folder, 'signing-key.pem')
  let isThere: boolean | undefined
  meanwhile.run = () => {
    isThere = existsSync(path)
    throw new Error('killed')
  }
  await expect(Signer.open(config, true)).rejects.toThrow('killed')
  expect([isThere, existsSync(path)]).toEqual([false, false])
  expect(kidOf(await Signer.open(config, true))).toBeDefined()
})

it('takes the key of another process that was faster', async () => {
  const other = mkdtempSync(join(tmpdir(), 'rescind-signer-'))
  try {
    const theirs = await Signer.open(configSchema.parse({ dataDir: other }), true)
    meanwhile.run = () => {
      writeFileSync(join(folder, 'signing-key.pem'), readFileSync(join(other, 'signing-key.pem')))
    }
    expect(kidOf(await Signer.open(config, true))).toBe(kidOf(theirs))
    expect(readdirSync(folder)).toEqual(['signing-key.pem'])
  } finally {
    rmSync(other, { recursive: true })
  }
})
