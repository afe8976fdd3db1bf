/** The main job as a stranger does it: start the API, run the lines that it prints, see the token refused. */
import { type ChildProcess, execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { rememberToken } from '../../../packages/rescind/test/support/canary.js'
import { freePort } from '../../../packages/rescind/test/support/free-port.js'
import { spawnLeashed } from '../../../packages/rescind/test/support/leash.js'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import { until } from '../../../packages/rescind/test/support/until.js'

const MAIN = join(import.meta.dirname, '../src/main.ts')
const run = promisify(execFile)
const children: ChildProcess[] = []
const folder = mkdtempSync(join(tmpdir(), 'rescind-example-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

interface Started {
  readonly child: ChildProcess
  readonly url: string
  output(): string
}

function launch(env: Record<string, string>) {
  const { REDIS_URL: _, PORT: __, RESCIND_PORT: ___, ...inherited } = process.env
  const child = spawnLeashed(process.execPath, ['--import', 'tsx', MAIN], {
    env: { ...inherited, RESCIND_DATA_DIR: folder, ...env },
  })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  return { child, ended, output: () => output }
}

async function start(env: Record<string, string> = {}): Promise<Started> {
  const { child, output } = launch({ PORT: '0', RESCIND_PORT: '0', ...env })
  const url = await until(() => /listening on (http:\S+)/.exec(output())?.[1], {
    what: 'the address',
    timeoutMs: 20_000,
  })
  return { child, url, output }
}

async function logIn(url: string, user = 'alice'): Promise<string> {
  const response = await fetch(`${url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
  })
  const { access_token } = (await response.json()) as { access_token: string }
  rememberToken(access_token)
  return access_token
}

const ask = (url: string, token: string, path = '/me', method = 'GET') =>
  fetch(url + path, { method, headers: { authorization: `Bearer ${token}` } })

describe.each(['the embedded store', 'Redis'])('the example API on %s', (kind) => {
  it('does what its printed lines say, and logs a person out everywhere', async () => {
    const server = kind === 'Redis' ? await RedisServer.start() : undefined
    try {
      const { url, output, child } = await start(server === undefined ? {} : { REDIS_URL: server.url })
      expect(output()).toContain(`Rescind example API on ${kind}`)

      // The printed lines, in a shell.
      const lines = output()
        .split('\n')
        .filter((line) => /^ {2}([A-Z]+=|curl )/.test(line))
      expect(lines).toHaveLength(12)
      const { stdout } = await run('sh', ['-c', lines.join('\n').replaceAll('curl -i', 'curl -s -i')], {
        timeout: 20_000,
      })
      expect([...stdout.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
        ...['200', '204', '401'],
        // Logged out everywhere by the laptop, the phone is refused.
        ...['204', '401'],
        // The last token was good until the service had revoked it.
        ...['200', '401'],
      ])
      expect(stdout).toContain('"reason":"stolen phone"')
      const [, page, key] = /in a browser: (\S+), with the key (rsk_\S+)/.exec(output()) ?? []
      const signIn = {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-rescind-ui': '1' },
        body: JSON.stringify({ key }),
      }
      expect((await fetch(`${page}/`)).status).toBe(200)
      expect((await fetch(`${page}/session`, signIn)).status).toBeLessThan(300)
      expect(stdout).toContain('"user":"alice"')
      expect(stdout).toMatch(/^www-authenticate: Bearer realm="example-api", error="invalid_token"/im)
      expect(stdout).toContain('"code":"token_revoked"')

      const [one, two, other] = [await logIn(url), await logIn(url), await logIn(url, 'bob')]
      expect((await ask(url, one, '/logout-everywhere', 'POST')).status).toBe(204)
      expect(
        await Promise.all([one, two, other].map(async (token) => (await ask(url, token)).status)),
      ).toEqual([401, 401, 200])
      const next = await logIn(url)
      expect((await ask(url, next)).status).toBe(200)
      expect((await fetch(`${url}/healthz`)).status).toBe(200)
      for (const body of ['{"user":""}', '{"user":5}', '{', '[]']) {
        const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
        expect((await fetch(`${url}/login`, options)).status).toBe(400)
      }
      if (server !== undefined) {
        const seen = await start({ REDIS_URL: server.url })
        expect((await fetch(`${seen.url}/healthz`)).status).toBe(200)
        await server.kill()
        // For a second the node goes on from its memory; then nobody can tell.
        await until(async () => (await ask(url, next)).status === 503, { what: 'the outage to show' })
        expect((await ask(url, next, '/logout', 'POST')).status).toBe(503)
        expect((await fetch(`${url}/healthz`)).status).toBe(200)
        expect(output()).toContain('ERR_STORE_UNAVAILABLE')
      }
      for (const token of [one, two, other, next]) expect(output()).not.toContain(token.split('.')[2])
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      expect(await ended).toBe(0)
    } finally {
      await server?.stop()
    }
  })
})

describe('the example API on the embedded store', () => {
  it('forgets nothing when it is killed and started again', async () => {
    const first = await start()
    const [out, still] = [await logIn(first.url, 'carol'), await logIn(first.url, 'dave')]
    expect((await ask(first.url, out, '/logout', 'POST')).status).toBe(204)
    const ended = new Promise((resolve) => first.child.once('exit', resolve))
    first.child.kill('SIGKILL')
    await ended
    const second = await start()
    expect((await ask(second.url, still)).status).toBe(200)
    const denied = await ask(second.url, out)
    expect(denied.status).toBe(401)
    expect(await denied.json()).toMatchObject({ code: 'token_revoked' })
  })

  it('keeps nothing when it is told to', async () => {
    const { output } = await start({ RESCIND_STORE: 'memory' })
    expect(output()).toContain('on the embedded store in memory')
  })
})

describe('the example API ends with one clear line and a failure', () => {
  it('when its port is in use', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, resolve))
    const { port } = server.address() as { port: number }
    const { ended, output } = launch({ PORT: String(port) })
    expect(await ended).toBe(1)
    expect(output()).toBe(`Port ${port} is in use; stop what uses it, or set PORT to another one\n`)
    await new Promise((resolve) => server.close(resolve))
  })

  it.each([
    ['a port that is none', { PORT: 'canary' }, /^PORT must be a whole number from 0 to 65535\n$/],
    [
      'a bad variable',
      { REDIS_URL: 'canary' },
      /^The configuration cannot be used:\n- REDIS_URL is not a URL[^\n]*\n$/,
    ],
    [
      'a bad setting',
      { RESCIND_TTL: 'canary' },
      /^The configuration cannot be used:\n- RESCIND_TTL must be one of: token, fixed\n$/,
    ],
  ])('when it is given %s', async (_, env, line) => {
    const { ended, output } = launch({ PORT: '0', RESCIND_PORT: '0', ...env })
    expect(await ended).toBe(1)
    expect(output()).toMatch(line)
    expect(output()).not.toContain('canary')
  })

  it('when Redis is set and cannot be reached', async () => {
    const { ended, output } = launch({
      PORT: '0',
      REDIS_URL: `redis://:canary@127.0.0.1:${await freePort()}`,
    })
    expect(await ended).toBe(1)
    expect(output()).toMatch(/^Redis is set, but cannot be used: [^\n]*\n$/)
    expect(output()).not.toContain('canary')
  })
})
