/** The package lmdb is optional: who does not ask for the store on disk does not load it, who does is told of it. */
import Module, { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { hasCode, openStore } from '../../src/index.js'

const loader = Module as unknown as { _resolveFilename: (request: string, ...rest: unknown[]) => string }
const original = loader._resolveFilename
afterEach(() => {
  loader._resolveFilename = original
})

it('is not loaded by the library itself, and missed by name where it is needed', () => {
  const isLoaded = () =>
    Object.keys(createRequire(import.meta.url).cache).some((file) => /node_modules\/lmdb\//.test(file))
  openStore({})
  expect(isLoaded()).toBe(false)
  loader._resolveFilename = (request, ...rest) => {
    if (request === 'lmdb')
      throw Object.assign(new Error("Cannot find module 'lmdb'"), { code: 'MODULE_NOT_FOUND' })
    return original.call(Module, request, ...rest)
  }
  const path = join(tmpdir(), `rescind-never-made-${process.pid}`)
  let failure: unknown
  try {
    openStore({ RESCIND_DATA_DIR: path })
  } catch (error) {
    failure = error
  }
  expect(hasCode(failure, 'ERR_CONFIG_INVALID') && failure.problems.join()).toContain('npm install lmdb')
  expect((failure as Error).message).toContain('npm install lmdb')
  expect(existsSync(path)).toBe(false)
  loader._resolveFilename = original
  // The test can fail: with the package it is loaded.
  createRequire(import.meta.url)('lmdb')
  expect(isLoaded()).toBe(true)
})
