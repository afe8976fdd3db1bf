/**
 * `npm run readme`: goes through README.md line by line as a stranger with a clean clone would. Every line of its `sh`
 * blocks is run as it stands, in order, and must do what the text promises; a line that is not known here is a failure, so
 * that nothing is promised that nobody tries. It walks what is committed.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { SignJWT } from 'jose'
import { freePort } from '../packages/rescind/test/support/free-port.js'
import { LocalRegistry } from './local-registry.js'
import { pack, PUBLISHED } from './packed-package.js'
import { commandsIn, expectAnswers } from './printed-commands.js'
import { StartedProgram } from './started-program.js'
import { strangerEnvironment } from './stranger-environment.js'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '..')
/** `npm ci` and a build, on a machine that does other things as well. */
const START_TIMEOUT_MS = 600_000
const SERVE_TIMEOUT_MS = 60_000
const LINE_TIMEOUT_MS = 300_000

interface Place {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
}

/** What a line must do. */
interface Step {
  readonly line: RegExp
  readonly walk: (line: string) => Promise<string>
}

const work = await mkdtemp(join(tmpdir(), 'rescind-readme-'))
const toStop: AsyncDisposable[] = []
try {
  await walk()
} finally {
  for (const each of toStop.reverse()) await each[Symbol.asyncDispose]()
  await rm(work, { recursive: true, force: true })
}

async function walk(): Promise<void> {
  const clone = join(work, 'clone')
  await run('git', ['clone', '--quiet', ROOT, clone])
  const steps = await stepsOf(clone)
  const lines = linesOf(await readFile(join(clone, 'README.md'), 'utf8')).map(({ line, number }) => ({
    line,
    number,
    step: steps.find((each) => each.line.test(line)),
  }))
  const unknown = lines
    .filter(({ step }) => step === undefined)
    .map(({ line, number }) => `${number}: ${line}`)
  if (unknown.length > 0) throw new Error(`Nobody tries these lines of README.md:\n${unknown.join('\n')}`)
  const missed = steps.filter((step) => !lines.some((each) => each.step === step))
  if (missed.length > 0)
    throw new Error(`README.md does not say any more: ${missed.map(({ line }) => line.source).join(', ')}`)
  for (const { line, number, step } of lines) {
    const startMs = Date.now()
    const report = await step!.walk(line)
    console.log(`README.md:${number}  ${line}\n  ${report} (${Math.round((Date.now() - startMs) / 1000)} s)`)
  }
}

/** The lines of all `sh` blocks, without comments. */
function linesOf(readme: string): { readonly line: string; readonly number: number }[] {
  return [...readme.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(({ 1: block = '', index }) => {
    const first = readme.slice(0, index).split('\n').length + 1
    return block
      .split('\n')
      .map((line, i) => ({ line: line.replace(/\s+#.*$/, '').trim(), number: first + i }))
      .filter(({ line }) => line !== '')
  })
}

async function stepsOf(clone: string): Promise<readonly Step[]> {
  const app = await makePlace('app')
  const host = await makePlace('host')
  await addIssuer(host)
  return [
    { line: /^npm ci && npm start$/, walk: (line) => startExample(line, clone, [app, host]) },
    { line: /^npm ci && npm test$/, walk: () => hasTests(clone) },
    {
      line: /^npm install rescind$/,
      walk: async (line) => {
        await expectOutput(line, app, /added \d+ packages/)
        return expectOutput(`node -p "typeof require('rescind').Gate"`, app, /function/)
      },
    },
    {
      line: /^npm install -g @rescind\/server$/,
      walk: (line) => expectOutput(`${line} && rescind --version`, host, /^\d+\.\d+\.\d+/m),
    },
    { line: /^rescind serve$/, walk: (line) => serve(line, host) },
    { line: /^rescind revoke /, walk: (line) => expectOutput(line, host, /^Revoked sub=alice/m) },
    {
      line: /^rescind check < token.txt && echo clear$/,
      walk: (line) => expectOutput(line, host, /^clear$/m),
    },
  ]
}

/** An empty folder of somebody, whose global packages stand in it. */
async function makePlace(name: string): Promise<Place> {
  const folder = join(work, name)
  const prefix = join(folder, '.global')
  await mkdir(folder, { recursive: true })
  const env = {
    ...strangerEnvironment(),
    npm_config_prefix: prefix,
    npm_config_prefer_offline: 'true',
    // Not every registry answers audits; npm run audit does that loudly.
    npm_config_audit: 'false',
    PATH: `${join(prefix, 'bin')}:${process.env.PATH ?? ''}`,
    PORT: String(await freePort()),
    RESCIND_PORT: String(await freePort()),
  }
  return { folder, env }
}

/** Whoever checks a token has an issuer, and a token of it: here of bob, whom nobody revokes. */
async function addIssuer({ folder }: Place): Promise<void> {
  const secret = crypto.getRandomValues(new Uint8Array(32))
  await writeFile(join(folder, 'secret'), Buffer.from(secret).toString('base64url'))
  const issuer = `issuers:
  - issuer: https://as.example
    audience: [api]
    algorithms: [HS256]
    secretFile: secret
`
  await writeFile(join(folder, 'rescind.yaml'), issuer)
  const token = await new SignJWT({ client_id: 'app', sub: 'bob', jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuer('https://as.example')
    .setAudience('api')
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(Buffer.from(Buffer.from(secret).toString('base64url')))
  await writeFile(join(folder, 'token.txt'), token)
}

/** Then the packages are built, and can be had from a registry. */
async function startExample(line: string, clone: string, customers: readonly Place[]): Promise<string> {
  const { env } = await makePlace('start')
  const program = new StartedProgram('sh', ['-c', line], { cwd: clone, env })
  try {
    await program.printed(/\/ui\b.*\n/, START_TIMEOUT_MS)
    const report = await expectAnswers(commandsIn(program.output), { cwd: clone, env })
    const packages = await Promise.all(PUBLISHED.map((name) => pack(name, work, clone)))
    const registry = await LocalRegistry.start(packages)
    toStop.push(registry)
    for (const customer of customers) customer.env.npm_config_registry = registry.url
    return report.join(', ')
  } finally {
    await program[Symbol.asyncDispose]()
  }
}

/** CI runs the tests by themselves; here it is enough that there are some. */
async function hasTests(clone: string): Promise<string> {
  const { scripts } = JSON.parse(await readFile(join(clone, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  if (!scripts.test?.endsWith('tsx scripts/test.ts')) throw new Error('npm test does not run the tests')
  return 'not walked: CI runs the tests'
}

async function serve(line: string, { folder, env }: Place): Promise<string> {
  const program = new StartedProgram('sh', ['-c', line], { cwd: folder, env })
  toStop.push(program)
  await program.printed(/"msg":"listening"/, SERVE_TIMEOUT_MS)
  const response = await fetch(`http://127.0.0.1:${env.RESCIND_PORT}/healthz`)
  if (!response.ok) throw new Error(`/healthz was answered ${response.status}`)
  return 'listens'
}

async function expectOutput(line: string, { folder, env }: Place, wanted: RegExp): Promise<string> {
  const { stdout } = await run('sh', ['-c', line], { cwd: folder, env, timeout: LINE_TIMEOUT_MS })
  if (!wanted.test(stdout)) throw new Error(`${line} did not print ${wanted}:\n${stdout}`)
  return stdout.trim().split('\n').at(-1) ?? ''
}
