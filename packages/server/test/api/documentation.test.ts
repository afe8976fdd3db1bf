/** The examples of `docs/service-api.md` are run as they stand, and answer what stands below them. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startWorld, type World } from '../support/service.js'

const run = promisify(execFile)
const text = await readFile(join(import.meta.dirname, '../../../../docs/service-api.md'), 'utf8')
const shown = [...text.matchAll(/^```sh\n([^]*?)^```\n\n```(json|ndjson|text)\n([^]*?)^```/gm)].map(
  ([, command, kind, answer]) => [(command as string).trim(), kind as string, answer as string] as const,
)

let world: World
let env: NodeJS.ProcessEnv
beforeAll(async () => {
  world = await startWorld()
  const TOKEN = await world.issuer.sign({ sub: 'carol' })
  env = { PATH: process.env.PATH, RESCIND_URL: world.url, KEY: world.keys.admin, TOKEN }
})
afterAll(() => world[Symbol.asyncDispose]())

/** `"…"` stands for any value. */
function expected(json: string): unknown {
  return JSON.parse(json, (_, value: unknown) => (value === '…' ? (expect.anything() as unknown) : value))
}

it('every command has its answer below it', () => {
  expect(shown.length).toBe([...text.matchAll(/^```sh\n/gm)].length)
  expect(shown.length).toBeGreaterThanOrEqual(10)
})

it.each(shown)('%s', async (command, kind, answer) => {
  const { stdout } = await run('sh', ['-c', command], { env, timeout: 20_000 })
  if (kind === 'text') return expect(stdout).toBe(answer)
  const [given, wanted] = [stdout, answer].map((each) => (kind === 'json' ? [each] : each.trim().split('\n')))
  expect(given?.map((each) => JSON.parse(each) as unknown)).toEqual(wanted?.map(expected))
})
