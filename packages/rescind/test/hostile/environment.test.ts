/** Environments by mistake and by malice: one error that names each variable at fault, and never what it held. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { Environment } from '../../src/config.js'
import { hasCode } from '../../src/errors.js'
import { openStore } from '../../src/open-store.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { settingsFromEnv } from '../../src/settings.js'
import { Hostile } from './inputs.js'
import { nastyText, PROTOTYPE_NAMES, TEXTS } from './texts.js'
import { CANARY, REDIS, SETTINGS, STORE, URLS, type Values, within } from './variables.js'

const hostile = new Hostile('environment')
const dir = mkdtempSync(join(tmpdir(), 'rescind-hostile-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

type Reader = (env: Environment) => unknown
const READERS: readonly (readonly [Reader, Readonly<Record<string, Values>>])[] = [
  [(env) => RedisConnection.fromEnv(env), REDIS],
  [
    (env) => RedisConnection.fromEnv(env),
    {
      REDIS_URL: URLS,
      REDIS_CONNECT_TIMEOUT_MS: within(50, 60_000),
      RESCIND_CHECK_TIMEOUT_MS: within(10, 60_000),
    },
  ],
  [(env) => RedisStore.fromEnv(env, new RedisConnection({})), STORE],
  [settingsFromEnv, SETTINGS],
]

/** The problems found; undefined when there are none. Throws for any other error, and for one that tells a value. */
function problemsOf(read: Reader, env: Environment): string | undefined {
  return hostile.now(() => {
    try {
      read(env)
      return undefined
    } catch (error) {
      if (!hasCode(error, 'ERR_CONFIG_INVALID')) throw error
      const said = JSON.stringify([error.message, error.problems, error.stack, error.cause ?? null])
      if (said.includes(CANARY)) throw new Error('a value was told')
      if (error.message.length > 10_000) throw new Error('the message has no bound')
      expect(error.problems.length).toBeGreaterThan(0)
      return error.problems.join('\n')
    }
  })
}

const names = (problems: string | undefined, variable: string) =>
  new RegExp(`\\b${variable}\\b`).test(problems ?? '')

describe('each variable', () => {
  const cases = READERS.flatMap(([read, variables]) =>
    Object.entries(variables).map(([name, values]) => ({ name, read, values })),
  )
  it.each(cases)(
    '$name is named for what it cannot hold, and taken for what it can',
    ({ name, read, values }) => {
      for (const bad of values.bad)
        expect([bad.slice(0, 40), names(problemsOf(read, { [name]: bad }), name)]).toEqual([
          bad.slice(0, 40),
          true,
        ])
      const beside: Environment =
        name === 'REDIS_PASSWORD' || name === 'REDIS_USERNAME' ? { REDIS_HOST: 'h' } : {}
      for (const good of values.good) expect(problemsOf(read, { ...beside, [name]: good })).toBeUndefined()
    },
  )
})

describe('an environment', () => {
  it.each(READERS.map(([read, variables]) => ({ of: Object.keys(variables)[0], read, variables })))(
    'with any values around $of: every one at fault is named, in one error',
    { timeout: hostile.timeoutMs },
    ({ read, variables }) => {
      const choice = fc.record(
        Object.fromEntries(
          Object.entries(variables).map(([name, { good, bad }]) => [
            name,
            fc.constantFrom(
              { text: '', isBad: false },
              ...good.map((text) => ({ text, isBad: false })),
              ...bad.map((text) => ({ text, isBad: true })),
            ),
          ]),
        ),
        { requiredKeys: [] },
      )
      fc.assert(
        fc.property(choice, (chosen) => {
          const values = Object.entries(chosen).flatMap(([name, value]) =>
            value === undefined ? [] : [{ name, ...value }],
          )
          const problems = problemsOf(read, Object.fromEntries(values.map(({ name, text }) => [name, text])))
          for (const { name, isBad } of values)
            if (isBad) expect([name, names(problems, name)]).toEqual([name, true])
        }),
        hostile.runs(0.15),
      )
    },
  )

  it('of any texts is read or refused', { timeout: hostile.timeoutMs }, () => {
    const variable = fc.constantFrom(
      ...READERS.flatMap(([, variables]) => Object.keys(variables)),
      'REDIS_HOST',
      'REDIS_SOCKET',
      'REDIS_SENTINEL_NAME',
      'REDIS_SENTINEL_USERNAME',
      'REDIS_SENTINEL_PASSWORD',
      'REDIS_TLS_CERT',
      'REDIS_TLS_KEY',
      'REDIS_TLS_SERVERNAME',
      'RESCIND_STORE',
    )
    const name = fc.tuple(variable, fc.constantFrom('', '', '', '_FILE')).map((parts) => parts.join(''))
    const value = fc.oneof(
      nastyText(200),
      fc.webUrl(),
      fc.integer().map(String),
      fc.constantFrom('redis://h', 'h', 'h:1,h:2', 'true'),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), (pairs) => {
        const env = Object.fromEntries(pairs)
        for (const [read] of READERS) problemsOf(read, env)
        // Of stores none that would open a folder.
        problemsOf(openStore, { ...env, RESCIND_STORE: 'redis' })
      }),
      hostile.runs(0.1),
    )
  })

  it('inherits nothing of use from objects', () => {
    for (const name of PROTOTYPE_NAMES)
      for (const [read] of READERS)
        expect(problemsOf(read, { [name]: 'x', [`${name}_FILE`]: '/' })).toBeUndefined()
  })

  it('that asks for an unknown store, or for one without its folder, is refused', () => {
    for (const bad of ['Redis', 'lmdb ', 'constructor', CANARY])
      expect(names(problemsOf(openStore, { RESCIND_STORE: bad }), 'RESCIND_STORE')).toBe(true)
    expect(names(problemsOf(openStore, { RESCIND_STORE: 'lmdb' }), 'RESCIND_DATA_DIR')).toBe(true)
  })
})

describe('a variable in a file', () => {
  const file = (name: string, text: string | Buffer) => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const fifo = () => {
    const path = join(dir, 'fifo')
    execFileSync('mkfifo', [path])
    return path
  }
  const endless = () => {
    const path = file('sparse', '')
    truncateSync(path, 8 * 1024 ** 3)
    return path
  }
  it.each<[string, () => string]>([
    ['that is missing', () => join(dir, CANARY)],
    ['that is a folder', () => dir],
    ['of a name with a NUL', () => `${dir}/a\u0000${CANARY}`],
    ['of a name of a megabyte', () => TEXTS['a megabyte'] as string],
    ['that is empty', () => file('empty', '')],
    ['with nothing but a line end', () => file('line', '\r\n')],
    ['that is too large', () => file('large', 'x'.repeat(1024 * 1024 + 3))],
    ['of eight gigabytes', endless],
    ['that never ends', () => '/dev/zero'],
    ['that nobody writes to', fifo],
    [
      'that is its own folder',
      () => {
        mkdirSync(join(dir, 'd'))
        return `${dir}/d/./.`
      },
    ],
    ['with text that is no number', () => file('text', CANARY)],
    ['with bytes that are no text', () => file('bytes', Buffer.from([0xff, 0xfe, 0x31]))],
  ])('%s is named', (_, path) => {
    const at = path()
    const problems = problemsOf(settingsFromEnv, { RESCIND_STALENESS_MAX_MS_FILE: at, RESCIND_TTL: CANARY })
    expect(problems).toMatch(/\bRESCIND_STALENESS_MAX_MS(_FILE)?\b/)
    expect(names(problems, 'RESCIND_TTL')).toBe(true)
  })

  it('that may not be read is named', () => {
    const path = file('secret', '100')
    chmodSync(path, 0)
    if (process.getuid?.() !== 0)
      expect(problemsOf(settingsFromEnv, { RESCIND_STALENESS_MAX_MS_FILE: path })).toMatch(
        /RESCIND_STALENESS_MAX_MS_FILE/,
      )
  })

  it('and beside it is one too many', () => {
    expect(
      problemsOf(settingsFromEnv, { RESCIND_TTL: 'token', RESCIND_TTL_FILE: file('ttl', 'token') }),
    ).toMatch(/RESCIND_TTL and RESCIND_TTL_FILE/)
    expect(settingsFromEnv({ RESCIND_TTL: '', RESCIND_TTL_FILE: file('ttl2', 'fixed\n') })).toMatchObject({
      ttl: 'fixed',
    })
  })
})

describe('a host that is none', () => {
  it.each([
    'a\u0000b',
    'a b',
    '\ud800',
    '-',
    '..',
    '%00',
    'x'.repeat(300),
    '256.256.256.256',
    '::gg',
    "'; --",
    '[',
    'a\r\nb',
  ])('%j fails as an outage, within its time', async (host) => {
    for (const env of [{ REDIS_HOST: host, REDIS_PORT: '9' }, { REDIS_SOCKET: host }]) {
      const connection = RedisConnection.fromEnv({
        ...env,
        REDIS_CONNECT_TIMEOUT_MS: '100',
        RESCIND_WRITE_TIMEOUT_MS: '100',
      })
      try {
        await expect(connection.ping()).rejects.toSatisfy(
          (error) => hasCode(error, 'ERR_STORE_UNAVAILABLE') || hasCode(error, 'ERR_STORE_TIMEOUT'),
        )
      } finally {
        await connection.close()
      }
    }
  })
})
