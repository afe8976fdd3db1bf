/** Each example does what its printed lines say, ends at Ctrl+C, and never says that a revocation is done that is not. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freePort } from '../../packages/rescind/test/support/free-port.js'
import { RedisServer } from '../../packages/rescind/test/support/redis-server.js'
import { commandOf, Example, type } from './example.js'

const TIMEOUT_MS = 180_000
const EXAMPLES = join(import.meta.dirname, '..')

interface Expected {
  /** Of the printed requests, in order. */
  readonly statuses: readonly number[]
  readonly says: readonly RegExp[]
}

const EXPECTED: Readonly<Record<string, Expected>> = {
  express: { statuses: [200, 403, 200, 401, 204, 200], says: [/"banned":"alice","until":"20/] },
  fastify: { statuses: [204, 401, 200, 204, 401], says: [/"user":"alice","session":"/] },
  nest: {
    statuses: [200, 403, 403, 204, 401, 200, 204, 401],
    says: [/"application":"mobile"[^]*"application":"web"/],
  },
  hono: {
    statuses: [200, 403, 201, 401, 200, 200],
    says: [/"tenant":"acme","until"/, /"reason":"compromised","actor":"olga"/],
  },
  decorators: { statuses: [201, 403, 200, 401, 401, 200], says: [/"revoked":"everything"/] },
  refresh: {
    statuses: [200, 401, 200, 204],
    says: [
      /"user":"alice"[^]*(\{"error":"invalid_grant"\}[^]*){3}$/,
      /error_description="The token was revoked"/,
    ],
  },
  sentinel: {
    statuses: [200, 200, 401, 200, 401],
    says: [/"ack":"replicated"[^]*"killed":(\d+),"primary":(?!\1)\d+[^]*"ack":"replicated"/],
  },
  cluster: {
    statuses: [200, 200, 401, 200],
    says: [/"nodes":\["a","b"\]/, /(\{"port":\d+,"keys":[1-9]\d*\},?){3}\]/],
  },
  gateway: {
    statuses: [401, 200, 403, 200, 401],
    says: [/\{"user":"alice","scope":"orders"\}/, /"reason":"stolen phone"/],
  },
  services: {
    statuses: [200, 200, 204, 401, 204, 401],
    says: [/"orders":\[/, /"reports": \[/, /realm="reports", error="invalid_token"/],
  },
}

/** By framework: the printed lines that log in, and that revoke. */
const REVOKING: Readonly<Record<string, readonly [RegExp, RegExp]>> = {
  express: [/^ROOT=/, /-X PUT .*\$ROOT/],
  fastify: [/^LAPTOP=/, /-X DELETE .*\/sessions -H/],
  nest: [/^WEB=/, /-X DELETE .*\$WEB/],
  hono: [/^OPERATOR=/, /-X POST .*\$OPERATOR/],
  decorators: [/^ROOT=/, /revoke-all .*\$ROOT/],
}

describe.concurrent('the example', () => {
  it.for(Object.entries(EXPECTED))(
    '%s does what its lines say',
    { timeout: TIMEOUT_MS },
    async ([name, { statuses, says }], { expect }) => {
      // Only Caddy must be told its port.
      const port = name === 'gateway' ? { PORT: String(await freePort()) } : {}
      await using example = await Example.start(name, port)
      const typed = await type(example.lines)
      expect(typed.statuses, `${example.output}\n${typed.output}`).toEqual(statuses)
      for (const text of says) expect(typed.output).toMatch(text)
      expect(await example.interrupt()).toBe(0)
    },
  )

  it.for(Object.entries(REVOKING))(
    '%s answers 503 when a revocation cannot be stored',
    { timeout: TIMEOUT_MS },
    async ([name, wanted], { expect }) => {
      await using redis = await RedisServer.start()
      // So that the check passes from memory, and the revocation fails.
      const env = { REDIS_URL: redis.url, RESCIND_STALENESS_MAX_MS: '60000' }
      await using example = await Example.start(name, env)
      const [logIn = '', revoke = ''] = wanted.map((line) => example.lines.find((one) => line.test(one)))
      const { output, statuses } = await type([logIn, `kill -9 ${redis.pid}`, revoke])
      expect(statuses, `${example.output}\n${output}`).toEqual([503])
      expect(output).toContain('Nothing was changed; try again')
      expect(example.output).toContain('ERR_STORE_UNAVAILABLE')
      expect(await example.interrupt()).toBe(0)
    },
  )
})

/** Two of them are longer, and have tests of their own; `npm start` runs one. */
const names = readdirSync(EXAMPLES).filter((name) => existsSync(join(EXAMPLES, name, 'src/main.ts')))
const haveOwnTests = names.filter((name) => existsSync(join(EXAMPLES, name, 'test')))

it('every example is tested, has a README, and stands in the table with its command', () => {
  expect([...Object.keys(EXPECTED), ...haveOwnTests].sort()).toEqual(names.sort())
  const table = readFileSync(join(EXAMPLES, '../docs/examples.md'), 'utf8')
  for (const name of names) {
    const command = name === 'api' ? 'npm start' : `npm run example -- ${name}`
    expect(table).toContain(`| [${name}](../examples/${name}) |`)
    expect(table).toContain(`\`${command}\``)
    expect(readFileSync(join(EXAMPLES, name, 'README.md'), 'utf8')).toContain(command)
  }
})

it('a name that is none is answered with all names', () => {
  const { status, stderr } = spawnSync('sh', ['-c', commandOf('canary')], { cwd: join(EXAMPLES, '..') })
  expect(status).toBe(1)
  for (const name of names) expect(stderr.toString()).toContain(`\n  ${name}\n`)
})
