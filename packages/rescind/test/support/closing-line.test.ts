/** The last line of a run tells the truth about it, and its exit code says the same. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

const VITEST = fileURLToPath(new URL('../../../../node_modules/vitest/vitest.mjs', import.meta.url))
const REPORTER = fileURLToPath(new URL('./closing-line.ts', import.meta.url))
const TIMEOUT_MS = 30_000

/** The lines of the reporter, and the exit code, of a run of these tests. */
async function run(tests: string, { isCI = false, args = [] as string[] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'rescind-closing-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await writeFile(
    join(folder, 'vitest.config.mjs'),
    `const { ClosingLine } = await import(${JSON.stringify(pathToFileURL(REPORTER).href)})
     export default { test: { globals: true, reporters: [new ClosingLine({ isCI: ${isCI} })], include: ['*.mjs'], exclude: ['*.config.mjs'] } }`,
  )
  await writeFile(join(folder, 'some.mjs'), tests)
  const tallyPath = join(folder, 'tally.json')
  const line = ['--import', 'tsx', VITEST, 'run', '--root', folder, ...args]
  const options = { timeout: TIMEOUT_MS, env: { ...process.env, RESCIND_TEST_TALLY: tallyPath } }
  const ended = await new Promise<{ code: unknown; lines: string[] }>((resolve) => {
    execFile(process.execPath, line, options, (failure, stdout, stderr) => {
      resolve({ code: failure?.code ?? 0, lines: `${stdout}${stderr}`.trim().split('\n') })
    })
  })
  return { ...ended, tally: JSON.parse(await readFile(tallyPath, 'utf8')) as unknown }
}

it('counts what passed, and says what was skipped and what only passed when tried again', async () => {
  const tests = `
    it('passes', () => undefined)
    it.todo('is for later')
    it('says why', (context) => context.skip('no such thing here'))
    it('tells it in its name [NOT RUN: no other thing]', { skip: true }, () => undefined)
    let tries = 0
    it('is moody', { retry: 2 }, () => expect(++tries).toBe(2))`
  expect(await run(tests, { isCI: true })).toMatchObject({
    code: 0,
    lines: [
      'Skipped: is for later: to do',
      'Skipped: says why: no such thing here',
      'Skipped: tells it in its name [NOT RUN: no other thing]',
      'Passed only when tried again: is moody',
      '2 passed, 0 failed, 3 skipped',
    ],
  })
})

it('counts a hook that fails, though its tests count as skipped', async () => {
  const tests = `
    describe('a suite', () => {
      describe('in another', () => {
        beforeAll(() => { throw new Error('on purpose') })
        it('is not run', () => undefined)
      })
    })
    it('passes', () => undefined)`
  const { code, lines } = await run(tests)
  expect(code).toBe(1)
  expect(lines.at(-1)).toBe('1 passed, 1 failed, 1 skipped')
})

it('takes a test that is skipped without a word for a failure on CI, unless tests were chosen by name', async () => {
  const tests = `
    it.skip('is left out', () => undefined)
    it('passes', () => undefined)`
  const lines = ['Skipped: is left out: nobody says why', '1 passed, 0 failed, 1 skipped']
  expect(await run(tests)).toMatchObject({ code: 0, lines })
  expect(await run(tests, { isCI: true })).toMatchObject({
    code: 1,
    lines: [lines[0], '1 passed, 1 failed, 1 skipped'],
  })
  expect(await run(tests, { isCI: true, args: ['-t', 'passes'] })).toMatchObject({
    code: 0,
    lines: [lines[1]],
  })
})

it('tells file by file what happened, so that a second run can stand in its place', async () => {
  const { tally } = await run(`it('passes', () => undefined); it('fails', () => expect(1).toBe(2))`)
  expect(tally).toEqual({
    files: [{ path: 'some.mjs', passed: 1, failed: 1, skipped: 0, remarks: [] }],
    unplaced: 0,
  })
})

it('places what is thrown beside all tests at its file', async () => {
  const { tally, code } = await run(`it('passes', () => { Promise.reject(new Error('beside')) })`)
  expect(code).toBe(1)
  expect(tally).toMatchObject({ files: [{ path: 'some.mjs', passed: 1, failed: 1 }], unplaced: 0 })
})
