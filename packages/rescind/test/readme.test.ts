/** The examples of the README run as they stand, and print what their comments say. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisServer } from './support/redis-server.js'

const ROOT = join(import.meta.dirname, '../../..')
// Inside the package, so that `rescind` and the frameworks resolve as in an application.
const FOLDER = join(import.meta.dirname, '.readme')
const run = promisify(execFile)

const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
const examples = [...readme.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, code]) => code as string)

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
  await mkdir(FOLDER, { recursive: true })
})
afterAll(async () => {
  await server.stop()
  await rm(FOLDER, { recursive: true, force: true })
})

describe.each(examples.map((code, i) => [i + 1, code] as const))(
  'example %i of the README',
  (number, code) => {
    it.each(['the embedded store', 'Redis'])('runs on %s and prints what it says', async (store) => {
      const wanted = [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, line]) => line as string)
      expect(wanted.length).toBeGreaterThan(0)
      const path = join(FOLDER, `example-${number}.ts`)
      await writeFile(path, code)
      const { REDIS_URL: _, ...env } = process.env
      const { stdout, stderr } = await run(process.execPath, ['--import', 'tsx', path], {
        env: store === 'Redis' ? { ...env, REDIS_URL: server.url } : env,
        timeout: 20_000,
      })
      expect(stdout.trim().split('\n')).toEqual(wanted)
      expect(stderr).toBe('')
    })
  },
)

it('there are examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(2)
})

it('CommonJS can require the package and every subpath', async () => {
  const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../package.json'), 'utf8')) as {
    exports: Record<string, unknown>
  }
  const names = Object.keys(manifest.exports).filter((name) => name !== './package.json')
  expect(names.length).toBe(11)
  const script = names.map(
    (name) =>
      `if (Object.keys(require(${JSON.stringify(name.replace(/^\./, 'rescind'))})).length === 0) throw 0`,
  )
  await run(process.execPath, ['-e', script.join('\n')], { cwd: import.meta.dirname })
})
