/** The recipes: each block of code in `docs/recipes` runs as it stands, in the order of its page, and prints what it says. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Block, expectToPrint, Programs, readBlocks } from '../../rescind/test/support/documented.js'
import { RedisServer } from '../../rescind/test/support/redis-server.js'
import { python } from './support/python.js'
import { startWorld, type World } from './support/service.js'

const ROOT = join(import.meta.dirname, '../../..')
const RECIPES = join(ROOT, 'docs/recipes')
/** Those that run. Other fences show an answer, a configuration, or a language that the tests do not bring. */
const LANGUAGES = ['ts', 'sh', 'python']
/** For all blocks of a page, on a machine that is busy. */
const PAGE_TIMEOUT_MS = 120_000

const pages = await Promise.all(
  (await readdir(RECIPES))
    .filter((file) => file.endsWith('.md'))
    .map(
      async (file) => [file.replace('.md', ''), await readBlocks(join(RECIPES, file), LANGUAGES)] as const,
    ),
)

let redis: RedisServer
let programs: Programs
let world: World
beforeAll(async () => {
  const all = pages.flatMap(([page, blocks]) => blocks.map((block) => [nameOf(page, block), block] as const))
  const typescript = new Map(all.filter(([, { language }]) => language === 'ts'))
  ;[redis, programs, world] = await Promise.all([
    RedisServer.start(),
    Programs.compile(join(import.meta.dirname, '.readme-recipes-'), typescript),
    startWorld({ config: await configurationOf('gateways') }),
  ])
  // As it is installed; npm links none in a clone where it was not built before.
  await mkdir(binFolder())
  const line = `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'packages/server/dist/main.mjs')}' "$@"\n`
  await writeFile(join(binFolder(), 'rescind'), line, { mode: 0o755 })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await Promise.all([redis.stop(), programs[Symbol.asyncDispose]()])
})

function binFolder(): string {
  return join(programs.folder, 'bin')
}

function nameOf(page: string, { line }: Block): string {
  return `${page}-${line}`
}

/** What the page tells to configure. */
async function configurationOf(page: string): Promise<Record<string, unknown>> {
  const [block] = await readBlocks(join(RECIPES, `${page}.md`), ['yaml'])
  return parse(block?.code ?? '') as Record<string, unknown>
}

/** What the blocks of a page find in their environment: the service, or a Redis of which they have a part to themselves. */
async function environment(page: string): Promise<(block: Block) => NodeJS.ProcessEnv> {
  const PATH = `${binFolder()}:${process.env.PATH}`
  const sign = () => world.issuer.sign({ sub: 'alice', client_id: 'app', scope: 'read', sid: page })
  const service = {
    RESCIND_URL: world.url,
    APP_KEY: world.keys.app,
    API_KEY: world.keys.api,
    REVOKER_KEY: world.keys.revoker,
    TOKEN: await sign(),
    OTHER_TOKEN: await sign(),
  }
  const store = { REDIS_URL: redis.url, RESCIND_NAMESPACE: page }
  return ({ code }) => ({ PATH, ...(code.includes('RESCIND_URL') ? service : store) })
}

async function commandOf(page: string, block: Block): Promise<[string, ...string[]]> {
  switch (block.language) {
    case 'ts':
      return programs.command(nameOf(page, block))
    case 'python':
      return [(await python()).path, '-c', block.code]
    default:
      return ['sh', '-ec', block.code]
  }
}

it.concurrent.each(pages)(
  '%s',
  async (page, blocks) => {
    const envOf = await environment(page)
    for (const block of blocks) {
      await expectToPrint(block, await commandOf(page, block), { env: envOf(block), cwd: programs.folder })
    }
  },
  PAGE_TIMEOUT_MS,
)

it('the programs type-check', () => {
  expect(programs.problems).toBe('')
})

it('every page but the index has something that runs, and the index names every page', async () => {
  const index = await readFile(join(RECIPES, 'index.md'), 'utf8')
  for (const [page, blocks] of pages.filter(([page]) => page !== 'index')) {
    expect(blocks.length, page).toBeGreaterThan(0)
    expect(index).toContain(`](${page}.md)`)
  }
})
