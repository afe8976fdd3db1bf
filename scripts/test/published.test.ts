/** What is published holds what it promises to whoever installs, reads or audits it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { billOfMaterials } from '../bill-of-materials.js'
import { BOUNDS, sizesOf } from '../package-sizes.js'
import { folderOf, pack, type PackedPackage, PUBLISHED } from '../packed-package.js'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly engines: { readonly node: string }
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly repository: { readonly url: string; readonly directory: string }
  readonly homepage: string
  readonly bugs: string
  readonly exports: Readonly<Record<string, unknown>>
}

/** They run when a package is installed, and so on the machines of its users. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare']
const NETWORK_TIMEOUT_MS = 180_000

let folder: string
let packages: readonly PackedPackage[]
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rescind-published-'))
  packages = await Promise.all(PUBLISHED.map((name) => pack(name, folder)))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const packedOf = (name: string) => packages.find((packed) => packed.name === name)!
const manifestOf = async (name: (typeof PUBLISHED)[number]) =>
  JSON.parse(await readFile(join(folderOf(name), 'package.json'), 'utf8')) as Manifest

describe.each(PUBLISHED)('%s', (name) => {
  it('has types that every TypeScript resolves as Node.js does, and nothing to lint', async () => {
    const tarball = new Uint8Array(await readFile(packedOf(name).path))
    const types = await checkPackage(createPackageFromTarballData(tarball))
    // Another build would be another class of each name.
    expect(types.types && types.problems).toEqual([])
    const { messages, pkg = {} } = await publint({ pack: { tarball: tarball.buffer }, strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  it('holds what was built and what people read, and no source, test or secret', () => {
    const { files } = packedOf(name)
    const others = files.filter((file) => !file.startsWith('dist/'))
    expect([...others].sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    expect(files).toContain('dist/index.mjs')
  })

  it('runs nothing when it is installed, and says where it comes from', async () => {
    const manifest = await manifestOf(name)
    expect(Object.keys(manifest.scripts).filter((script) => INSTALL_SCRIPTS.includes(script))).toEqual([])
    expect(manifest.engines.node).toBe('>=20.19.0')
    // npm refuses to publish with provenance from another repository than this.
    const { url, directory } = manifest.repository
    expect(url).toMatch(/^git\+https:\/\/github\.com\/[\w-]+\/[\w-]+\.git$/)
    expect(join(folderOf(name), '../..', directory)).toBe(folderOf(name))
    const page = url.replace(/^git\+/, '').replace(/\.git$/, '')
    expect([manifest.homepage, manifest.bugs]).toEqual([`${page}#readme`, `${page}/issues`])
    expect(manifest).toMatchObject({ publishConfig: { access: 'public', provenance: true } })
  })

  it('gives each of its names to CommonJS as well', async () => {
    const { exports } = await manifestOf(name)
    const { './package.json': _manifest, ...entries } = exports
    for (const [path, conditions] of Object.entries(entries)) {
      const file = path === '.' ? './dist/index' : path.replace('./', './dist/')
      expect(conditions).toEqual({
        require: { types: `${file}.d.cts`, default: `${file}.cjs` },
        default: { types: `${file}.d.mts`, default: `${file}.mjs` },
      })
    }
  })

  it('weighs no more than it may', async () => {
    const sizes = await sizesOf(packedOf(name))
    for (const what of ['packed', 'unpacked', 'largestEntry'] as const)
      expect(sizes[what], what).toBeLessThanOrEqual(BOUNDS[name][what])
  })

  it(
    'has a bill of materials with all that it brings, each named, licensed and hashed',
    { timeout: NETWORK_TIMEOUT_MS },
    async () => {
      const { metadata, components } = await billOfMaterials(packedOf(name), packages)
      const { dependencies, version } = await manifestOf(name)
      expect(metadata.component).toMatchObject({ name, version })
      const names = components.map((component) => component.name)
      expect(names).toEqual(expect.arrayContaining([...Object.keys(dependencies), 'ioredis', 'debug', 'ms']))
      expect(names).not.toContain('vitest')
      for (const component of components) {
        expect(component.purl).toMatch(/^pkg:npm\//)
        expect(component.licenses, component.name).not.toEqual([])
        expect(component.hashes?.[0]?.alg, component.name).toBe('SHA-512')
      }
    },
  )
})

it('the library has two dependencies, and the packages one version', async () => {
  const [library, server] = await Promise.all(PUBLISHED.map(manifestOf))
  expect(Object.keys(library!.dependencies)).toEqual(['ioredis', 'jose'])
  expect(server!.version).toBe(library!.version)
  expect(server!.dependencies.rescind).toBe(`^${library!.version}`)
})
