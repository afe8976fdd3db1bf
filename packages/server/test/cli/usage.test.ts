import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeIssuer } from '../../../rescind/test/support/issuer.js'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { verifySecret } from '../../src/clients/secret.js'
import { completedCommands } from '../../src/cli/completion/tree.js'
import { makeProgram } from '../../src/cli/program.js'
import type { Terminal } from '../../src/cli/terminal.js'
import { type Place, PLACES } from './support/backends.js'
import { run, runJson } from './support/command.js'

const CANARY = 'hunter2-hunter2-hunter2'

describe('a wrong command line', () => {
  it.each([
    ['revok', 'Did you mean revoke?'],
    ['list --limt 5', 'Did you mean --limit?'],
    ['list --limit 0', '1 to 1000000'],
    ['list --since yesterday', '-2h'],
    ['list --all --limit 5', 'cannot be used with'],
    ['list --order by-name', 'newest, oldest, ending-first, ending-last'],
    ['revoke --claim sub', 'sub=alice'],
    ['revoke --claim sub=a --claim sub=b', 'twice'],
    ['revoke --claim sub=a --everything', 'one of'],
    ['revoke --claim sub=a --lifetime 5', '30m'],
    ['revoke --claim sub=a --until 2020-01-01', 'lies in the past'],
    ['revoke --claim sub=a --ack nobody', 'accepted, replicated, everywhere'],
    ['revoke --claim sub=a --ack replicated', 'ack'],
    ['check --claim sub=a --data-dir no/such/folder', 'there is no folder'],
    ['clients make x', '--role'],
    ['clients make x --role king', 'revoke:any'],
    ['completion tcsh', 'bash, zsh, fish'],
    ['list --redis redis://u:hunter2@h', 'REDIS_PASSWORD'],
    ['list --url http://u:hunter2@h', 'RESCIND_KEY'],
    ['list --url http://127.0.0.1:1', 'RESCIND_KEY'],
    ['import no-such-file', 'cannot be read'],
    ['export --url a --data-dir b', 'cannot be used with'],
    ['revoke --claim sub=a --namespace b --url http://127.0.0.1:1', '--namespace is for Redis'],
    ['revoke --claim sub=a --namespace b', '--namespace is for Redis'],
    ['revoke --claim sub=a --key-file b', '--key-file is for a service'],
    ['revoke --claim sub=a --key-file b --redis redis://127.0.0.1:1', '--key-file is for a service'],
  ])('%s: ends with 2, and says what to do', async (line, advice) => {
    const folder = mkdtempSync(join(tmpdir(), 'rescind-usage-'))
    try {
      const args = line.split(' ')
      const where = /--(url|redis|data-dir)/.test(line) ? {} : { RESCIND_DATA_DIR: folder }
      const plain = await run(args, { env: where })
      expect(plain.err).toContain(advice)
      expect(plain.code).toBe(2)
      expect(plain.out).toBe('')
      expect(plain.err).not.toContain('hunter2')
      const json = await run([...args, '--json'], { env: where })
      expect(JSON.parse(json.err)).toEqual({
        error: expect.objectContaining({ code: expect.any(String), message: expect.any(String) }),
      })
      expect(json.code).toBe(2)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('says where nothing tells it where to go', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rescind-nowhere-'))
    try {
      const { code, err } = await run(['list'], { cwd: folder })
      expect(code).toBe(2)
      for (const way of ['--url', '--redis', '--data-dir', 'REDIS_URL']) expect(err).toContain(way)
    } finally {
      rmSync(folder, { recursive: true })
    }
    const both = await run(['list'], {
      env: { RESCIND_URL: 'http://127.0.0.1:1', REDIS_URL: 'redis://localhost:1' },
    })
    expect(both.code).toBe(2)
    expect(both.err).toContain('both set')
  })

  it('never repeats a token that stands where none belongs', async () => {
    const token = await (await makeIssuer()).sign()
    for (const args of [
      ['revoke', token],
      [`--token=${token}`],
      ['revoke', `--tokn=${token}`],
      [token],
      ['help', token],
    ]) {
      // The output is searched for the token by whoever runs the command.
      const { code, out, err } = await run(args)
      expect(code).not.toBe(0)
      expect(out + err).not.toContain(token.slice(0, 20))
    }
  })

  it('of a token names the configuration where no issuer is known', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rescind-issuers-'))
    try {
      const env = { RESCIND_DATA_DIR: folder }
      const { code, err } = await run(['revoke'], {
        env,
        input: await (await makeIssuer()).sign(),
        cwd: folder,
      })
      expect(code).toBe(2)
      for (const way of ['--config', '--url', '--claim']) expect(err).toContain(way)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('a secret', () => {
  it('is taken from no argument, where every user of the machine could read it', () => {
    const commands = completedCommands(makeProgram({} as Terminal, false))
    expect(commands.length).toBeGreaterThan(20)
    const named = commands.flatMap(({ options }) => options)
    const secret = named.filter(({ names }) => /token|key|secret|password/.test(names.join()))
    expect(new Set(secret.map(({ names }) => names[0]))).toEqual(new Set(['--token-file', '--key-file']))
    for (const { value } of secret) expect(value.kind).toBe('file')
  })

  it('is made once, and hashed from the standard input', async () => {
    const { key, hash } = await runJson(['keys', 'make'])
    expect(await verifySecret(key as string, hash as string)).toBe(true)
    const hashed = await run(['keys', 'hash'], { input: `${CANARY}\n` })
    expect(await verifySecret(CANARY, hashed.out.trim())).toBe(true)
    expect(hashed.out + hashed.err).not.toContain(CANARY)
    const short = await run(['keys', 'hash'], { input: 'abc\n' })
    expect(short.code).toBe(2)
    expect(short.err).toContain('keys make')
    const human = await run(['keys', 'make'])
    expect(human.out).toMatch(/^rsk_\S+\n$/)
    expect(human.err).toContain('scrypt$')
    expect(human.err).not.toContain(human.out.trim())
  })
})

describe('of Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start({ config: { requirepass: CANARY } })
    server.password = CANARY
  })
  afterAll(() => server.stop())

  it('the password comes from the environment or a file, and is in no output', async () => {
    const { port } = server
    const url = `redis://127.0.0.1:${port}`
    const answers = [
      await run(['revoke', '--claim', 'sub=a', '--redis', url], { env: { REDIS_PASSWORD: CANARY } }),
    ]
    expect(answers[0]?.code).toBe(0)
    const folder = mkdtempSync(join(tmpdir(), 'rescind-url-'))
    try {
      const file = join(folder, 'url')
      writeFileSync(file, `redis://:${CANARY}@127.0.0.1:${port}\n`)
      answers.push(await run(['check', '--claim', 'sub=a', '--redis-url-file', file]))
      expect(answers[1]?.code).toBe(3)
      answers.push(await run(['doctor', '--redis-url-file', file]))
    } finally {
      rmSync(folder, { recursive: true })
    }
    const wrong = await run(['list', '--redis', url, '--json'], {
      env: { REDIS_PASSWORD: `${CANARY}-wrong` },
    })
    expect(wrong.code).toBe(1)
    expect(JSON.parse(wrong.err)).toMatchObject({ error: { code: 'ERR_STORE_REFUSED' } })
    for (const { out, err } of [...answers, wrong]) expect(out + err).not.toContain(CANARY)
  })

  it('a revocation that its replicas have not confirmed is told by the exit code', async () => {
    const env = { REDIS_URL: `redis://127.0.0.1:${server.port}`, REDIS_PASSWORD: CANARY }
    const { code, err } = await run(['revoke', '--claim', 'sub=b', '--ack', 'replicated', '--json'], { env })
    expect(code).toBe(6)
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'ERR_ACK_NOT_REACHED' } })
    expect((await run(['check', '--claim', 'sub=b'], { env })).code).toBe(3)
  })

  it('the doctor looks at the namespace that the others write to, however it is given', async () => {
    const where = { REDIS_URL: `redis://127.0.0.1:${server.port}`, REDIS_PASSWORD: CANARY }
    const codes = async (env: object) => {
      const { findings } = await JSON.parse(
        (await run(['doctor', '--json'], { env: { ...where, ...env } })).out,
      )
      return (findings as { code: string }[]).map(({ code }) => code)
    }
    const folder = mkdtempSync(join(tmpdir(), 'rescind-partitions-'))
    try {
      const file = join(folder, 'partitions')
      writeFileSync(file, '4\n')
      const wide = { RESCIND_NAMESPACE: 'wide', RESCIND_PARTITIONS_FILE: file }
      expect((await run(['revoke', '--claim', 'sub=w'], { env: { ...where, ...wide } })).code).toBe(0)
      expect(await codes(wide)).not.toContain('partitions_differ')
      expect(await codes({ RESCIND_NAMESPACE: 'wide' })).toContain('partitions_differ')
      expect(await codes({ RESCIND_PARTITIONS: '' })).not.toContain('partitions_differ')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('that is away a check is unknown, and a revocation fails, with what to look at', async () => {
    const away = { REDIS_URL: 'redis://127.0.0.1:1' }
    const checked = await run(['check', '--claim', 'sub=a', '--json'], { env: away })
    expect(checked.code).toBe(4)
    expect(JSON.parse(checked.out)).toMatchObject({
      status: 'unknown',
      error: { code: 'ERR_STORE_UNAVAILABLE' },
    })
    const revoked = await run(['revoke', '--claim', 'sub=a'], { env: away })
    expect(revoked.code).toBe(1)
    expect(revoked.err).toContain('rescind doctor')
    const begun = performance.now()
    expect((await run(['list', '--order', 'oldest'], { env: away })).code).toBe(1)
    expect(performance.now() - begun).toBeLessThan(20_000)
    const doctor = await run(['doctor'], { env: away })
    expect(doctor.code).toBe(8)
    expect(doctor.out).toContain('unreachable')
  })
})

it('a service that is away, or none of ours, is told as such', async () => {
  const env = { RESCIND_URL: 'http://127.0.0.1:1', RESCIND_KEY: CANARY }
  const checked = await run(['check', '--claim', 'sub=a'], { env })
  expect(checked.code).toBe(4)
  const listed = await run(['list'], { env })
  expect(listed.code).toBe(1)
  expect(listed.err).toContain('cannot be reached')
  expect(checked.out + checked.err + listed.err).not.toContain(CANARY)
  expect(listed.err).not.toContain('unencrypted')
  const inClear = await run(['list', '--url', 'http://rescind.invalid'], { env })
  expect(inClear.err).toContain('unencrypted')
})

it('what is no failure is told to a program as JSON too', async () => {
  await using place = await (PLACES['the embedded store'] as () => Promise<Place>)()
  const env = { ...place.env, RESCIND_TTL: 'fixed', RESCIND_LIFETIME_MAX_SECONDS: '60' }
  const input = await place.issuer.sign()
  const { code, err } = await run(['revoke', '--json'], { env, input })
  expect(code).toBe(0)
  expect(JSON.parse(err)).toEqual({ warning: { message: expect.stringContaining('token') } })
})

it('every exit code stands in the help and in docs/command.md', async () => {
  const { out } = await run(['--help'])
  const docs = readFileSync(new URL('../../../../docs/command.md', import.meta.url), 'utf8')
  const { EXIT_CODES } = await import('../../src/cli/exit-code.js')
  for (const { code, meaning } of Object.values(EXIT_CODES)) {
    expect(out).toContain(`${String(code).padEnd(4)} ${meaning.replaceAll('`', '')}`)
    expect(docs).toContain(`| ${code} | ${meaning} |`)
  }
})

it('every command stands in docs/command.md', async () => {
  const docs = readFileSync(new URL('../../../../docs/command.md', import.meta.url), 'utf8')
  const { out } = await run(['--help'])
  const names = [...out.matchAll(/^ {2}([a-z]+)(?: \[| <| {2,})/gm)].map(([, name]) => name as string)
  expect(names).toContain('revoke')
  for (const name of names.filter((each) => each !== 'help')) expect(docs).toContain(`\`rescind ${name}`)
})
