/** The examples of `docs/service-oauth.md` are run as they stand, and answer what stands below them. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startWorld, type World } from '../support/service.js'

// Inside the package, so that what an example imports is found.
const FOLDER = join(import.meta.dirname, '.readme')
const run = promisify(execFile)

const text = await readFile(join(import.meta.dirname, '../../../../docs/service-oauth.md'), 'utf8')
const shown = [...text.matchAll(/^```sh\n([^]*?)^```\n\n```(http|json)\n([^]*?)^```/gm)].map(
  ([, command, kind, answer]) => [(command as string).trim(), kind as string, answer as string] as const,
)
const programs = [...text.matchAll(/^```js\n([^]*?)^```/gm)].map(([, code]) => code as string)

let world: World
let env: NodeJS.ProcessEnv
beforeAll(async () => {
  world = await startWorld()
  const sign = (client_id: string) => world.issuer.sign({ client_id, scope: 'read' })
  env = {
    PATH: process.env.PATH,
    RESCIND_URL: world.url,
    APP_KEY: world.keys.app,
    API_KEY: world.keys.api,
    TOKEN: await sign('app'),
    LIVE_TOKEN: await sign('app'),
    OTHER_TOKEN: await sign('other'),
  }
  await mkdir(FOLDER, { recursive: true })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await rm(FOLDER, { recursive: true, force: true })
})

/** `"…"` stands for any value. */
function expected(json: string): unknown {
  return JSON.parse(json, (_, value: unknown) => (value === '…' ? (expect.anything() as unknown) : value))
}

it('there are as many examples as there are commands', () => {
  expect(shown.length).toBe([...text.matchAll(/^```sh\n/gm)].length)
  expect(shown.length).toBeGreaterThanOrEqual(5)
  expect(programs.length).toBe(1)
})

it.each(shown)('%s', async (command, kind, answer) => {
  const { stdout } = await run('sh', ['-c', command], { env, timeout: 20_000 })
  if (kind === 'json') return expect(JSON.parse(stdout)).toEqual(expected(answer))
  const [head = '', body = ''] = stdout.replaceAll('\r', '').split('\n\n')
  const [wantedHead = '', wantedBody = ''] = answer.split('\n\n')
  const lines = head.split('\n')
  for (const line of wantedHead.trim().split('\n')) expect(lines).toContain(line)
  if (wantedBody !== '') expect(JSON.parse(body)).toEqual(expected(wantedBody))
})

it.each(programs)('the program %#', async (code) => {
  const path = join(FOLDER, 'example.mjs')
  await writeFile(path, code)
  const { stdout } = await run(process.execPath, [path], { env, timeout: 20_000 })
  const wanted = [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, line]) => line as string)
  expect(wanted.length).toBeGreaterThan(0)
  expect(stdout.trim().split('\n')).toEqual(wanted)
})
