/** The shape of the service, as `docs/architecture.md` draws it, kept by reading its sources. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Sources } from '../../rescind/test/support/sources.js'

const sources = new Sources(join(import.meta.dirname, '../src'))
const { files, imports } = sources
/** From the bottom up, as the page draws them: a file imports only from layers before its own, or from its own. */
const LAYERS = sources.layersDrawn(
  readFileSync(join(import.meta.dirname, '../../../docs/architecture.md'), 'utf8'),
  'The service',
)

describe('imports', () => {
  it('are all read by this test, and every file has a layer', () => {
    expect(files.length).toBeGreaterThan(40)
    expect(imports.length).toBeGreaterThan(150)
    expect(sources.outside(LAYERS)).toEqual([])
  })

  it('point one way', () => {
    expect(sources.pointingUp(LAYERS)).toEqual([])
  })

  it('of the library are of what it exports', () => {
    expect(
      imports.filter(({ specifier }) => /packages\/rescind|rescind\/(src|dist)/.test(specifier)),
    ).toEqual([])
  })
})

it('environment, arguments, exit and console stand at the edge', () => {
  const wrong = files.filter(
    (file) =>
      file !== 'main.ts' &&
      /\bprocess\.(env|argv|exit|stdin|stdout|stderr)\b|\bconsole\./.test(sources.code(file)),
  )
  expect(wrong).toEqual([])
})
