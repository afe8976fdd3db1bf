/** The examples of the README, and of the pages that it leads to, run as they stand and print what their comments say. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Block, expectToPrint, Programs, readBlocks } from './support/documented.js'
import { RedisServer } from './support/redis-server.js'

const ROOT = join(import.meta.dirname, '../../..')
const run = promisify(execFile)

/** The pages whose programs run here; recipes have a test of their own. */
const PAGES = [
  'README.md',
  'docs/start.md',
  'docs/concepts.md',
  'docs/revoking.md',
  'docs/freshness.md',
  'docs/routes.md',
  'docs/verifying.md',
  'docs/live-connections.md',
]

const examples = new Map((await Promise.all(PAGES.map(examplesOf))).flat())
/** The decorators of NestJS are legacy ones, and the others those of TC39. */
const isLegacy = ({ code }: Block) => code.includes("'@nestjs/")

async function examplesOf(page: string): Promise<[string, Block][]> {
  const blocks = await readBlocks(join(ROOT, page), ['ts'])
  return blocks.map((block) => [`${basename(page, '.md')}-${block.line}`, block])
}

let server: RedisServer
let programs: Readonly<Record<'standard' | 'legacy', Programs>>
beforeAll(async () => {
  const ofKind = (kind: boolean) => new Map([...examples].filter(([, block]) => isLegacy(block) === kind))
  const folder = (name: string) => join(import.meta.dirname, `.readme-${name}-`)
  const [started, standard, legacy] = await Promise.all([
    RedisServer.start(),
    Programs.compile(folder('standard'), ofKind(false)),
    Programs.compile(folder('legacy'), ofKind(true), { hasLegacyDecorators: true }),
  ])
  server = started
  programs = { standard, legacy }
})
afterAll(async () => {
  await server.stop()
  for (const each of Object.values(programs)) await each[Symbol.asyncDispose]()
})

describe.each([...examples])('the example %s', (name, example) => {
  it.each(['the embedded store', 'Redis'])('runs on %s and prints what it says', async (store) => {
    const { REDIS_URL: _, ...env } = process.env
    // What another example has revoked in this second would be dead in this one.
    await server.command('FLUSHALL')
    const command = programs[isLegacy(example) ? 'legacy' : 'standard'].command(name)
    await expectToPrint(example, command, {
      env: store === 'Redis' ? { ...env, REDIS_URL: server.url } : env,
    })
  })
})

it('every page has examples, and they type-check', async () => {
  for (const page of PAGES) expect(await examplesOf(page), page).not.toEqual([])
  expect(programs.standard.problems).toBe('')
  expect(programs.legacy.problems).toBe('')
})

it.each([
  ['verifying.md', 'token/jwt-options.ts', 'JwtVerifierOptions'],
  ['verifying.md', 'token/remote-keys.ts', 'RemoteKeysOptions'],
  ['verifying.md', 'token/opaque-verifier.ts', 'OpaqueVerifierOptions'],
  ['verifying.md', 'gate.ts', 'GateOptions'],
  ['routes.md', 'policy.ts', 'Policy'],
  ['routes.md', 'freshness.ts', 'FreshnessPolicy'],
])('the tables of docs/%s have every option of %s', async (page, file, name) => {
  const source = await readFile(join(import.meta.dirname, '../src', file), 'utf8')
  const body = new RegExp(`interface ${name} [^]*?\\n}`).exec(source)?.[0] ?? ''
  const options = [...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, option]) => option as string)
  expect(options.length).toBeGreaterThan(2)
  const rows = (await readFile(join(ROOT, 'docs', page), 'utf8')).match(/^\|.*$/gm)?.join('\n') ?? ''
  expect(options.filter((option) => !new RegExp(`\`${option}\\b`).test(rows))).toEqual([])
})

it('CommonJS can require the package and every subpath', async () => {
  const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../package.json'), 'utf8')) as {
    exports: Record<string, unknown>
  }
  const names = Object.keys(manifest.exports).filter((name) => name !== './package.json')
  expect(names.length).toBe(12)
  const script = names.map(
    (name) =>
      `if (Object.keys(require(${JSON.stringify(name.replace(/^\./, 'rescind'))})).length === 0) throw 0`,
  )
  await run(process.execPath, ['-e', script.join('\n')], { cwd: import.meta.dirname })
})
