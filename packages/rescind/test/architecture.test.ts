/** The shape of the library, kept by reading its sources. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DENIAL_CODES } from '../src/denial.js'
import { ERROR_CODES } from '../src/errors.js'

const SOURCES = join(import.meta.dirname, '../src')
const DOCS = join(import.meta.dirname, '../../../docs')

/** From the bottom up: a file imports only from layers before its own, or from its own. */
const LAYERS: readonly (readonly string[])[] = [
  ['errors.ts'],
  ['config.ts', 'event-stream.ts', 'surroundings.ts'],
  ['core/'],
  ['settings.ts', 'stores/', 'denial.ts'],
  ['redis/', 'token/', 'replica/', 'statement.ts', 'receipts.ts'],
  ['open-store.ts', 'live-tokens.ts'],
  ['token-manager.ts'],
  ['freshness.ts'],
  ['gate.ts'],
  ['adapters/', 'index.ts'],
]

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
  ioredis: ['redis/connection.ts'],
  lmdb: ['stores/lmdb-file.ts'],
  jose: ['token/jwt-verifier.ts', 'token/remote-keys.ts'],
}

interface Import {
  readonly from: string
  readonly specifier: string
  readonly isType: boolean
}

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)
const imports = files.flatMap((from): Import[] => {
  const text = readFileSync(join(SOURCES, from), 'utf8')
  const found = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'";]*?from\s+)?'([^']+)'/gm)
  return [...found].map(([, type, specifier]) => ({
    from,
    specifier: specifier as string,
    isType: type !== undefined,
  }))
})

const layerOf = (file: string) =>
  LAYERS.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? file.startsWith(name) : file === name)),
  )

describe('imports', () => {
  it('are all read by this test, and every file has a layer', () => {
    expect(files.length).toBeGreaterThan(30)
    expect(imports.length).toBeGreaterThan(100)
    expect(files.filter((file) => layerOf(file) === -1)).toEqual([])
  })

  it('point one way', () => {
    const wrong = imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ from, specifier }) => ({
        from,
        to: relative(SOURCES, join(SOURCES, dirname(from), specifier)).replace(/\.js$/, '.ts'),
      }))
      .filter(({ from, to }) => layerOf(to) === -1 || layerOf(to) > layerOf(from))
    expect(wrong).toEqual([])
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
    const wrong = files.filter((file) => /\bprocess\.(env|argv|exit)\b|\bconsole\./.test(code(file)))
    expect(wrong).toEqual([])
  })

  it('scan no keys and flush nothing', () => {
    expect(
      files.filter((file) =>
        /client\.(keys|scan|flushall|flushdb)\b|['\"](KEYS|SCAN|FLUSHALL|FLUSHDB)['\"]/.test(code(file)),
      ),
    ).toEqual([])
  })

  it('of adapters are short, for they decide nothing', () => {
    const lines = files
      .filter((file) => file.startsWith('adapters/'))
      .map((file) => [file, readFileSync(join(SOURCES, file), 'utf8').split('\n').length] as const)
    expect(lines.length).toBeGreaterThanOrEqual(8)
    expect(lines.filter(([, count]) => count > 120)).toEqual([])
    const deciding = files.filter(
      (file) => file.startsWith('adapters/') && /\b(401|403|503)\b|www-authenticate/i.test(code(file)),
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
  it('has every dependency', () => {
    const text = readFileSync(join(DOCS, 'dependencies.md'), 'utf8')
    for (const path of ['../package.json', '../../../package.json', '../../../bench/package.json']) {
      const manifest = JSON.parse(readFileSync(join(import.meta.dirname, path), 'utf8')) as Record<
        string,
        Record<string, string>
      >
      const names = ['dependencies', 'devDependencies', 'peerDependencies'].flatMap((kind) =>
        Object.keys(manifest[kind] ?? {}),
      )
      for (const name of names.filter(
        (name) => name !== 'rescind' && !name.startsWith('@types/') && !name.startsWith('@nestjs/'),
      )) {
        expect(text, name).toContain(name.replace(/^(express|koa)\d$/, '$1'))
      }
    }
  })
  it('names every environment variable that is read', () => {
    const readme = readFileSync(join(DOCS, '../README.md'), 'utf8')
    const names = new Set(
      files
        // Its words in capitals are replies of the scripts.
        .filter((file) => file !== 'redis/lua.ts')
        .flatMap((file) => code(file).match(/'(?:REDIS|RESCIND)_[A-Z_]+'/g) ?? [])
        .map((name) => name.slice(1, -1)),
    )
    expect(names.size).toBeGreaterThan(20)
    expect([...names].filter((name) => !readme.includes(name))).toEqual([])
  })
})

/** A source without its comments. */
function code(file: string): string {
  return readFileSync(join(SOURCES, file), 'utf8').replace(/\/\*[^]*?\*\/|\/\/.*/g, '')
}
