/** The shape of the library, as `docs/architecture.md` draws it, kept by reading its sources. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DENIAL_CODES } from '../src/denial.js'
import { ERROR_CODES } from '../src/errors.js'
import { Sources } from './support/sources.js'

const SOURCES = join(import.meta.dirname, '../src')
const DOCS = join(import.meta.dirname, '../../../docs')

const FRAMEWORKS: Readonly<Record<string, readonly string[]>> = {
  express: ['adapters/express.ts'],
  'express-serve-static-core': ['adapters/express.ts'],
  fastify: ['adapters/fastify.ts'],
  hono: ['adapters/hono.ts'],
  koa: ['adapters/koa.ts'],
  '@nestjs/common': ['adapters/nest.ts'],
  '@nestjs/core': ['adapters/nest.ts'],
}
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  ...FRAMEWORKS,
  ioredis: ['redis/client.ts', 'redis/connection.ts'],
  lmdb: ['stores/lmdb-file.ts'],
  jose: [
    ...['token/jwt-verifier.ts', 'token/jwt-options.ts', 'token/remote-keys.ts'],
    'refresh/sealed-tokens.ts',
  ],
}

const sources = new Sources(SOURCES)
const { files, imports } = sources
/** From the bottom up, as the page draws them: a file imports only from layers before its own, or from its own. */
const LAYERS = sources.layersDrawn(
  readFileSync(join(DOCS, 'architecture.md'), 'utf8'),
  'The eight nouns, and where they live',
)

describe('imports', () => {
  it('are all read by this test, and every file has a layer', () => {
    expect(files.length).toBeGreaterThan(30)
    expect(imports.length).toBeGreaterThan(100)
    expect(sources.outside(LAYERS)).toEqual([])
  })

  it('point one way', () => {
    expect(sources.pointingUp(LAYERS)).toEqual([])
  })

  it('of packages stand only where they belong, and of frameworks are types', () => {
    const packages = imports.filter(
      ({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'),
    )
    const wrong = packages.filter(({ from, specifier, isType }) => {
      if (ALLOWED[specifier]?.includes(from) !== true) return true
      // Nest is made of classes and decorators: its adapter runs them.
      return specifier in FRAMEWORKS && !isType && from !== 'adapters/nest.ts'
    })
    expect(wrong).toEqual([])
    expect(new Set(packages.map(({ specifier }) => specifier))).toContain('ioredis')
  })

  it('of redis and of stores do not know tokens', () => {
    expect(
      imports.filter(({ from, specifier }) => /^(redis|stores)\//.test(from) && specifier.includes('token')),
    ).toEqual([])
  })
})

describe('sources', () => {
  it('reach for no environment, argument, exit or console', () => {
    const wrong = files.filter((file) => /\bprocess\.(env|argv|exit)\b|\bconsole\./.test(sources.code(file)))
    expect(wrong).toEqual([])
  })

  it('scan no keys and flush nothing', () => {
    expect(
      files.filter((file) =>
        /client\.(keys|scan|flushall|flushdb)\b|['\"](KEYS|SCAN|FLUSHALL|FLUSHDB)['\"]/.test(
          sources.code(file),
        ),
      ),
    ).toEqual([])
  })

  it('of adapters are short, for they decide nothing', () => {
    const lines = files
      .filter((file) => file.startsWith('adapters/'))
      .map((file) => [file, readFileSync(join(SOURCES, file), 'utf8').split('\n').length] as const)
    expect(lines.length).toBeGreaterThanOrEqual(8)
    expect(lines.filter(([, count]) => count > 140)).toEqual([])
    const deciding = files.filter(
      (file) =>
        file.startsWith('adapters/') && /\b(401|403|503)\b|www-authenticate/i.test(sources.code(file)),
    )
    expect(deciding).toEqual([])
  })
})

describe('documentation', () => {
  const errors = readFileSync(join(DOCS, 'errors.md'), 'utf8')
  const documented = (pattern: RegExp) => [...errors.matchAll(pattern)].map(([, code]) => code).sort()

  it('has every error code and no other', () => {
    expect(documented(/^\| `(ERR_[A-Z_]+)` /gm)).toEqual(Object.keys(ERROR_CODES).sort())
  })
  it('has every denial and no other', () => {
    expect(documented(/^\| `([a-z_]+)` \| \d/gm)).toEqual([...DENIAL_CODES].sort())
  })
  it('has every event of a replica and no other', () => {
    const [, union = ''] =
      /interface ReplicaEvent \{\s*readonly type: ([^\n]+)\n/.exec(sources.code('replica/event.ts')) ?? []
    const table = readFileSync(join(DOCS, 'reliability.md'), 'utf8').split('| event of ')[1]?.split('\n\n')[0]
    const rows = [...(table ?? '').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, type]) => type)
    expect(rows.sort()).toEqual([...union.matchAll(/'([a-z-]+)'/g)].map(([, type]) => type).sort())
    expect(rows.length).toBeGreaterThan(5)
  })
  it('has every dependency', () => {
    const text = readFileSync(join(DOCS, 'dependencies.md'), 'utf8')
    const missing = [
      '../package.json',
      '../../../package.json',
      '../../../bench/package.json',
      '../../server/package.json',
      '../../dashboard/package.json',
    ].flatMap((path) => {
      const manifest = JSON.parse(readFileSync(join(import.meta.dirname, path), 'utf8')) as Record<
        string,
        Record<string, string>
      >
      return ['dependencies', 'devDependencies', 'peerDependencies']
        .flatMap((kind) => Object.keys(manifest[kind] ?? {}))
        .filter((name) => !/^(rescind$|@rescind\/|@types\/|@nestjs\/)/.test(name))
        .filter((name) => !text.includes(name.replace(/^(express|koa)\d$/, '$1')))
        .map((name) => `${name} of ${path}`)
    })
    expect(missing).toEqual([])
  })
  it('names every environment variable that is read', () => {
    const page = readFileSync(join(DOCS, 'configuration.md'), 'utf8')
    const names = new Set(
      files
        // Its words in capitals are replies of the scripts.
        .filter((file) => file !== 'redis/lua.ts')
        .flatMap((file) => sources.code(file).match(/'(?:REDIS|RESCIND)_[A-Z_]+'/g) ?? [])
        .map((name) => name.slice(1, -1)),
    )
    expect(names.size).toBeGreaterThan(20)
    expect([...names].filter((name) => !page.includes(name))).toEqual([])
  })
})
