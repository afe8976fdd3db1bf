/** The packed packages, installed as a stranger would, type-check, start, and revoke over real HTTP. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../packages/rescind/test/support/free-port.js'
import { LocalRegistry } from '../local-registry.js'
import { pack, PUBLISHED } from '../packed-package.js'
import { StartedProgram } from '../started-program.js'
import { strangerEnvironment } from '../stranger-environment.js'
import { FreshProject } from './fresh-project.js'

const PROJECT_TIMEOUT_MS = 300_000
const START_TIMEOUT_MS = 60_000
/** All that the library brings. A new name here is a new risk for everybody: it belongs into docs/dependencies.md. */
const LIBRARY_TREE = [
  '@ioredis/commands',
  'cluster-key-slot',
  'debug',
  'denque',
  'ioredis',
  'jose',
  'ms',
  'redis-errors',
  'rescind',
  'standard-as-callback',
]

let folder: string
let registry: LocalRegistry
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rescind-fresh-'))
  registry = await LocalRegistry.start(await Promise.all(PUBLISHED.map((name) => pack(name, folder))))
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

describe.concurrent('a fresh project', { timeout: PROJECT_TIMEOUT_MS }, () => {
  it('of ES modules runs the program of the README of the package, and gets two dependencies and theirs', async () => {
    const project = await FreshProject.make(join(folder, 'esm'), registry)
    await writeFile(join(project.folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
    await project.install('rescind')
    const installed = await project.installed()
    expect([...installed.keys()].sort()).toEqual(LIBRARY_TREE)
    expect([...installed.values()].filter(({ hasInstallScript }) => hasInstallScript)).toEqual([])

    const readme = await readFile(join(project.folder, 'node_modules/rescind/README.md'), 'utf8')
    const [, code = ''] = /^```ts\n([^]*?)^```/m.exec(readme) ?? []
    await writeFile(join(project.folder, 'main.ts'), code)
    // What `tsc --init` writes is all strict, and for Node.js `nodenext` with its types.
    const compilerOptions = { module: 'nodenext', target: 'ES2022', strict: true, types: ['node'] }
    await writeFile(join(project.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
    await project.install('--save-dev', '@types/node@20')
    await project.compile()
    const wanted = [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, line]) => line)
    expect(wanted).toHaveLength(3)
    expect((await project.run(process.execPath, 'main.js')).trim().split('\n')).toEqual(wanted)
  })

  it('of CommonJS requires it by Express, with one build and types by node16 and node10', async () => {
    const project = await FreshProject.make(join(folder, 'commonjs'), registry, 'commonjs')
    await project.install('rescind')
    await project.compile()
    const old = ['--module', 'commonjs', '--moduleResolution', 'node10', '--ignoreDeprecations', '6.0']
    await project.compile('--noEmit', ...old)
    expect(await readFile(join(project.folder, 'dist/main.js'), 'utf8')).toContain('require("rescind")')
    await expectToRevoke(project)
  })

  it('of Nest 11, as `nest new` makes it, injects the manager and guards its routes', async () => {
    const project = await FreshProject.make(join(folder, 'nest'), registry, 'nest')
    await project.install('rescind')
    await project.compile()
    await expectToRevoke(project)
  })

  it('gets the command: it serves, revokes and checks, without any install script', async () => {
    const project = await FreshProject.make(join(folder, 'global'), registry)
    const prefix = join(project.folder, 'prefix')
    await project.install('--global', '--prefix', prefix, '@rescind/server')
    const command = join(prefix, 'bin/rescind')
    expect((await project.run(command, '--version')).trim()).toMatch(/^\d+\.\d+\.\d+/)

    const port = String(await freePort())
    await using service = new StartedProgram(command, ['serve'], {
      cwd: project.folder,
      env: { ...strangerEnvironment(), RESCIND_PORT: port },
    })
    await service.printed(/"msg":"listening"/, START_TIMEOUT_MS)
    const place = ['--url', `http://127.0.0.1:${port}`, '--key-file', '.rescind/admin-key']
    const alice = ['--claim', 'sub=alice', ...place]
    await project.run(command, 'check', ...alice)
    expect(await project.run(command, 'revoke', ...alice, '--reason', 'stolen phone')).toContain('Revoked')
    await expect(project.run(command, 'check', ...alice)).rejects.toMatchObject({ cause: { code: 3 } })
  })
})

async function expectToRevoke(project: FreshProject): Promise<void> {
  const { url, program } = await project.serve('dist/main.js')
  await using _program = program
  const token = await (await fetch(`${url}/login`, { method: 'POST' })).text()
  const ask = (path: string, method = 'GET') =>
    fetch(url + path, { method, headers: { authorization: `Bearer ${token}` } })
  const before = await ask('/me')
  expect([before.status, await before.json()]).toEqual([200, { user: 'alice' }])
  expect((await ask('/logout', 'POST')).status).toBe(204)
  const after = await ask('/me')
  expect([after.status, after.headers.get('www-authenticate')]).toEqual([
    401,
    expect.stringContaining('The token was revoked'),
  ])
}
